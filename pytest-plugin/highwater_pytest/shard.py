"""``--highwater-shard I/N --highwater-plan=FILE|ID``: runs the files of one job of a plan, in the plan's order.

Shards start apart and never talk; they agree because each decides for every file alone, by the plan and the file's name. A file of the plan
belongs to the job that lists it. One that is not in the plan, since it is newer, belongs to the job of the first group whose globs its name looks
like, else to the job that a digest of its name picks. So each file belongs to one job, whatever else is there, and files are whole.
"""

import hashlib
import json
import os
import re
import shlex
import uuid
from fnmatch import fnmatch

import pytest

from .paths import Paths

# The agent sets them; the flags say the same and go before them.
SHARD_VARIABLE, PLAN_VARIABLE = "HIGHWATER_SHARD", "HIGHWATER_PLAN"
_OPTIONS = ("--highwater-shard", "--highwater-plan")
# Where a controller of xdist tells its workers both.
_GIVEN = "highwater_shard"
# Where a worker tells its controller that what it has no tests of is in other shards.
_EMPTY = "highwater_shard_empty"
_NO_TESTS = 5
# A plan that a server keeps. A file that is called so is named by its folder too (``./…``).
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.IGNORECASE)


def add_options(parser):
    group = parser.getgroup("highwater", "memory recording")
    group.addoption("--highwater-shard", metavar="I/N", default=None, help="run job I of the N jobs of a plan (--highwater-plan)")
    group.addoption("--highwater-plan", metavar="FILE|ID", default=None, help="plan.json, as `highwater plan --write` wrote it (a path stands behind =), or the id of a plan that the server of HIGHWATER_SERVER keeps")


def configure(config):
    """Registers the shard that flags or variables ask for, if they do."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        shard, plan, text = workerinput.get(_GIVEN) or (None, None, None)
    else:
        shard, plan, text = config.getoption("highwater_shard", None), config.getoption("highwater_plan", None), None
        if shard is None and plan is None:
            shard, plan = _take_variables(config)
    if shard is None and plan is None:
        return
    if not shard or not plan:
        missing = "--highwater-plan=FILE|ID (or %s)" % PLAN_VARIABLE if shard else "--highwater-shard I/N (or %s)" % SHARD_VARIABLE
        raise pytest.UsageError("a shard of a plan needs %s too" % missing)
    if workerinput is None:
        _refuse_paths_behind_spaces(config)
    index = _index(shard)
    if _ID.match(plan):
        # Workers of xdist get it from their controller, which asked once.
        text = _fetched(plan) if text is None else text
        read = Plan.parse(text, plan)
        if read.id != plan.lower():
            raise pytest.UsageError("--highwater-plan=%s: the server answered with plan %s" % (plan, read.id))
    else:
        # A worker of xdist may stand elsewhere.
        plan = os.path.abspath(plan)
        read = Plan.read(plan)
    root = str(getattr(config, "rootpath", None) or config.rootdir)
    config.pluginmanager.register(Shard(index, read, Paths(root), [shard, plan, text]))


def _refuse_paths_behind_spaces(config):
    """Before plugins are loaded pytest knows no option of theirs, and takes the next word for a path of tests where there is such a path.

    What those have in common is where it looks for its ini. A plan above the suite hides the suite's own, and tests that it names are lost in silence.
    """
    given = [config.invocation_params.args, _words(os.environ.get("PYTEST_ADDOPTS", "")), config.getini("addopts")]
    for words in given:
        words = [str(word) for word in words]
        for option, value in zip(words, words[1:]):
            if option == "--":
                break
            # pytest looks for the file of a test's id as well.
            path = os.path.join(str(config.invocation_params.dir), value.split("::")[0])
            if option in _OPTIONS and os.path.exists(path):
                raise pytest.UsageError(
                    "write %s=%s, with = instead of a space: behind a space pytest takes what is there as a path for one of tests, "
                    "as it does not know the option yet when it looks for its ini, and may miss the suite's" % (option, shlex.quote(value))
                )


def _words(text):
    try:
        return shlex.split(text)
    except ValueError:
        # pytest has read it, so this was changed since.
        return []


def _fetched(plan):
    from . import fetching

    try:
        return fetching.fetch(plan)
    except fetching.NotFetched as why:
        raise pytest.UsageError("--highwater-plan=%s: %s" % (plan, why))


def _take_variables(config):
    """The variables are for this pytest. One that a test starts has a suite of its own, so the plan is taken out of its environment."""
    plan = os.environ.get(PLAN_VARIABLE, "").strip()
    if not plan:
        return None, None
    del os.environ[PLAN_VARIABLE]
    add_cleanup = getattr(config, "add_cleanup", None) or config._cleanup.append
    add_cleanup(lambda: os.environ.__setitem__(PLAN_VARIABLE, plan))
    return os.environ.get(SHARD_VARIABLE, "").strip(), plan


def _index(shard):
    found = re.match(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*\Z", shard)
    index, total = map(int, found.groups()) if found else (0, 0)
    if not 1 <= index <= total:
        raise pytest.UsageError("--highwater-shard: %r is not a shard from 1/N to N/N" % shard)
    return index, total


class Plan:
    """What shards need of a plan."""

    def __init__(self, identity, jobs, groups, shard=None):
        self.id = identity
        # The index and total of the shard that was recorded, where it was one of several: the plan knows no file of the others.
        self.shard = shard
        # The paths of each job's files, in order.
        self.jobs = jobs
        # Of each group its globs, and its job.
        self._groups = groups
        self._places = {path: (job, place) for job, paths in enumerate(jobs, 1) for place, path in enumerate(paths)}

    @classmethod
    def read(cls, path):
        """Reads a plan's file; raises ``UsageError`` where it is none, or not as it was written."""
        try:
            with open(path, "rb") as file:
                text = file.read()
        except OSError as error:
            raise pytest.UsageError("--highwater-plan=%s: %s" % (path, error.strerror or error))
        return cls.parse(text, path)

    @classmethod
    def parse(cls, text, path):
        """The same of its text; ``path`` is how the plan was named."""
        try:
            # As the agent reads it: UTF-8 without a mark of the byte order, each key once, and no number that JSON has not.
            text = text.decode("utf-8") if isinstance(text, bytes) else text
            if text.startswith("\ufeff"):
                raise ValueError("it begins with a byte order mark")
            document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise pytest.UsageError("--highwater-plan=%s: this is no plan that `highwater plan` made: %s" % (path, error))
        try:
            jobs = [[str(path) for path in job["files"]] for job in document["jobs"]]
            groups = [([str(glob) for glob in group["globs"]], int(group["job"])) for group in document.get("together", [])]
            identity, recorded = str(document["id"]), uuid.UUID(document["of"])
            # The id is of lines: a name that holds several could stand for another plan.
            if any("\n" in line for lines in jobs + [globs for globs, _ in groups] for line in lines):
                raise ValueError("a name of several lines")
            if not all(1 <= job <= len(jobs) for _, job in groups):
                raise ValueError("a group of a job that is not there")
            digest = _digest(recorded, jobs, groups)
            shard = document.get("shard")
            shard = (int(shard["index"]), int(shard["total"])) if shard else None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise pytest.UsageError("--highwater-plan=%s: this is no plan that `highwater plan` made (%r)" % (path, error))
        if digest != identity:
            raise pytest.UsageError(
                "--highwater-plan=%s: this plan was changed after it was made: its id is %s, and that of its content %s; make a new one with `highwater plan`"
                % (path, identity, digest)
            )
        return cls(identity, jobs, groups, shard)

    def job_of(self, path):
        """The number of the job that a file belongs to."""
        place = self._places.get(path)
        if place is not None:
            return place[0]
        for globs, job in self._groups:
            if any(_is_like(glob, path) for glob in globs):
                return job
        digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % len(self.jobs) + 1

    def order_of(self, path):
        """Where a file stands in its job: new ones behind the others, by name."""
        place = self._places.get(path)
        return (1, 0, path) if place is None else (0, place[1], "")

    def knows(self, path):
        return path in self._places


def _once(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError("%r stands in it twice" % next(key for key in found if keys.count(key) > 1))
    return found


def _no_number(word):
    raise ValueError("%s is no number" % word)


def _digest(recorded, jobs, groups):
    """The id of a plan, worked out as the agent and the server do."""
    parts = [("job", job, paths) for job, paths in enumerate(jobs, 1)] + [("together", job, globs) for globs, job in groups]
    text = "".join("%s %d\n%s" % (what, job, "".join(" %s\n" % line for line in lines)) for what, job, lines in parts)
    return str(uuid.uuid5(recorded, text))


def _is_like(glob, path):
    """``*`` stands for any characters, ``/`` among them, ``?`` for one, and every other for itself. The agent has the same rule.

    A regular expression of many stars could look for longer than anybody waits; this looks at each pair of places once at most.
    """
    at = in_path = 0
    # Where the last star stands, and how far it reaches.
    star, reach = None, 0
    while in_path < len(path):
        sign = glob[at] if at < len(glob) else None
        if sign == "*":
            star, reach = at, in_path
            at += 1
        elif sign is not None and sign in ("?", path[in_path]):
            at += 1
            in_path += 1
        elif star is not None:
            reach += 1
            at, in_path = star + 1, reach
        else:
            return False
    return not glob[at:].strip("*")


class Shard:
    """Leaves the files of other jobs out, and puts those of its own in the plan's order."""

    def __init__(self, shard, plan, paths, given):
        self.index, total = shard
        self._given = given
        self.plan = plan
        if total != len(plan.jobs):
            raise pytest.UsageError(
                "--highwater-shard %d/%d: plan %s has %d jobs, so the shards are 1/%d to %d/%d"
                % (self.index, total, plan.id, len(plan.jobs), len(plan.jobs), len(plan.jobs), len(plan.jobs))
            )
        self._paths = paths
        self._names = {}
        # Whether files or tests of other jobs were left out.
        self._left_out = False
        # Whether -k, -m or the like left out tests of this one.
        self._deselected = False
        self._ran = None

    def _name(self, path):
        key = str(path)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = self._paths.name(key)
        return name

    def pytest_ignore_collect(self, collection_path, config):
        """What is not this shard's is not even imported. A package's own file stays: what is in the package hangs on it."""
        if collection_path.name == "__init__.py" or collection_path.is_dir():
            return None
        if self.plan.job_of(self._name(collection_path)) == self.index:
            return None
        # pytest asks for each file that lies there, also for what is no test.
        is_test = self.plan.knows(self._name(collection_path)) or any(fnmatch(collection_path.name, like) for like in config.getini("python_files"))
        self._left_out = self._left_out or is_test
        return True

    def pytest_deselected(self, items):
        """Tests are left out by this itself, all of other jobs, or by -k and -m, of any."""
        is_own = [self.plan.job_of(self._name(_file_of(item))) == self.index for item in items]
        self._deselected = self._deselected or any(is_own)
        self._left_out = self._left_out or not all(is_own)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        """The last word on the order of files; that within a file stays."""
        named = [(self._name(_file_of(item)), item) for item in items]
        own = [(name, item) for name, item in named if self.plan.job_of(name) == self.index]
        others = [item for name, item in named if self.plan.job_of(name) != self.index]
        if others:
            config.hook.pytest_deselected(items=others)
        own.sort(key=lambda pair: self.plan.order_of(pair[0]))
        items[:] = [item for _, item in own]
        self._ran = list(dict.fromkeys(name for name, _ in own))

    def pytest_report_header(self, config):
        line = "highwater: shard %d/%d of plan %s" % (self.index, len(self.plan.jobs), self.plan.id)
        if getattr(config.option, "dist", "no") not in ("no", "loadfile"):
            line += "; --dist loadfile keeps each file on one worker"
        return line

    def pytest_terminal_summary(self, terminalreporter):
        """At the end, where ``-q`` hides nothing."""
        if self.plan.shard is not None:
            terminalreporter.write_line(
                "highwater: warning: plan %s: the recorded job was shard %d of %d: files of the other shards are in none of its jobs, and ran here or in another as new files; "
                "run its jobs by their lists of files (pytest @FILE), or plan from a recording of the whole suite" % ((self.plan.id,) + self.plan.shard),
                yellow=True,
            )

    def pytest_report_collectionfinish(self):
        if self._ran is None:
            return None
        new = sum(not self.plan.knows(name) for name in self._ran)
        missing = len(self.plan.jobs[self.index - 1]) - (len(self._ran) - new)
        line = "highwater: %d files of this shard, %d of them new; %d of the plan's are not there" % (len(self._ran), new, missing)
        if missing and missing == len(self.plan.jobs[self.index - 1]):
            line += ": pytest runs in the repository that was recorded, and its paths are those of the plan?"
        return line

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session, exitstatus):
        """A shard of which every file was deleted is no failure. A suite without any test still is, and so is one of which -k or -m left none."""
        config = session.config
        if hasattr(config, "workeroutput"):
            config.workeroutput[_EMPTY] = self._left_out and not self._deselected
        elif exitstatus == _NO_TESTS and self._left_out and not self._deselected:
            session.exitstatus = 0

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node):
        node.workerinput[_GIVEN] = self._given

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        output = getattr(node, "workeroutput", None) or {}
        self._left_out = self._left_out or bool(output.get(_EMPTY))


def _file_of(item):
    """The file that an item was collected from. Its path is asked for before the collection too, so that both agree."""
    for node in reversed(item.listchain()):
        if isinstance(node, pytest.File) and not isinstance(node, pytest.Package):
            return node.path
    return item.path
