"""Pythons that the plugin is not made for import its first module and nothing else: the tests run as if it were not there."""

import ast
import shutil
import subprocess
import sys

import pytest

from conftest import PLUGIN

ENTRY = PLUGIN / "highwater_pytest" / "__init__.py"
# What Python 2.7 reads as every Python since does.
OLD_SYNTAX = (
    ast.Module, ast.Expr, ast.Constant, ast.Assign, ast.AugAssign, ast.Add, ast.Name, ast.Attribute, ast.List, ast.Tuple, ast.Load, ast.Store,
    ast.Import, ast.ImportFrom, ast.alias, ast.If, ast.Compare, ast.GtE,
)  # fmt: skip
IMPORTS = """
import sys
sys.path.insert(0, {plugin!r})
{before}
import highwater_pytest
assert highwater_pytest.__version__ and highwater_pytest.__all__ == []
assert not [name for name in dir(highwater_pytest) if name.startswith("pytest_")]
assert not [name for name in sys.modules if name.startswith("highwater_pytest.") and sys.modules[name]]
"""


def imports(python, before=""):
    return subprocess.run([python, "-B", "-c", IMPORTS.format(plugin=str(PLUGIN), before=before)], stderr=subprocess.PIPE, timeout=60)


def test_every_python_can_read_the_entry_module():
    tree = ast.parse(ENTRY.read_bytes().decode("ascii"))
    assert {type(node) for node in ast.walk(tree)} <= set(OLD_SYNTAX)


@pytest.mark.parametrize("version", [(2, 7, 5), (3, 6, 8), (3, 7, 17)])
def test_below_3_8_it_imports_nothing_else_and_has_no_hooks(version):
    done = imports(sys.executable, "sys.version_info = %r" % (version,))
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("name", ["python2.7", "python3.6", "python3.7"])
def test_so_it_is_with(name):
    python = shutil.which(name)
    # A shim of pyenv is there also where its Python is switched off.
    if python is None or subprocess.call([python, "-c", ""], stderr=subprocess.DEVNULL):
        pytest.skip("NOT RUN: no %s that starts is on PATH" % name)
    done = imports(python)
    assert done.returncode == 0, done.stderr.decode()
