"""What counts as equal: the options of a comparison, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Percent = Literal["either", "fraction", "number"]
UnitPolicy = Literal["convert", "ignore", "same"]


@dataclass(frozen=True, slots=True)
class Rules:
    """See `proctor.verifiers.answers.Math`, whose options these are, for what each means and why it is so."""

    tolerance: float | None = None
    percent: Percent = "either"
    ordered: bool | None = None
    units: UnitPolicy = "convert"
    ignore_case: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
