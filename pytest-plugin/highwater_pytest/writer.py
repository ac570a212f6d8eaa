"""Appends lines to the events file of this process; FORMAT.md says what they are."""

import hashlib
import json
import os

from .kernel import identity, lifted, real

MOST_CHARACTERS = 4000
_KEPT_CHARACTERS = 3980


def escape(text):
    """A text field: bounded, and without the characters that end fields and lines."""
    if len(text) > MOST_CHARACTERS:
        digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
        text = text[:_KEPT_CHARACTERS] + "\u2026#" + digest
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\t" in text or "\n" in text or "\r" in text:
        text = text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return text


class Writer:
    """An events file that only grows. When it cannot be written any more, it says so by ``failed`` and stays silent."""

    def __init__(self, folder):
        self.folder = folder
        self.failed = ""
        self._lines = []
        self._descriptor = -1
        self._identity = None
        self._reopen()

    @property
    def path(self):
        return os.path.join(self.folder, "%d.events" % real.getpid())

    def _reopen(self):
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = lifted(real.open(self.path, flags, 0o600))
            self._identity = identity(self._descriptor)
        except OSError as error:
            self.failed = "%s: %s" % (error.filename or self.folder, error.strerror)

    def check(self):
        """Opens the file afresh when a test has closed or replaced the descriptor."""
        if self.failed:
            return
        try:
            status = real.fstat(self._descriptor)
            if (status.st_dev, status.st_ino) == self._identity:
                return
        except OSError:
            pass
        self._reopen()

    def put(self, line):
        """Keeps a line for the next flush."""
        self._lines.append(line)

    def record(self, kind, content):
        """A line of JSON, on disk at once."""
        self.put("%s\t%s\n" % (kind, json.dumps(content, separators=(",", ":"))))
        self.flush()

    def flush(self):
        """Everything kept so far is in the file when this returns, or the writer has failed."""
        if self.failed:
            self._lines.clear()
            return
        content = "".join(self._lines).encode("utf-8", "backslashreplace")
        self._lines.clear()
        # A test may have closed the descriptor and opened a file of its own under its number.
        self.check()
        if self.failed:
            return
        try:
            written = real.write(self._descriptor, content)
        except OSError as error:
            self.failed = error.strerror or "cannot write"
            return
        if written != len(content):
            # A torn line would spoil the next: end it, and stop.
            self.failed = "no space left"

    def close(self):
        """Flushes and closes."""
        self.flush()
        try:
            if identity(self._descriptor) == self._identity:
                real.close(self._descriptor)
        except OSError:
            pass
        self._descriptor = -1
        self.failed = self.failed or "closed"

    def abandon(self):
        """In a forked child: what waits belongs to the parent, and so does the file."""
        self._lines = []
        try:
            if identity(self._descriptor) == self._identity:
                real.close(self._descriptor)
        except OSError:
            pass
