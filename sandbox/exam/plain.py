"""How each kind of plain value is written and read: one row a kind, both directions side by side.

`pack` gives the body of {tag: body}; it asks its `items` argument to turn members into nodes. `make` builds
the value from a body whose members are built already. A mutable kind has `new` and `fill` as well, so that
it can stand in a cycle and be changed in place. Standard library kinds only; the rest is in `rich.py`.
"""

from __future__ import annotations

import base64
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import Any, TypeAlias

from proctor.sandbox.exam.bounds import BOUNDS, FloodError, UnsendableError, WireError, listed

_FEW_KEYS = 100
_COMPARISONS = 64  # for each key of a table: where keys share a hash, each is compared with those before it
SCALARS = frozenset({type(None), bool, int, float, str})  # what JSON says by itself
Items: TypeAlias = Callable[[Sequence[object]], Sequence[Any]]  # members to nodes


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value. `new` and `fill` are given for what can change; `clear` empties it first."""

    tag: str
    type: type
    pack: Callable[[Items, Any], Any]
    make: Callable[[Any], Any]
    new: Callable[[Any], Any] | None = None
    fill: Callable[[Any, Any], object] | None = None


def pairs(body: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    """[k, v, k, v] as (k, v), (k, v). Raises WireError on an odd number or on keys made to collide."""
    if len(body) % 2:
        raise WireError("a dict with a key and no value")
    keys = body[::2]
    return zip(_spread(keys), body[1::2], strict=True)


def _spread(keys: Sequence[Any]) -> Sequence[Any]:
    """The keys, unless too many of them share a hash: filling a table with those takes quadratic time."""
    if len(keys) > _FEW_KEYS and len(set(map(hash, keys))) < len(keys):
        comparisons = sum(count * count for count in Counter(map(hash, keys)).values())
        if comparisons > _COMPARISONS * (len(keys) + _FEW_KEYS):
            raise WireError(f"{len(keys)} keys, too many with the same hash")
    return keys


def _flat(mapping_items: Iterable[tuple[Any, Any]]) -> list[Any]:
    return list(chain.from_iterable(mapping_items))


def _update(mapping: Any, body: Any) -> None:
    dict.update(mapping, pairs(body))


def _refill_ordered(mapping: OrderedDict[Any, Any], body: Any) -> None:
    for key, value in pairs(body):
        mapping[key] = value


_FACTORIES = {kind.__name__: kind for kind in (list, dict, set, int, float, str, bool, tuple, deque, Counter)}


def _pack_defaultdict(items: Items, value: defaultdict[Any, Any]) -> list[Any]:
    factory = getattr(value.default_factory, "__name__", "")
    known = _FACTORIES.get(factory) is value.default_factory
    body = [factory if known else None, items(_flat(dict.items(value)))]
    if not known and value.default_factory is not None:
        with suppress(UnsendableError):  # without a factory, where functions do not cross
            body += items([value.default_factory])
    return body


def _range(body: Any) -> range:
    return range(*_divided(body))


def _divided(body: Any) -> Any:
    """Integers that are about to be divided by one another."""
    for part in body:
        if type(part) is not int or part.bit_length() > BOUNDS.divided_bits:
            raise FloodError(
                f"a range or fraction of more than {BOUNDS.divided_bits} bits, or of no integers"
            )
    return body


def _new_defaultdict(body: Any) -> defaultdict[Any, Any]:
    return defaultdict(_FACTORIES[body[0]] if body[0] is not None else None)


def _fill_defaultdict(value: defaultdict[Any, Any], body: Any) -> None:
    if len(body) > 2:
        value.default_factory = body[2]
    _update(value, listed(body[1]))


def _defaultdict(body: Any) -> defaultdict[Any, Any]:
    value = _new_defaultdict(body)
    _fill_defaultdict(value, body)
    return value


def _int_from_hex(body: str) -> int:
    if 4 * len(body) > BOUNDS.bits:
        raise FloodError(f"an int of more than {BOUNDS.bits} bits")
    return int(body, 16)


def _decimal(body: str) -> Decimal:
    if type(body) is not str or len(body) > BOUNDS.exponent + 20:  # a sign, a point, and an exponent
        raise FloodError(f"a Decimal of more than {BOUNDS.exponent} digits")
    value = Decimal(body)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and abs(exponent) > BOUNDS.exponent:
        raise WireError(f"a Decimal with exponent {exponent}; allowed is {BOUNDS.exponent}")
    return value


def _pack_zone(zone: tzinfo | None) -> list[float] | None:
    if zone is None:
        return None
    if type(zone) is not timezone:
        raise UnsendableError(f"time zone of type {type(zone).__name__}")
    return [zone.utcoffset(None).total_seconds()]


def _zone(body: Any) -> tzinfo | None:
    return None if body is None else timezone(timedelta(seconds=body[0]))


def _pack_datetime(items: Items, v: datetime) -> list[Any]:
    day = [v.year, v.month, v.day]
    return [*day, v.hour, v.minute, v.second, v.microsecond, v.fold, _pack_zone(v.tzinfo)]


def _datetime(body: Any) -> datetime:
    year, month, day, *rest, fold, zone = body
    return datetime.combine(date(year, month, day), _time([*rest, fold, zone]))


def _pack_time(items: Items, v: time) -> list[Any]:
    return [v.hour, v.minute, v.second, v.microsecond, v.fold, _pack_zone(v.tzinfo)]


def _time(body: Any) -> time:
    hour, minute, second, microsecond, fold, zone = body
    return time(hour, minute, second, microsecond, _zone(zone), fold=fold)


def _pack_bytes(items: Items, value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode("ascii")


def _bytes(body: str) -> bytes:
    return base64.b64decode(body, validate=True)


def _fraction(body: Any) -> Fraction:
    return Fraction(*_divided(body))


KINDS = (
    Kind("t", tuple, lambda items, v: items(v), tuple),
    Kind(
        "d",
        dict,
        lambda items, v: items(_flat(v.items())),
        lambda body: dict(pairs(body)),
        lambda body: {},
        _update,
    ),
    Kind(
        "s",
        set,
        lambda items, v: items(list(v)),
        lambda body: set(_spread(body)),
        lambda body: set(),
        set.update,
    ),
    Kind("f", frozenset, lambda items, v: items(list(v)), lambda body: frozenset(_spread(body))),
    Kind("i", int, lambda items, v: hex(v), _int_from_hex),
    Kind("c", complex, lambda items, v: [v.real, v.imag], lambda body: complex(*body)),
    Kind("b", bytes, _pack_bytes, _bytes),
    Kind(
        "B",
        bytearray,
        _pack_bytes,
        lambda body: bytearray(_bytes(body)),
        lambda body: bytearray(),
        lambda v, body: v.extend(_bytes(body)),
    ),
    Kind("r", range, lambda items, v: items([v.start, v.stop, v.step]), _range),
    Kind("sl", slice, lambda items, v: items([v.start, v.stop, v.step]), lambda body: slice(*body)),
    Kind("e", type(Ellipsis), lambda items, v: 0, lambda body: Ellipsis),
    Kind("ni", type(NotImplemented), lambda items, v: 0, lambda body: NotImplemented),
    Kind("D", Decimal, lambda items, v: str(v), _decimal),
    Kind("F", Fraction, lambda items, v: items([int(v.numerator), int(v.denominator)]), _fraction),
    Kind("dt", datetime, _pack_datetime, _datetime),
    Kind("da", date, lambda items, v: [v.year, v.month, v.day], lambda body: date(*body)),
    Kind("ti", time, _pack_time, _time),
    Kind(
        "td",
        timedelta,
        lambda items, v: [v.days, v.seconds, v.microseconds],
        lambda body: timedelta(*body),
    ),
    Kind(
        "q",
        deque,
        lambda items, v: [v.maxlen, items(list(v))],
        lambda body: deque(listed(body[1]), body[0]),
        lambda body: deque(maxlen=body[0]),
        lambda v, body: v.extend(listed(body[1])),
    ),
    Kind(
        "C",
        Counter,
        lambda items, v: items(_flat(dict.items(v))),
        lambda body: Counter(dict(pairs(body))),
        lambda body: Counter(),
        _update,
    ),
    Kind(
        "dd",
        defaultdict,
        _pack_defaultdict,
        _defaultdict,
        _new_defaultdict,
        _fill_defaultdict,
    ),
    Kind(
        "O",
        OrderedDict,
        lambda items, v: items(_flat(OrderedDict.items(v))),
        lambda body: OrderedDict(pairs(body)),
        lambda body: OrderedDict(),
        _refill_ordered,
    ),
    Kind(
        "a",
        array,
        lambda items, v: [v.typecode, v.tolist()],
        lambda body: array(body[0], listed(body[1])),
        lambda body: array(body[0]),
        lambda v, body: v.fromlist(body[1]),
    ),
    Kind(
        "dk",
        type({}.keys()),
        lambda items, v: items(list(v)),
        lambda body: dict.fromkeys(_spread(body)).keys(),
    ),
    Kind(
        "dv", type({}.values()), lambda items, v: items(list(v)), lambda body: dict(enumerate(body)).values()
    ),
    Kind("di", type({}.items()), lambda items, v: items(_flat(v)), lambda body: dict(pairs(body)).items()),
)

# An instance of a subclass goes by the data of the first of these that it derives from, copied by the
# built-in's own method, so that no override is asked. More special kinds stand first.
BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, lambda v: int.__add__(v, 0)),
    (float, float.__float__),
    (str, lambda v: str.__getitem__(v, slice(None))),
    (list, list.copy),
    (tuple, lambda v: tuple.__getitem__(v, slice(None))),
    (Counter, lambda v: Counter(dict(dict.items(v)))),
    (defaultdict, lambda v: defaultdict(v.default_factory, dict.items(v))),
    (OrderedDict, lambda v: OrderedDict(OrderedDict.items(v))),
    (dict, lambda v: dict(dict.items(v))),
    (set, lambda v: set(set.__iter__(v))),
    (frozenset, lambda v: frozenset(frozenset.__iter__(v))),
    (deque, lambda v: deque(deque.__iter__(v), v.maxlen)),
    (complex, complex.__pos__),
    (bytes, lambda v: bytes.__getitem__(v, slice(None))),
    (bytearray, bytearray.copy),
    (datetime, lambda v: datetime.combine(datetime.date(v), datetime.timetz(v))),
    (date, lambda v: date(v.year, v.month, v.day)),
    (timedelta, timedelta.__pos__),
    (Decimal, lambda v: Decimal(Decimal.__str__(v))),
    (Fraction, lambda v: Fraction(v.numerator, v.denominator)),
)
