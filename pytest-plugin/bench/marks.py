"""What the plugin costs, by part: microseconds, the median of several rounds. The last line is the same as JSON.

    PYTHONPATH=pytest-plugin python pytest-plugin/bench/marks.py [ROUNDS CALLS]
"""

import json
import os
import statistics
import sys
import tempfile
import time

from highwater_pytest.kernel import Kernel
from highwater_pytest.recorder import Recorder

ROUNDS, CALLS = map(int, sys.argv[1:] or ["15", "2000"])


def measure(call):
    """Median over rounds of µs a call."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for _ in range(CALLS):
            call()
        rounds.append((time.perf_counter_ns() - began) / CALLS / 1000)
    return statistics.median(rounds)


def main():
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(folder, folder, True, {})
        kernel = Kernel()
        path = os.path.join(folder, "test_a.py")

        words = recorder.words_of_fixture("data", "function", path, "test_a.py")

        def test():
            recorder.test_begins("test_a.py::test", path, "")
            recorder.mark("tp", "\tcall", True)
            recorder.mark("tp", "\tteardown")
            recorder.test_ends("\tpassed" * 4)

        def fixture():
            number = recorder.fixture_begins(words)
            recorder.mark("fe", number + "\tpassed")
            recorder.release_begins(number)
            recorder.release_ends(number)

        parts = {
            "readings of one mark (clock apart)": kernel.read,
            "one line to the file": lambda: (recorder.writer.put("tb\t%d\n" % 1), recorder.writer.flush()),
            "a whole test: four marks in one reading or two, two writes": test,
            "a fixture: four marks in one reading or two, one write": fixture,
        }
        figures = {name: round(measure(call), 2) for name, call in parts.items()}
        if not kernel.exact or not recorder.active:
            raise SystemExit("the kernel's mark is not to be had here: %s" % (kernel.exact_reason or recorder.problem))
        recorder.close()
    for name, us in figures.items():
        print("%8.2f us  %s" % (us, name))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
