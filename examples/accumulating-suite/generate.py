#!/usr/bin/env python3
"""Writes a pytest suite whose memory is known: what each file keeps, what it needs for a while, and how.

    python generate.py OUT_DIR [--case CASE] [--scale F] [--files N] [--seed N]

The suite writes its own truth, read from /proc by itself, where SUITE_TRUTH names a folder. See README.md.
"""

import argparse
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from cases import CASES  # noqa: E402


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, help="folder to write the suite to; must not exist or be empty")
    parser.add_argument("--case", choices=sorted(CASES), default="monolith")
    parser.add_argument("--scale", type=float, default=0.1, help="1.0 is the size of the original case, 5 GB")
    parser.add_argument("--files", type=int, default=85, help="files of the monolith")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    if options.scale <= 0 or options.files < 1:
        parser.error("--scale and --files must be above 0")
    if options.out.exists() and any(options.out.iterdir()):
        parser.error("%s is not empty; name a new folder" % options.out)
    files = CASES[options.case](options)
    write(options.out, files)
    tests = sum("/test_" in path for path in files)
    print("%s: %d test files, case %s, scale %s" % (options.out, tests, options.case, options.scale))
    return 0


def write(out, files):
    out.mkdir(parents=True, exist_ok=True)
    (out / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    for name in ("conftest.py", "memory_kinds.py"):
        shutil.copyfile(str(HERE / "support" / name), str(out / name))
    for path, text in files.items():
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
