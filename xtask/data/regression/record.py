"""Records the suites of the regression benchmark and keeps of each recording what `check` uses.

    python record.py --highwater target/release --python venv/bin/python --work target/recordings --rounds 20

A virtual environment with pytest, pytest-xdist, hypothesis, networkx, numpy and sympy is wanted. One round records
each cell once, so that what the machine does meanwhile falls on all of them alike.
"""

import argparse
import json
import pathlib
import subprocess
import time
import urllib.request

SUITES = {
    "networkx": (["networkx.utils", "networkx.linalg", "networkx.readwrite"], "not round_trip and not very_large"),
    "sympy": (["sympy.strategies", "sympy.liealgebras", "sympy.unify", "sympy.algebras", "sympy.external"], "not slow"),
}
DISTRIBUTIONS = ("load", "loadfile")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--highwater", type=pathlib.Path, required=True, help="folder of both binaries")
    parser.add_argument("--python", type=pathlib.Path, required=True, help="a Python that has the suites")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder of the database and the summaries")
    parser.add_argument("--suite", choices=SUITES, action="append", help="only this suite; all where none is named")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent, help="folder of the data")
    parser.add_argument("--append", action="store_true", help="keep the recordings that are there")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further round after so long")
    return parser.parse_args()


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def record(options, server, suite, dist, number):
    """Records one job; answers what the server says of it and of its files."""
    modules, wanted = SUITES[suite]
    summary = options.work / f"{suite}-{dist}-{number}.json"
    command = [options.highwater / "highwater", "run", "--quiet", "--server", server, "--project", f"bench/{suite}"]
    command += ["--job", dist, "--spool", options.work / "spool", "--summary", summary, "--", options.python]
    command += ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", dist, "-k", wanted]
    command += ["--pyargs", *modules]
    ended = subprocess.run(command, cwd=options.work, stdout=subprocess.DEVNULL, check=False)
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{suite} did not run: exit code {ended.returncode}")
    uuid = json.loads(summary.read_text())["uuid"]
    address = f"{server}/api/v1/jobs/{uuid}"
    return get(address), get(f"{address}/files?per_page=1000")


def rows_of(answer):
    """The rows of an answer that may be a list or a page of one."""
    if isinstance(answer, list):
        return answer
    return next(value for value in answer.values() if isinstance(value, list))


HEAD = "recording,path,peak_bytes,retained_bytes,spike_bytes,tree_peak_bytes,import_bytes,late_import_bytes,tests,failed,censored"


def kept(out, suite, dist):
    """The lines of a cell that is there."""
    path = out / f"{suite}-{dist}.csv"
    return path.read_text().splitlines()[1:] if path.exists() else []


def keep(out, suite, dist, there, answers):
    """Writes a cell behind what is there: a line for each recording's peak and one for each of its files, in bytes."""
    first = 1 + max((int(line.split(",")[0]) for line in there), default=-1)
    lines = [HEAD, *there]
    for number, (job, files) in enumerate(answers, first):
        lines.append(f"{number},,{job['peak_bytes']},,,,,,,,")
        for row in sorted(rows_of(files), key=lambda row: row["path"]):
            if row["visits"] == 0:
                continue
            path = row["path"].split("site-packages/")[-1]
            figures = [row[name] for name in HEAD.split(",")[2:-1]]
            lines.append(",".join([str(number), path, *map(str, figures), str(int(row["censored"]))]))
    (out / f"{suite}-{dist}.csv").write_text("\n".join(lines) + "\n")


def main():
    options = arguments()
    for name in ("highwater", "python", "work", "out"):
        # Not resolved: a virtual environment's Python is a link that must stay one.
        setattr(options, name, getattr(options, name).absolute())
    options.work.mkdir(parents=True, exist_ok=True)
    database = f"sqlite://{options.work}/highwater.db"
    server = subprocess.Popen(
        [options.highwater / "highwater-server", "--listen", "127.0.0.1:0", "--database", database],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    cells = {(suite, dist): [] for suite in options.suite or SUITES for dist in DISTRIBUTIONS}
    there = {cell: kept(options.out, *cell) if options.append else [] for cell in cells}
    began = time.monotonic()
    try:
        url = server.stdout.readline().strip().rsplit(" on ", 1)[1]
        for number in range(options.rounds):
            if time.monotonic() - began > options.minutes * 60:
                break
            for (suite, dist), answers in cells.items():
                answers.append(record(options, url, suite, dist, number))
                keep(options.out, suite, dist, there[suite, dist], answers)
            print(f"round {number + 1} of {options.rounds} after {time.monotonic() - began:.0f} s", flush=True)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
