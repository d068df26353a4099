"""When an answer equals what was expected, in lists of calls. Test sources compare for themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proctor.sandbox.exam.bounds import WireError

_MAX_DEPTH = 200


@dataclass(frozen=True)
class Truth:
    """Expected of an answer that has no plain form, on either side: that it is as true, or as false."""

    value: bool


@dataclass(frozen=True)
class Equality:
    """How answers are compared.

    Attributes:
        rel, abs: tolerance between numbers where one of them is a float; both 0 compares exactly.
        tuples_as_lists: (1, 2) equals [1, 2], and {1: 2} equals {"1": 2}, for expected values that came through JSON.
        as_evalplus: what is not equal may be near only where it is of the type that is expected, whole or within
            numbers and lists of them.
    """

    rel: float = 0.0
    abs: float = 0.0
    tuples_as_lists: bool = False
    as_evalplus: bool = False

    def holds(self, got: Any, expected: Any) -> bool:
        """Python's own `==` unless a tolerance or a looser rule was asked for. NaN equals NaN with a tolerance."""
        if isinstance(expected, Truth):
            return bool(got) is expected.value
        if self.as_evalplus and not (_is_array(got) or _is_array(expected)):
            near = self.abs != 0 and type(got) is type(expected)
            return bool(got == expected) or (near and self._near(got, expected, 0))
        looser = self.rel or self.abs or self.tuples_as_lists
        if not (looser or _is_array(got) or _is_array(expected)):
            return bool(got == expected)
        return self._close(got, expected, 0)

    def _near(self, got: Any, expected: Any, depth: int) -> bool:
        """numpy's `allclose`, but for its broadcasting."""
        if depth > _MAX_DEPTH:
            raise WireError(f"an answer nested more than {_MAX_DEPTH} deep")
        if isinstance(expected, list | tuple):
            is_list = isinstance(got, list | tuple) and len(got) == len(expected)
            return is_list and all(
                self._near(one, other, depth + 1) for one, other in zip(got, expected, strict=True)
            )
        if not all(isinstance(value, int | float | complex) for value in (got, expected)):
            return False
        try:
            size = abs(complex(expected))
            distance = abs(complex(got) - complex(expected))
        except OverflowError:  # an int beyond every float
            return False
        return got == expected or (math.isfinite(size) and distance <= self.abs + self.rel * size)

    def _close(self, got: Any, expected: Any, depth: int) -> bool:
        if depth > _MAX_DEPTH:
            raise WireError(f"an answer nested more than {_MAX_DEPTH} deep")
        if _is_array(got) or _is_array(expected):
            shapes = [getattr(value, "shape", None) for value in (got, expected)]
            if None not in shapes and shapes[0] != shapes[1]:
                return False
            got, expected = (value.tolist() if _is_array(value) else value for value in (got, expected))
        if isinstance(got, float) or isinstance(expected, float):
            return self._number(got, expected)
        if isinstance(expected, list | tuple):
            same_kind = type(got) is type(expected) or (
                self.tuples_as_lists and isinstance(got, list | tuple)
            )
            return same_kind and self._all(got, expected, depth)
        if isinstance(expected, Mapping):
            if not isinstance(got, Mapping):
                return False
            if self.tuples_as_lists and got.keys() != expected.keys():
                got = {_as_in_json(key): value for key, value in got.items()}
            if got.keys() != expected.keys():
                return False
            return self._all([got[key] for key in expected], list(expected.values()), depth)
        return bool(got == expected)

    def _all(self, got: Sequence[Any], expected: Sequence[Any], depth: int) -> bool:
        if len(got) != len(expected):
            return False
        return all(self._close(one, other, depth + 1) for one, other in zip(got, expected, strict=True))

    def _number(self, got: Any, expected: Any) -> bool:
        numbers = all(isinstance(value, int | float) for value in (got, expected))
        if not numbers or not (self.rel or self.abs):
            return bool(got == expected)
        try:
            if math.isnan(expected):
                return math.isnan(got)
            return math.isclose(got, expected, rel_tol=self.rel, abs_tol=self.abs)
        except OverflowError:  # an int beyond every float
            return False


def _as_in_json(key: Any) -> Any:
    return str(key) if type(key) is int and key.bit_length() < 64 else key


def _is_array(value: object) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "tolist")
