"""pytest inside pytest: what a recorded test starts is no part of the suite."""

import os

_VARIABLE = "HIGHWATER_RECORDING"
# Where a recorded controller tells its workers of their session.
SHARED = "highwater"


def is_outermost(workerinput):
    """False where this pytest was started by a test, a fixture or an import of a recorded one.

    A recorded pytest leaves its number in the environment, which what it starts inherits. Its xdist workers inherit it too, but they are
    given their session by the recorded controller (``workerinput``; ``None`` for what is no worker): those of a nested one are not.
    """
    if _outer() is None:
        return True
    return workerinput is not None and SHARED in workerinput


def _outer():
    """What a recorded process above this one left in the environment; ``None`` where there is none.

    What is left over from elsewhere says nothing, and neither does this process's own number: it was another program then, which became
    this one (``os.exec``).
    """
    left = os.environ.get(_VARIABLE)
    return left if left and _is_above(left) else None


def _is_above(number):
    """Whether a process of that number is an ancestor; also where that cannot be told."""
    if number == str(os.getpid()):
        return False
    above = os.getppid()
    while above > 0:
        if number == str(above):
            return True
        try:
            with open("/proc/%d/stat" % above, "rb") as stat:
                above = int(stat.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            return True
    return False


def enter():
    """Marks this process as recorded; returns what was there before."""
    before = _outer()
    os.environ[_VARIABLE] = str(os.getpid())
    return before


def leave(before):
    """Undoes ``enter``."""
    if before is None:
        os.environ.pop(_VARIABLE, None)
    else:
        os.environ[_VARIABLE] = before
