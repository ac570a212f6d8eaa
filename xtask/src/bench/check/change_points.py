"""Apache Otava with its defaults: reads series, a JSON list a line, and writes the places of their change points."""

import json
import sys

from otava.series import AnalysisOptions, Metric, Series


def main():
    for line in sys.stdin:
        values = json.loads(line)
        series = Series("figure", None, list(range(len(values))), {"figure": Metric()}, {"figure": values}, {})
        found = series.analyze(AnalysisOptions()).change_points["figure"]
        print(json.dumps([int(change.index) for change in found]))


if __name__ == "__main__":
    main()
