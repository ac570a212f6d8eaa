"""Reads events files; FORMAT.md says what they are."""

import json

_MARKS = {
    "sb": (),
    "cb": (),
    "ce": ("items",),
    "ib": ("path",),
    "ie": ("outcome",),
    "tb": ("execution", "path", "nodeid"),
    "tp": ("phase",),
    "te": ("outcome", "setup", "call", "teardown"),
    "mb": ("module",),
    "me": (),
    "mg": ("module",),
    "fb": ("fixture", "name", "scope", "path", "base"),
    "fe": ("fixture", "outcome"),
    "rb": ("fixture",),
    "re": ("fixture",),
    "se": ("exit_status",),
    "db": (),
    "de": ("diagnosis",),
    "xx": ("true_peak_bytes",),
}
# What later writers add at the end of a line: missing, ``-`` or none at all where there is nothing to say.
_FURTHER = {"ce": ("files",), "ie": ("cause",), "tb": ("time_limit_us", "time_limit_method"), "te": ("cause",)}
_METHODS = ("thread", "signal")
_NUMBERS = {"items", "execution", "fixture", "exit_status", "true_peak_bytes"}
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


class UnknownVersion(ValueError):
    """An events file of a version that this reader does not know."""


def unescape(text):
    if "\\" not in text:
        return text
    out, at = [], 0
    while at < len(text):
        following = text[at + 1 : at + 2]
        if text[at] == "\\" and following in _ESCAPES:
            out.append(_ESCAPES[following])
            at += 2
        else:
            out.append(text[at])
            at += 1
    return "".join(out)


def _number(text):
    return None if text == "-" else int(text)


def _object(kind, text):
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("%s: no JSON object" % kind)
    return dict(found, kind=kind)


def parse(line):
    """One line without its newline as a dict with ``kind`` and the fields of FORMAT.md; ``None`` for an unknown kind.

    Raises ``ValueError`` for a malformed line and ``UnknownVersion`` for a header of another version.
    """
    kind, _, rest = line.partition("\t")
    fields = rest.split("\t")
    if kind == "H":
        if fields[0] != "1":
            raise UnknownVersion("events file of version %r, but this reads 1" % fields[0])
        return _object(kind, fields[1])
    if kind in ("S", "N"):
        return _object(kind, fields[0])
    if kind == "a":
        return {"kind": kind, "t_us": int(fields[0]), "blocks": int(fields[1]), "cost_us": int(fields[2])}
    names = _MARKS.get(kind)
    if names is None:
        return None
    if len(fields) < 3 + len(names):
        raise ValueError("%s: %d fields, but %d are needed" % (kind, len(fields), 3 + len(names)))
    mark = {"kind": kind, "t_us": int(fields[0]), "rss_bytes": int(fields[1]), "peak_bytes": _number(fields[2])}
    for name, text in zip(names, fields[3:]):
        mark[name] = _value(name, text)
    for name, text in zip(_FURTHER.get(kind, ()), fields[3 + len(names) :]):
        _take_further(mark, name, text)
    return mark


def _value(name, text):
    if name == "diagnosis":
        return json.loads(text)
    return _number(text) if name in _NUMBERS else unescape(text)


def _take_further(mark, name, text):
    if name == "time_limit_us":
        if text.isdigit():
            mark[name] = int(text)
    elif name == "time_limit_method":
        if text in _METHODS:
            mark[name] = text
    elif text != "-":
        mark[name] = unescape(text)


def read(content):
    """All whole lines of a file's bytes: the records, and the malformed lines as (number, problem)."""
    records, problems = [], []
    whole = content[: content.rfind(b"\n") + 1]
    for number, line in enumerate(whole.decode("utf-8", "replace").split("\n")[:-1], 1):
        try:
            record = parse(line)
        except UnknownVersion:
            raise
        except (ValueError, IndexError) as error:
            problems.append((number, str(error)))
            continue
        if record is not None:
            records.append(record)
    return records, problems
