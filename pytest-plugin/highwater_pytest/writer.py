"""Appends lines to the events file of this process; FORMAT.md says what they are."""

import errno
import json
import os

from .kernel import SEALS, is_foreign, lifted, real, sealed

MOST_CHARACTERS = 4000
_KEPT_CHARACTERS = 3980
_CHUNK_BYTES = 1 << 16
# Nothing stands under a name, or above it no folder.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def escape(text):
    """A text field: bounded, and without the characters that end fields and lines."""
    if len(text) > MOST_CHARACTERS:
        # Rare, and slow to import.
        import hashlib

        digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
        text = text[:_KEPT_CHARACTERS] + "\u2026#" + digest
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\t" in text or "\n" in text or "\r" in text:
        text = text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return text


def plain(value):
    """What JSON and UTF-8 can hold: a lone surrogate, as names that are no UTF-8 bring, is written out as ``\\udcXX``."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def _write_all(descriptor, content):
    """All of it, or the ``OSError`` that says why not: what finds no room for the rest takes a part without a word."""
    while content:
        content = content[real.write(descriptor, content) :]


class Writer:
    """An events file that only grows. When it cannot be written any more, it says so by ``failed`` and stays silent.

    ``put(line)`` keeps a line for the next flush. What was removed is written again where its folder is there again.
    """

    def __init__(self, folder):
        self.folder = folder
        self.failed = ""
        self._lines = []
        self.put = self._lines.append
        self._descriptor = -1
        self._is_ours = lambda: False
        # Whether the file was seen to have no name.
        self._missed = False
        self._reopen()

    @property
    def path(self):
        return os.path.join(self.folder, "%d.events" % real.getpid())

    def _open(self):
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = lifted(real.open(self.path, flags, 0o600))
        status = real.fstat(descriptor)
        # Its mode says whether it can be written, whatever the umask leaves of it.
        if not status.st_size and status.st_mode & 0o777 != 0o600:
            real.fchmod(descriptor, 0o600)
        return descriptor

    def _take(self, descriptor):
        self._descriptor = descriptor
        self._is_ours = sealed(descriptor, SEALS.events)
        self._missed = False

    def _reopen(self):
        try:
            self._take(self._open())
            # Whoever wrote here before may have been stopped within a line, by a full disk or a signal.
            length = real.fstat(self._descriptor).st_size
            if length and real.pread(self._descriptor, 1, length - 1) != b"\n":
                real.write(self._descriptor, b"\n")
        except OSError as error:
            if is_foreign(error):
                raise
            self.failed = "%s: %s" % (error.filename or self.folder, error.strerror)

    def _has_its_name(self):
        """Whether the file is what its name leads to; also where that cannot be told."""
        ours = real.fstat(self._descriptor)
        try:
            found = real.stat(self.path)
        except OSError as error:
            if is_foreign(error):
                raise
            return ours.st_nlink > 0 and error.errno not in _GONE
        return os.path.samestat(found, ours)

    def follow(self, at_once=False):
        """Where somebody removed the file or moved it away, writes all of it again under its name, as soon as there is a folder for it. Until then it grows on.

        Not when it is seen for the first time: whoever removes the folder may still be at it. What came back under the name is gone on with.
        """
        try:
            if self.failed or not self._is_ours() or self._has_its_name():
                self._missed = False
                return
            was_missed, self._missed = self._missed, True
            if not (was_missed or at_once):
                return
            old, new = self._descriptor, self._open()
        except OSError as error:
            if is_foreign(error):
                raise
            return
        try:
            at = self._common(old, new)
            while True:
                chunk = real.pread(old, _CHUNK_BYTES, at)
                if not chunk:
                    break
                at += len(chunk)
                _write_all(new, chunk)
        except OSError as error:
            if is_foreign(error):
                # The next look goes on where this one was broken off.
                real.close(new)
                raise
            self._take(new)
            self._break_off(error.strerror or str(error))
        else:
            self._take(new)
        real.close(old)

    @staticmethod
    def _common(old, new):
        """How much of a file's begin another holds already, where that holds nothing else; else 0."""
        length, at = real.fstat(new).st_size, 0
        while at < length:
            chunk = real.pread(new, _CHUNK_BYTES, at)
            if not chunk or chunk != real.pread(old, len(chunk), at):
                return 0
            at += len(chunk)
        return at

    def record(self, kind, content):
        """A line of JSON, on disk at once."""
        self.put("%s\t%s\n" % (kind, self.json(content)))
        self.flush()

    @staticmethod
    def json(content):
        """A field of JSON: it has no tab and no newline."""
        return json.dumps(plain(content), separators=(",", ":"))

    def flush(self):
        """Everything kept so far is in the file when this returns, or the writer has failed."""
        if self.failed:
            self._lines.clear()
            return
        try:
            # A test may have closed the descriptor and opened a file of its own under its number.
            ours = self._is_ours()
        except OSError as error:
            if is_foreign(error):
                raise
            ours = False
        if not ours:
            self._reopen()
            if self.failed:
                self._lines.clear()
                return
        content = "".join(self._lines).encode("utf-8", "backslashreplace")
        self._lines.clear()
        try:
            _write_all(self._descriptor, content)
        except OSError as error:
            if is_foreign(error):
                raise
            # A line may be torn; what writes to this file next begins a new one.
            self._break_off(error.strerror or "cannot write")

    def _break_off(self, reason):
        """No word of it fits into the file any more, so the file's mode tells: the reader may not take silence for a crash."""
        self.failed = reason
        try:
            real.fchmod(self._descriptor, 0o400)
        except OSError:
            pass

    def close(self):
        """Flushes and closes; answers what failed before, ``""`` for nothing."""
        self.flush()
        self.follow(at_once=True)
        self._let_go()
        failed, self.failed = self.failed, "closed"
        return failed

    def abandon(self):
        """In a forked child: what waits belongs to the parent, and so does the file."""
        self._lines.clear()
        self._let_go()

    def _let_go(self):
        try:
            if self._is_ours():
                real.close(self._descriptor)
        except OSError:
            # A test closed it before.
            pass
        self._descriptor, self._is_ours = -1, lambda: False
