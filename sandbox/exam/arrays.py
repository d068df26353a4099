"""numpy arrays and scalars as data type, shape and bytes. numpy is never imported to write a value."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Sequence
from itertools import takewhile
from math import prod
from typing import Any

from proctor.sandbox.exam.bounds import WireError, listed

# Numbers, booleans, fixed-width text, dates. No objects ("O") and no records: their bytes are addresses.
_PLAIN_DTYPE = re.compile(r"[<>|=]?(?:[biufcSUV]\d{1,4}|\?|[mM]8(?:\[\d{0,3}[A-Za-z]{1,2}\])?)")
_MOST_EMPTY = 1 << 20  # lists that an array without members may turn into
_Items = Callable[[Sequence[object]], Sequence[Any]]


def pack_array(items: _Items, value: Any) -> Any | None:
    """The node of a numpy array or scalar; None for anything else, and for types that are not plain data."""
    numpy = sys.modules["numpy"]
    if not isinstance(value, numpy.ndarray | numpy.generic):
        return None
    dtype = value.dtype.str
    if isinstance(value, numpy.ndarray) and dtype == "|O":
        return {"np": ["O", list(value.shape), items(value.ravel().tolist())]}
    if not _PLAIN_DTYPE.fullmatch(dtype) or value.dtype.names:
        return None
    data = base64.b64encode(value.tobytes()).decode("ascii")
    return (
        {"ns": [dtype, data]}
        if isinstance(value, numpy.generic)
        else {"np": [dtype, list(value.shape), data]}
    )


def make_array(body: Any) -> Any:
    """The array; a list of its members where this interpreter has no numpy."""
    dtype, shape, data = body
    numpy = _numpy()
    if dtype == "O":
        members = listed(data)
        flat = numpy.empty(len(members), dtype=object) if numpy else data
        flat[:] = data
        return flat.reshape(_shape(shape, len(data))) if numpy else data
    if not _PLAIN_DTYPE.fullmatch(dtype):
        raise WireError(f"an array of type {dtype[:40]!r}")
    if numpy is None:
        raise WireError("an array, and numpy is not installed where the tests run")
    flat = numpy.frombuffer(base64.b64decode(data, validate=True), dtype=dtype)
    return flat.reshape(_shape(shape, flat.size)).copy()


def make_scalar(body: Any) -> Any:
    dtype, data = body
    return make_array([dtype, [1], data])[0]


def _shape(shape: Sequence[int], size: int) -> tuple[int, ...]:
    most = max(size, _MOST_EMPTY)
    if (
        len(shape) > 32
        or any(not 0 <= length <= most for length in shape)
        or prod(shape) != size
        or prod(takewhile(bool, shape)) > most
    ):
        raise WireError(f"an array of {size} members that says its shape is {str(shape)[:100]}")
    return tuple(shape)


def _numpy() -> Any | None:
    try:
        import numpy  # heavy: only where an array arrives
    except ImportError:
        return None
    return numpy
