"""Messages between candidate and examiner: every kind of value comes back as it went, hostile bytes do no harm."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import math
import sys
import time
from array import array
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import date, datetime, timedelta, timezone
from datetime import time as clock
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.sandbox.exam.bounds import Bounds, UnsendableError, WireError
from proctor.sandbox.exam.classes import Classes
from proctor.sandbox.exam.decode import Decoder
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.remote_function import RemoteFunction

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


@dataclasses.dataclass
class Line:
    start: Point
    tags: list[str]


CLASSES = {"Point": Point, "Colour": Colour, "Line": Line}


def round_trip(value: object, *, graph: bool = False) -> object:
    encoder = Encoder()
    encoder.by_value = frozenset({"Line"})
    data = encoder.encode_graph(value) if graph else encoder.encode(value)
    assert b"\n" not in data
    return Decoder(Classes(CLASSES)).decode(data)


def same(one: object, other: object) -> bool:
    """Equal in type and value, all the way down; NaN equals NaN, -0.0 is not 0.0, order counts in dicts."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, dict):
        return len(one) == len(other) and all(map(same, [*one, *one.values()], [*other, *other.values()]))
    if isinstance(one, list | tuple | deque):
        return (
            len(one) == len(other)
            and all(map(same, one, other))
            and getattr(one, "maxlen", 0) == getattr(other, "maxlen", 0)
        )
    if isinstance(one, Decimal):
        return one.as_tuple() == other.as_tuple()
    if dataclasses.is_dataclass(one):
        return same(vars(one), vars(other))
    return one == other


text = st.text(st.characters(exclude_categories=()))  # lone surrogates too
zones = st.none() | st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 7).map(lambda n: 10 ** (3890 + 40 * n))
    | st.floats(allow_nan=False)
    | text
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False, min_value=-(10**50), max_value=10**50)
    | st.fractions()
    | st.dates()
    | st.datetimes(timezones=zones)
    | st.times()
    | st.timedeltas()
    | st.sampled_from(Colour),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4) | st.builds(Point, inner, inner),
    max_leaves=6,
)
values = st.recursive(
    hashable | st.floats() | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(hashable, inner, max_size=5)
        | st.dictionaries(hashable, inner, max_size=5).map(OrderedDict)
        | st.dictionaries(hashable, inner, max_size=5).map(lambda d: defaultdict(list, d))
        | st.dictionaries(hashable, st.integers(), max_size=5).map(Counter)
        | st.sets(hashable, max_size=5)
        | st.builds(deque, st.lists(inner, max_size=4), st.none() | st.integers(4, 9))
        | st.builds(Line, st.builds(Point, inner, inner), st.lists(text))
    ),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(values)
def test_every_value_comes_back_as_it_went(value: object) -> None:
    assert same(round_trip(value), value)


@settings(max_examples=80, deadline=None)
@given(values)
def test_the_graph_form_says_the_same(value: object) -> None:
    assert same(round_trip(value, graph=True), value)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), -float("inf"), -0.0, 10**5000, -(10**5000), "a\ud800\udc00b", "\n\x00", "",
        (), [], {}, set(), frozenset(), b"", {1: 2, "1": 3, (1,): 4, None: 5}, {True: 1}, [[]], [()],
        range(3), range(10**50, 0, -7), slice(1, None, 2), Ellipsis, NotImplemented, array("d", [1.5, 2.5]),
        date(1, 1, 1), datetime(2024, 2, 29, 1, 2, 3, 4, fold=1), clock(23, 59), timedelta(-1, 5), Decimal("NaN").copy_abs(),
        Fraction(-1, 3), int, list, ValueError, type(None), deque([1], 3), Counter("abca"), complex(-0.0, math.inf),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_of_each_kind(value: object) -> None:
    back = round_trip(value)
    assert same(back, value) or str(back) == str(value) == "NaN"


def test_shared_and_cyclic_references_keep_their_shape() -> None:
    row = [0]
    grid = [row, row]
    back = round_trip(grid)
    assert back[0] is back[1]
    loop: list[object] = [1]
    loop.append(loop)
    back = round_trip(loop)
    assert back[1] is back and back[0] == 1
    pair = ([], {})
    pair[0].append(pair)
    pair[1]["me"] = pair
    back = round_trip(pair)
    assert back[0][0] is back and back[1]["me"] is back


def test_depth_is_no_limit_for_lists() -> None:
    deep: list[object] = []
    for _ in range(20_000):
        deep = [deep]
    back = round_trip(deep)
    depth = 0
    while back:
        back, depth = back[0], depth + 1
    assert depth == 20_000


def test_a_subclass_goes_by_its_real_data_whatever_it_claims() -> None:
    class Liar(int):
        __class__ = str  # type: ignore[assignment]
        __eq__ = lambda self, other: True  # noqa: E731
        __hash__ = int.__hash__
        __index__ = __int__ = lambda self: 7

    class Hollow(list):
        __len__ = lambda self: 0  # noqa: E731
        __iter__ = lambda self: iter("forged")  # noqa: E731
        __getitem__ = lambda self, key: "forged"  # noqa: E731

    class Sly(dict):
        items = keys = values = __iter__ = lambda self: iter(())

    assert same(round_trip(Liar(3)), 3)
    assert same(round_trip(Hollow([1, 2])), [1, 2])
    assert same(round_trip(Sly(a=1)), {"a": 1})


def test_classes_unknown_to_the_reader_arrive_as_data() -> None:
    data = Encoder().encode([Point(1, 2), Colour.RED, Line(Point(0, 0), ["a"])])
    point, colour, line = Decoder().decode(data)
    assert point == (1, 2) and point.y == 2 and point._asdict() == {"x": 1, "y": 2}
    assert (colour.name, colour.value) == ("RED", 1)
    assert line.tags == ["a"] and line == Decoder().decode(data)[2] and line != Line(Point(0, 0), ["a"])


def test_exceptions_keep_class_arguments_and_attributes() -> None:
    class SpecialError(KeyError):
        pass

    error = SpecialError("a", 1)
    error.code = 5
    back = round_trip(error)
    assert type(back).__name__ == "SpecialError" and isinstance(back, KeyError)
    assert back.args == ("a", 1) and back.code == 5
    assert type(round_trip(ZeroDivisionError("x"))) is ZeroDivisionError
    assert round_trip(SystemExit(3)).code == 3


def test_numpy_arrays_and_scalars() -> None:
    numpy = pytest.importorskip("numpy")
    for value in (
        numpy.arange(6).reshape(2, 3),
        numpy.array([1.5, numpy.nan]),
        numpy.array(["ab", "c"]),
        numpy.zeros((0, 3)),
    ):
        back = round_trip([value])[0]
        assert back.dtype == value.dtype and back.shape == value.shape
        assert numpy.array_equal(back, value, equal_nan=value.dtype.kind == "f")
    back = round_trip(numpy.float32(0.1))
    assert type(back) is numpy.float32 and back == numpy.float32(0.1)
    assert round_trip(numpy.bool_(True)) is numpy.True_
    assert same(round_trip(numpy.array([1, None], dtype=object)).tolist(), [1, None])


def test_what_has_no_plain_form_is_said() -> None:
    with pytest.raises(UnsendableError, match="type 'function' has no plain form"):
        Encoder().encode([lambda: 1])


HOSTILE = [
    b"", b"{", b"[", b"]", b"nul", b"[1]x", b'{"t":5}', b'{"zz":1}', b'{"t":[],"s":[]}', b'{"d":[1]}', b"{}",
    b'{"s":[[]]}', b'{"i":"zz"}', b'{"i":"0x"}', b'{"b":"***"}', b'{"D":"1E+999999999"}', b'{"D":"x"}', b'{"F":[1,0]}',
    b'{"dt":[2020,13,1,0,0,0,0,0,null]}', b'{"r":[1,2,0]}', b'{"q":[-1,[]]}', b'{"a":["u",[1]]}', b'{"E":[[],[],[],[]]}',
    b'{"ty":"eval"}', b'{"ty":"__import__"}', b'{"nt":["P",["a"],[]]}', b'{"en":[1,2,3,4]}',
    b'{"o":[5,[],[]]}', b'{"np":["O8",[1],"AAAA"]}', b'{"np":["<i8",[9],"AAAAAAAAAAA="]}',
    b'{"np":["<i8",[0,4611686018427387904],""]}', b'{"ns":["|V99999",""]}', b'{"h":[0]}', b'{"y":0}', b'{"#":0}',
    b'{"g":[[],[],{"#":0}]}', b'{"g":[[],[],{"#":-1}]}', b'{"g":[[{"t":[{"#":0}]}],[],{"#":0}]}', b'{"g":[[],[[1]],1]}',
    b'{"g":5}', b'{"g":[[],[],{"@":0}]}', b'{"g":[[{"s":[{"#":1}]},[]],[],{"#":0}]}', b"\xff\xfe", b'"\xed', b"1" * 5000,
    b"[" * 100_000, b'{"t":' * 50_000, b'{"g":[[' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE, ids=lambda data: data[:30].decode("latin-1"))
def test_hostile_bytes_are_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError):
        Decoder().decode(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | values.map(Encoder().encode).flatmap(lambda data: st.tuples(st.just(data), st.integers(0, len(data)), st.binary(max_size=3))).map(lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]))  # fmt: skip
def test_mangled_bytes_give_a_value_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        Decoder().decode(data)


def test_size_and_members_are_counted_before_anything_is_built() -> None:
    small = Decoder(bounds=Bounds(bytes=100, items=10))
    with pytest.raises(WireError, match="101 bytes"):
        small.decode(b'"' + b"x" * 99 + b'"')
    with pytest.raises(WireError, match="11 members"):
        small.decode(b"[" + b"1," * 11 + b"1]")


def test_keys_made_to_collide_are_refused_in_time() -> None:
    prime = 2**61 - 1  # ints that are congruent to this modulus have one hash
    keys = b",".join(str(prime * number).encode() for number in range(1, 100_000))
    start = time.process_time()
    for tag in (b"s", b"f"):
        with pytest.raises(WireError, match="same hash"):
            Decoder().decode(b'{"%s":[%s]}' % (tag, keys))
    assert time.process_time() - start < 2


HUGE = hex((1 << 4_000_000) - 12345).encode()
MODULUS = 2**61 - 1
RANGE = b'{"r":[0,20000000,1]}'
# Small to send, long to read: in the square of their length, or by a range that is written out.
SLOW = {
    "fraction": b'{"F":[{"i":"%b"},{"i":"%b"}]}' % (HUGE, HUGE[:500_000]),
    "fraction of a fraction": b'{"F":[{"F":[1,3]},5]}',
    "range": b'{"r":[0,{"i":"%b"},{"i":"%b"}]}' % (HUGE, HUGE[:500_000]),
    "int": b'{"i":"%b"}' % hex(1 << 20_000_000).encode(),
    "digits": b'{"D":"%b"}' % (b"7" * 8_000_000),
    "decimal of an int": b'{"D":{"i":"%b"}}' % HUGE,
    "flag": b'{"en":["F","A",{"i":"%b"},false]}' % HUGE,
    "rows of nothing": b'{"np":["<i8",[1048576,1048576,0],""]}',
    "part of the keys collide": b'{"s":[%b]}'
    % b",".join(b"%d" % (number if number < 12_600 else MODULUS * number) for number in range(5, 100_000)),
    "tuple": b'{"t":%b}' % RANGE,
    "deque": b'{"q":[null,%b]}' % RANGE,
    "array": b'{"a":["q",%b]}' % RANGE,
    "error": b'{"E":[["ValueError"],%b,[],[]]}' % RANGE,
    "set in a graph": b'{"g":[[{"s":%b}],[],{"#":0}]}' % RANGE,
    "counter in a graph": b'{"g":[[{"C":{"#":1}},[1,2]],[],{"#":0}]}',
}


@pytest.mark.parametrize("name", SLOW)
def test_what_takes_long_to_read_is_refused(name: str) -> None:
    start = time.process_time()
    with pytest.raises(WireError):
        Decoder().decode(SLOW[name])
    assert time.process_time() - start < 0.5


def test_large_numbers_of_honest_answers_are_read() -> None:
    """The sum of 5,000 unit fractions has 7,200 bits; all powers of two share 61 hashes."""
    harmonic = sum((Fraction(1, number) for number in range(1, 5000)), Fraction())
    for value in (harmonic, Decimal("1." + "3" * 50_000), 7**1_000_000, {2**n for n in range(3000)}):
        assert same(round_trip(value), value)


def test_long_decimal_numbers_are_refused_where_tests_have_lifted_the_limit() -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        for data in (b"[%b]", b'{"g":[[],[],%b]}'):
            with pytest.raises(WireError, match="digits"):
                Decoder().decode(data % (b"7" * 1_000_000))
        assert Decoder().decode(b"[%b]" % (b"1," * 5000 + b"12")) == [*[1] * 5000, 12]
        assert same(round_trip([7**10_000]), [7**10_000])
    finally:
        sys.set_int_max_str_digits(limit)


def test_records_in_nested_hashed_containers_are_filled_in_linear_time() -> None:
    """A hundred dicts inside one another, and in the innermost 100,000 lists to fill."""
    lists = b",".join(b'{"#":%d}' % number for number in range(1, 100_001))
    data = b'{"g":[[%b[%b]%b' % (b'{"d":[1,' * 100, lists, b"]}" * 100) + b",[]" * 100_000 + b'],[],{"#":0}]}'
    start = time.process_time()
    value = Decoder().decode(data)
    assert time.process_time() - start < 2
    while isinstance(value, dict):
        value = value[1]
    assert value == [[]] * 100_000


def test_a_flood_of_classes_is_refused() -> None:
    many = b",".join(b'{"nt":["P%d",[],[]]}' % number for number in range(2000))
    with pytest.raises(WireError, match="different classes"):
        Decoder().decode(b"[" + many + b"]")


def test_typical_messages_take_microseconds() -> None:
    """Below 30 us each way on a free core (3-7 us measured); ten times that here, for busy machines."""
    encoder, decoder = Encoder(), Decoder()
    for message in (
        ["=", 5],
        ["call", "f", [[1, 2, 3], "abc"], []],
        ["=", [(1, "a"), (2, "b")]],
        ["=", {"a": 1}],
    ):
        data = encoder.encode(message)
        start = time.process_time()
        for _ in range(300):
            encoder.encode(message)
            decoder.decode(data)
        assert (time.process_time() - start) / 300 < 600e-6


class Liar:
    """An examinee that answers everything in the same way."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def ask(self, verb: str, *operands: object) -> object:
        return self.answer


LIES = [
    None,
    5,
    [],
    ["x", 0, 0, 0, []],
    [0, 2, 5, 0, ["a", "b"]],
    [0, -1, 0, 1, []],
    [2**40, 0, 0, 0, []],
    [0, 1, 0, 0, [5]],
]


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_functions_code_is_no_code(lie: object) -> None:
    assert not hasattr(RemoteFunction(Liar(lie), "f"), "__code__")  # type: ignore[arg-type]
