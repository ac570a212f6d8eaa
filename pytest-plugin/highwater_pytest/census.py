"""What live Python objects take, by type.

``gc`` knows the containers; texts, bytes, numbers and arrays hang on those that hold them. Such an object counts for each of its holders
with its share, how often that holder has it divided by its references, so that it counts once and no list of what was seen has to be kept. A
size is what the object itself takes: what classes answer in Python (``__sizeof__`` of pandas) counts what hangs on it too, and is not asked.
"""

import collections
import gc
import sys
import types

from .allocators import untouched_bytes
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
# Objects that live for ever have an absurd count of references.
_IMMORTAL = 1 << 28
# pymalloc holds what is not larger.
SMALL_BYTES = 512
# Larger blocks may have pages that nothing was ever written to, which take nothing.
_PAGED_BYTES = 1 << 20
# What gc puts in front of an object that it tracks, and the flag of types that have it.
_GC_HEAD_BYTES = 2 * tuple.__itemsize__
_HAS_GC = 1 << 14
# How deep containers that gc does not track may lie in each other.
_DEPTH = 5
_MOST_CHARACTERS = 200


def _our_references():
    """How many references of a referent are those of the census itself: the list of referents, the variable and, before Python 3.14, the argument."""
    references = sys.getrefcount
    for one in [object()]:
        return references(one)


_OUR_REFERENCES = _our_references()


def _times(referents):
    """How often each is there, by id, of those that may be there more than once: the holder and the list of referents have such a one twice each."""
    is_tracked, references, times = gc.is_tracked, sys.getrefcount, {}
    for one in referents:
        if references(one) > _OUR_REFERENCES + 2 and not is_tracked(one):
            times[id(one)] = times.get(id(one), 0) + 1
    return times


# How the memory of a type's objects lies.
_ONE_BLOCK, _HEAD_AND_REST, _ORDERED = range(3)
_mro = type.__dict__["__mro__"].__get__
_basic_bytes = type.__dict__["__basicsize__"].__get__
_item_bytes = type.__dict__["__itemsize__"].__get__
_flags = type.__dict__["__flags__"].__get__
_names = type.__dict__["__dict__"].__get__


class _Kind:
    """What the census knows of a type, and has counted of it. A metaclass is asked for nothing but its hash: it may answer anything."""

    __slots__ = ("count", "bytes", "size_of", "array", "_basic", "_head", "_shape")

    def __init__(self, kind, array):
        self.count = self.bytes = 0
        head = _GC_HEAD_BYTES if _flags(kind) & _HAS_GC else 0
        self._basic, self._head = _basic_bytes(kind), _basic_bytes(kind) + head
        mro = _mro(kind)
        own = [names["__sizeof__"] for names in map(_names, mro) if "__sizeof__" in names]
        self.size_of = sys.getsizeof
        if own and isinstance(own[0], types.FunctionType):
            plain = next(one for one in own if isinstance(one, types.MethodDescriptorType))
            self.size_of = lambda one: plain(one) + head
        self.array = array if any(one is array for one in mro) else None
        if any(one is collections.OrderedDict for one in mro):
            self._shape = _ORDERED
        elif kind is str or _item_bytes(kind):
            self._shape = _ONE_BLOCK
        else:
            self._shape = _HEAD_AND_REST

    def is_view(self, one):
        return not self.array.flags.__get__(one).owndata

    def base_of(self, one):
        """What an array is a view of, as a list of referents: gc does not know it."""
        return [self.array.base.__get__(one)]

    def touched(self, one, size):
        """The size without pages that nothing was written to yet."""
        if type(one) is bytes:
            return size - untouched_bytes(id(one), size)
        if self.array is not None and self.array.flags.__get__(one).owndata:
            address, _ = self.array.__array_interface__.__get__(one)["data"]
            return size - untouched_bytes(address, self.array.nbytes.__get__(one))
        return size

    def large_bytes(self, one, size):
        """Of an object's size that which pymalloc does not hold: the blocks of it that are too large."""
        if self._shape == _ONE_BLOCK:
            return size if size > SMALL_BYTES else 0
        # An ordered dict's nodes are small, each of them.
        rest = dict.__sizeof__(one) - self._basic if self._shape == _ORDERED else size - self._head
        return (self._head if self._head > SMALL_BYTES else 0) + (rest if rest > SMALL_BYTES else 0)


class Census:
    """Counts and bytes by type, of what ``count`` was shown; ``large_bytes``: those of them that are no matter of pymalloc's."""

    def __init__(self):
        self.large_bytes = self.all_bytes = 0
        self._of = {}
        self._array = getattr(sys.modules.get("numpy"), "ndarray", None)

    def count(self, objects):
        """Adds what gc tracks, and what hangs on it."""
        referents_of, of = gc.get_referents, self._of
        total = large = 0
        for one in objects:
            kind = type(one)
            try:
                known = of.get(kind)
                if known is None:
                    known = of[kind] = _Kind(kind, self._array)
                size = known.size_of(one)
                if size > SMALL_BYTES:
                    if size > _PAGED_BYTES:
                        size = known.touched(one, size)
                    large += known.large_bytes(one, size)
                base = known.base_of(one) if known.array is not None and known.is_view(one) else None
                is_passed_by = kind in _PASSED_BY
            except BaseException as error:
                if is_interruption(error):
                    raise
                # A size that cannot be told, or a metaclass whose types have no hash.
                continue
            known.count += 1
            known.bytes += size
            total += size
            if not is_passed_by:
                self._hanging(referents_of(one), 1.0, _DEPTH)
            if base:
                self._hanging(base, 1.0, _DEPTH)
        self.all_bytes += total
        self.large_bytes += large

    def _hanging(self, referents, share, depth):
        """Adds what gc does not track of a list of referents, and what hangs on that."""
        is_tracked, references, of = gc.is_tracked, sys.getrefcount, self._of
        total = large = 0
        times = holders = parts = None
        for one in referents:
            if one is None or is_tracked(one):
                continue
            count = references(one) - _OUR_REFERENCES
            if count >= _IMMORTAL:
                continue
            part = share / count if count > 1 else share
            kind = type(one)
            try:
                known = of.get(kind)
                if known is None:
                    known = of[kind] = _Kind(kind, self._array)
                size = known.size_of(one)
                if kind is dict or kind is tuple:
                    holds = len(one) > 0
                else:
                    holds = known.array is not None and known.is_view(one)
                # Of small ones that hold nothing it is not worth the time.
                if count > 2 and (holds or size > SMALL_BYTES):
                    if times is None:
                        times = _times(referents)
                    here = times.get(id(one), 1)
                    if not here:
                        continue
                    # All at once. A type may tell of more references than it has.
                    times[id(one)] = 0
                    part = share * here / max(count + 1 - here, here)
                if size > SMALL_BYTES:
                    if size > _PAGED_BYTES:
                        size = known.touched(one, size)
                    large += known.large_bytes(one, size) * part
            except BaseException as error:
                if is_interruption(error):
                    raise
                continue
            known.count += part
            known.bytes += size * part
            total += size * part
            if holds and depth:
                if holders is None:
                    holders, parts = [], []
                holders.append(one)
                parts.append(part)
        self.all_bytes += total
        self.large_bytes += large
        if holders is None:
            return
        # References of this list are no holder's.
        referents.clear()
        for one, part in zip(holders, parts):
            kind = type(one)
            self._hanging(gc.get_referents(one) if kind is dict or kind is tuple else of[kind].base_of(one), part, depth - 1)

    def by_name(self, least_bytes):
        """Count and bytes by the type's name, of types that take so much; types themselves may be a test's own and are not kept."""
        named = {}
        for kind, counted in self._of.items():
            if counted.bytes >= least_bytes:
                known = named.setdefault(_name(kind), [0, 0])
                known[0] += round(counted.count)
                known[1] += round(counted.bytes)
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
