"""Adds up the marks of one process: what the test files, the fixtures and pytest itself did to its RSS.

The summary of ``pytest --highwater`` alone uses it; the agent and the server do the same in Rust, for whole jobs.
"""


class File:
    """A test file in one process; bytes."""

    def __init__(self, path, start):
        self.path, self.start, self.end, self.peak, self.spike = path, start, start, start, 0
        self.retained, self.tests, self.exact = 0, 0, True
        # What modules that its tests imported took since it began.
        self.late = 0


class Books:
    """First RSS + imports + fixtures + tests + between = last RSS."""

    def __init__(self):
        self.first = self.last = self.peak = 0
        self.imports = self.fixtures = self.tests = self.between = 0
        self.files = {}
        self.exact = True

    def balance(self):
        return self.first + self.imports + self.fixtures + self.tests + self.between == self.last


def add_up(records):
    """The books of the marks of one process, in order."""
    books, stack, previous, visit = Books(), [], None, None
    gone = _modules_gone(records)
    for at, mark in enumerate(records):
        if "rss_bytes" not in mark:
            continue
        rss, kind = mark["rss_bytes"], mark["kind"]
        peak = mark["peak_bytes"] if mark["peak_bytes"] is not None else rss
        books.exact = books.exact and mark["peak_bytes"] is not None
        books.peak = max(books.peak, peak, rss)
        if previous is None:
            books.first = rss
        else:
            _charge(books, stack, rss - previous)
            if visit is not None and "test" in stack:
                if stack[-1] == "late":
                    visit.late += rss - previous
                else:
                    visit.peak = max(visit.peak, peak - visit.late, rss - visit.late)
        previous = books.last = rss
        if at in gone:
            continue
        if kind == "tb":
            if visit is None or visit.path != mark["path"]:
                visit = _visit(books, mark["path"], rss)
            visit.tests += mark["execution"] == 1
            stack.append("test")
        elif kind in ("ib", "fb", "rb"):
            stack.append({"ib": "import", "fb": "fixture", "rb": "fixture"}[kind])
        elif kind == "mb":
            stack.append("late")
        elif kind in ("ie", "fe", "re", "me") and stack:
            stack.pop()
        elif kind == "te" and "test" in stack:
            del stack[stack.index("test") :]
            visit.retained += rss - visit.late - visit.end
            visit.end = rss - visit.late
            visit.spike = max(visit.spike, visit.peak - visit.start)
    return books


def _modules_gone(records):
    """Places of the marks of late imports that are their tests' own after all, since their modules did not stay."""
    gone, begun = set(), {}
    for at, mark in enumerate(records):
        if mark["kind"] == "mb":
            begun.setdefault(mark["module"], []).append(at)
        elif mark["kind"] == "mg" and begun.get(mark["module"]):
            # Begin and end stand side by side.
            first = begun[mark["module"]].pop()
            gone.update((first, first + 1))
    return gone


def _charge(books, stack, change):
    innermost = stack[-1] if stack else "between"
    if innermost in ("import", "late"):
        books.imports += change
    elif innermost == "fixture":
        books.fixtures += change
    elif innermost == "test":
        books.tests += change
    else:
        books.between += change


def _visit(books, path, rss):
    known = books.files.get(path)
    if known is None:
        known = books.files[path] = File(path, rss)
    known.start = known.end = known.peak = rss
    known.late = 0
    return known
