"""`len`: tokens as the trainer counted them, or an estimate that says so."""

import pytest

from proctor.verifiers.core import Rollout
from proctor.verifiers.expression import reward


@pytest.mark.parametrize(
    ("source", "rollout", "value", "unit"),
    [
        ("len", Rollout("a b c", num_tokens=7), 7, "tokens"),
        ("len", Rollout("a b c", num_tokens=0), 0, "tokens"),
        # So, it, is, 3, ., 5, !
        ("len", Rollout("So it is 3.5!"), 7, "tokens, estimated"),
        # 答 案 是 42 。
        ("len", Rollout("答案是42。"), 5, "tokens, estimated"),
        ("len", Rollout(""), 0, "tokens, estimated"),
        ('len("words")', Rollout("So it  is\n3.5!", num_tokens=7), 4, "words"),
        ('len("characters")', Rollout("答案 a", num_tokens=7), 4, "characters"),
    ],
)
def test_len(source: str, rollout: Rollout, value: float, unit: str) -> None:
    (score,) = reward(source).score([rollout])
    (verdict,) = score.verdicts.values()
    assert (score.total, verdict.evidence["unit"]) == (value, unit)
