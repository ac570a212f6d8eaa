"""Marks the exact memory of every test, fixture and import of a pytest run.

Importing this package costs next to nothing and does nothing: the recording begins in ``pytest_configure``, and only where
``HIGHWATER_EVENTS`` names a folder or ``--highwater`` was given.

Whatever pytest meets the agent's ``PYTHONPATH`` imports this module, so every Python since 2.7 can read it: ASCII, and no newer syntax. Where the rest cannot
be read it has no hooks, and pytest runs as if it were not there.
"""

import sys

__version__ = "0.1.0"
__all__ = []

if sys.version_info >= (3, 8):
    from .plugin import pytest_addoption, pytest_configure

    __all__ += ["pytest_addoption", "pytest_configure"]
