"""What live Python objects take, by type.

``gc`` knows the containers; texts, bytes, numbers and arrays hang on those that hold them. Such an object counts for each of its holders
with its share, one divided by its references, so that it counts once and no list of what was seen has to be kept.
"""

import gc
import sys
import types

from .kernel import is_interruption

# What holds the program itself: many of them, and nothing a test would fill.
_PASSED_BY = frozenset(
    (
        type,
        types.FunctionType,
        types.BuiltinFunctionType,
        types.CodeType,
        types.GetSetDescriptorType,
        types.MemberDescriptorType,
        type(str.join),
        type(object.__init__),
        staticmethod,
        classmethod,
        property,
    )
)
# Of a referent seen here three references are our own: the list of referents, the variable, the argument.
_OUR_REFERENCES = 3
# Objects that live for ever have an absurd count of references.
_IMMORTAL = 1 << 28
# pymalloc holds what is not larger.
SMALL_BYTES = 512
# How deep containers that gc does not track may lie in each other.
_DEPTH = 5
_MOST_CHARACTERS = 200


class Census:
    """Counts and bytes by type, of what ``count`` was shown; ``large_bytes``: those of them that are no matter of pymalloc's."""

    def __init__(self):
        self.large_bytes = self.all_bytes = 0
        self._of = {}

    def count(self, objects):
        """Adds what gc tracks, and what hangs on it."""
        referents_of, size_of, of = gc.get_referents, sys.getsizeof, self._of
        total = large = 0
        for one in objects:
            kind = type(one)
            try:
                size = size_of(one)
                known = of.get(kind)
                if known is None:
                    known = of[kind] = [0, 0]
                is_passed_by = kind in _PASSED_BY
            except BaseException as error:
                if is_interruption(error):
                    raise
                # A size of the type's own making that cannot be told, or a metaclass whose types have no hash.
                continue
            known[0] += 1
            known[1] += size
            total += size
            if size > SMALL_BYTES:
                large += size
            if not is_passed_by:
                self._hanging(referents_of(one), 1.0, _DEPTH)
        self.all_bytes += total
        self.large_bytes += large

    def _hanging(self, referents, share, depth):
        is_tracked, references, size_of, of = gc.is_tracked, sys.getrefcount, sys.getsizeof, self._of
        total = large = 0
        for one in referents:
            if one is None or is_tracked(one):
                continue
            count = references(one) - _OUR_REFERENCES
            if count >= _IMMORTAL:
                continue
            part = share / count if count > 1 else share
            kind = type(one)
            try:
                size = size_of(one)
                known = of.get(kind)
                if known is None:
                    known = of[kind] = [0, 0]
            except BaseException as error:
                if is_interruption(error):
                    raise
                continue
            known[0] += part
            known[1] += size * part
            total += size * part
            if size > SMALL_BYTES:
                large += size * part
            if depth and (kind is dict or kind is tuple):
                self._hanging(gc.get_referents(one), part, depth - 1)
        self.all_bytes += total
        self.large_bytes += large

    def by_name(self, least_bytes):
        """Count and bytes by the type's name, of types that take so much; types themselves may be a test's own and are not kept."""
        named = {}
        for kind, (count, size) in self._of.items():
            if size >= least_bytes:
                known = named.setdefault(_name(kind), [0, 0])
                known[0] += round(count)
                known[1] += round(size)
        return named


def _name(kind):
    # A metaclass of somebody's own may answer anything, a text of its own kind too.
    try:
        module, name = kind.__module__, kind.__qualname__
    except BaseException as error:
        if is_interruption(error):
            raise
        return "?"
    if type(module) is not str or type(name) is not str:
        return "?"
    return (name if module == "builtins" else "%s.%s" % (module, name))[:_MOST_CHARACTERS]


def largest(named, most):
    """The types that take most, as ``[name, count, bytes]``."""
    return grown(named, {}, most)


def grown(named, before, most):
    """The types that grew most, as ``[name, count, bytes]``."""
    rows = []
    for name, (count, size) in named.items():
        count_before, size_before = before.get(name, (0, 0))
        if size > size_before:
            rows.append([name, count - count_before, size - size_before])
    rows.sort(key=lambda row: (-row[2], row[0]))
    return rows[:most]
