"""Reads what strace writes of a server: which calls it made, in which order, and whether what it acknowledged was on disk by then."""

import collections
import json
import re

#: `begin` and `end` count the lines of the trace: of two calls, one was over before the other began where its end is the smaller.
Call = collections.namedtuple("Call", "name path data result begin end")

#: -y names files, -xx writes every byte as \xNN; an acknowledgement and a page of the log are shorter than this.
STRACE = ["strace", "-f", "-qq", "-y", "-xx", "-s", "6000", "-e", "trace=pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync", "-e", "signal=none"]
WHOLE = re.compile(r"(\w+)\((\d+)<([^>]*)>(.*)\)\s+= (-?\d+)")
#: What SQLite writes before each page of the log; its second word is not 0 where a transaction ends with this page.
FRAME_BYTES = 24
RECEIPT = re.compile(rb'\{"acknowledged":[^}]*\}')


def calls(lines):
    """All calls that came to their end."""
    begun, found = {}, []
    for number, line in enumerate(lines):
        pid, _, rest = line.strip().partition(" ")
        rest = rest.lstrip()
        if rest.endswith("<unfinished ...>"):
            begun[pid] = (number, rest[: -len("<unfinished ...>")])
            continue
        begin = number
        if rest.startswith("<... "):
            begin, first = begun.pop(pid)
            rest = first + rest.partition(" resumed>")[2]
        match = WHOLE.match(rest)
        if match:
            name, _, path, words, result = match.groups()
            path = bytes.fromhex(path.replace("\\x", "")).decode() if path.startswith("\\x") else path
            data = b"".join(bytes.fromhex(text.replace("\\x", "")) for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', words))
            found.append(Call(name, path, data, int(result), begin, number))
    return found


def acknowledgements(found):
    """What each answer names, with the call that sent it."""
    sent = [call for call in found if call.path.startswith(("socket:", "TCP:")) and b"HTTP/1.1 20" in call.data]
    return [(json.loads(receipt), call) for call in sent for receipt in RECEIPT.findall(call.data)]


def key(receipt):
    return tuple(receipt.get(name) for name in ("acknowledged", "job", "stream", "seq"))


def too_early(found, marks):
    """What was acknowledged before it was on disk. `marks`: bytes by which each thing is known in the log of the database."""
    log = [call for call in found if call.path.endswith("-wal")]
    writes = [call for call in log if "write" in call.name]
    syncs = [call for call in log if call.name in ("fsync", "fdatasync") and call.result == 0]
    early = []
    for receipt, answer in acknowledgements(found):
        mark = marks[key(receipt)]
        written = next((n for n, call in enumerate(writes) if mark in call.data and call.end < answer.begin), None)
        committed = None
        if written is not None:
            # The head of a frame is written by itself, and the page after it.
            heads = range(written - 1, len(writes) - 1)
            committed = next((writes[n + 1] for n in heads if len(writes[n].data) == FRAME_BYTES and any(writes[n].data[4:8])), None)
        if committed is None or not any(committed.end < sync.begin and sync.end < answer.begin for sync in syncs):
            early.append(key(receipt))
    return early
