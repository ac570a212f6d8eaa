"""Adds up the marks of one process: what the test files, the fixtures and pytest itself did to its RSS.

The summary of ``pytest --highwater`` alone uses it; the agent and the server do the same in Rust, for whole jobs.
"""


class File:
    """A test file in one process; bytes."""

    def __init__(self, path, start):
        self.path, self.start, self.end, self.peak, self.spike = path, start, start, start, 0
        self.retained, self.tests, self.exact = 0, 0, True
        # What modules that its tests imported, and fixtures that several files share, took since it began.
        self.others = 0


class _Fixture:
    """One set-up of a fixture and its teardown."""

    def __init__(self, scope, base):
        self._outlives = scope not in ("function", "class", "module")
        self._is_shared = self._outlives and not base.partition("::")[0].endswith(".py")
        self.held, self.ends = 0, False

    def is_nobodys(self):
        """Which file meets it is a matter of order: set-ups of what outlives files and no test file defines, teardowns of all that outlives them."""
        return self._outlives if self.ends else self._is_shared


def _is_nobodys(part):
    return part == "late" or isinstance(part, _Fixture) and part.is_nobodys()


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
    gone, fixtures, torn_down = _modules_gone(records), {}, []
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
            change = rss - previous
            _charge(books, stack, change)
            if visit is not None and "test" in stack:
                if not any(map(_is_nobodys, stack)):
                    visit.peak = max(visit.peak, max(peak, rss) - visit.others)
                if _is_nobodys(stack[-1]):
                    visit.others += change
                elif stack[-1] == "test":
                    visit.others -= _released(torn_down, -change)
        previous = books.last = rss
        if at in gone:
            continue
        if kind == "tb":
            if visit is None or visit.path != mark["path"]:
                visit = _visit(books, mark["path"], rss)
            visit.tests += mark["execution"] == 1
            torn_down = []
            stack.append("test")
        elif kind == "ib":
            stack.append("import")
        elif kind == "fb":
            fixture = fixtures[mark["fixture"]] = _Fixture(mark["scope"], mark["base"])
            stack.append(fixture)
        elif kind == "rb":
            fixture = fixtures.setdefault(mark["fixture"], _Fixture("function", ""))
            fixture.ends = True
            torn_down.append(fixture)
            stack.append(fixture)
        elif kind == "mb":
            stack.append("late")
        elif kind in ("ie", "fe", "re", "me") and stack:
            stack.pop()
        elif kind == "te" and "test" in stack:
            del stack[stack.index("test") :]
            visit.retained += rss - visit.others - visit.end
            visit.end = rss - visit.others
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


def _released(torn_down, given_back):
    """Of what a test gave back, the part that fixtures still held which outlive files and were torn down in it: pytest lets go of a value after that."""
    of_nobody, left = 0, max(given_back, 0)
    for fixture in sorted(torn_down, key=lambda it: -it.held):
        part = min(left, max(fixture.held, 0))
        fixture.held -= part
        left -= part
        of_nobody += part if fixture.is_nobodys() else 0
    return of_nobody


def _charge(books, stack, change):
    innermost = stack[-1] if stack else "between"
    if isinstance(innermost, _Fixture):
        innermost.held += change
    if innermost in ("import", "late"):
        books.imports += change
    elif isinstance(innermost, _Fixture):
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
    known.others = 0
    return known
