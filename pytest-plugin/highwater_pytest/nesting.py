"""pytest inside pytest: what a recorded test starts is no part of the suite."""

import os

_VARIABLE = "HIGHWATER_RECORDING"


def is_outermost(is_worker):
    """False where this pytest was started by a test, a fixture or an import of a recorded one.

    A recorded pytest leaves its number in the environment, which what it starts inherits. Its xdist workers inherit it too, and are
    told apart by what xdist gives them; but a worker started by a nested controller has two recorded ancestors.
    """
    recorded = os.environ.get(_VARIABLE, "")
    if not recorded:
        return True
    if is_worker:
        return recorded == str(os.getppid())
    return False


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
