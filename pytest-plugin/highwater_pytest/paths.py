"""What a test file is called: the same name on every machine."""

import os

from .writer import escape

_PACKAGES = ("site-packages", "dist-packages")


def repo_root(root):
    """Root of the repository: ``HIGHWATER_ROOT``, else the nearest parent of the root directory with ``.git``, else ''."""
    given = os.environ.get("HIGHWATER_ROOT")
    if given:
        return os.path.realpath(given)
    here = os.path.realpath(root)
    while True:
        if os.path.exists(os.path.join(here, ".git")):
            return here
        above = os.path.dirname(here)
        if above == here:
            return ""
        here = above


class Paths:
    """Names of files, worked out once each."""

    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.repo_root = repo_root(root)
        self._known = {}

    def name(self, path):
        """The name of a file by its path on this machine."""
        return self._work_out(os.path.realpath(str(path)))

    def word(self, path):
        """The name of a file by its path on this machine, as a field of a line."""
        key = str(path)
        word = self._known.get(key)
        if word is None:
            word = self._known[key] = escape(self.name(key))
        return word

    def _work_out(self, path):
        parts = path.split(os.sep)
        for at in range(len(parts) - 2, 0, -1):
            if parts[at] in _PACKAGES:
                return "/".join(parts[at + 1 :])
        base = self.repo_root if self._below(path, self.repo_root) else self.root
        try:
            return os.path.relpath(path, base).replace(os.sep, "/")
        except ValueError:
            return path.replace(os.sep, "/")

    @staticmethod
    def _below(path, folder):
        return bool(folder) and path.startswith(folder.rstrip(os.sep) + os.sep)
