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
    if not os.environ.get(_VARIABLE):
        return True
    return workerinput is not None and SHARED in workerinput


def enter():
    """Marks this process as recorded; returns what was there before."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(os.getpid())
    return before


def leave(before):
    """Undoes ``enter``."""
    if before is None:
        os.environ.pop(_VARIABLE, None)
    else:
        os.environ[_VARIABLE] = before
