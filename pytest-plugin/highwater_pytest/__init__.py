"""Marks the exact memory of every test, fixture and import of a pytest run.

Importing this package costs next to nothing and does nothing: the recording begins in ``pytest_configure``, and only where
``HIGHWATER_EVENTS`` names a folder or ``--highwater`` was given.
"""

from .plugin import pytest_addoption, pytest_configure

__version__ = "0.1.0"
__all__ = ["pytest_addoption", "pytest_configure"]
