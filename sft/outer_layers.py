"""What the first and the last layer of a model need not compute, where the model can be told so."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from proctor.sft.first_layer import DistinctTokens, let_first_layer_share
from proctor.sft.last_layer import let_last_layer_choose


class OuterLayers(NamedTuple):
    """Which of the two a model's forward can be told."""

    first_shares: bool = False  # takes `tokens`, see first_layer.py
    last_chooses: bool = False  # takes `rows`, see last_layer.py

    @classmethod
    def prepare(cls, model: Any) -> OuterLayers:
        """Tries both on a transformers model."""
        return cls(let_first_layer_share(model), let_last_layer_choose(model))

    def options(self, input_ids: Tensor, places: Tensor) -> dict[str, Any]:
        """For a forward of input_ids (B, T) whose output is used at N flat places."""
        tokens = {"tokens": DistinctTokens.of(input_ids)} if self.first_shares else {}
        return tokens | ({"rows": places} if self.last_chooses else {})
