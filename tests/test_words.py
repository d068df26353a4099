"""What counts as a word."""

import pytest

from proctor.verifiers.core import Rollout
from proctor.verifiers.expression import reward
from proctor.verifiers.words import words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It doesn't cost 3.50, or 1,000!", ["It", "doesn't", "cost", "3.50", "or", "1,000"]),
        ("我喜欢math", ["我", "喜", "欢", "math"]),
        ("カタカナ", ["カ", "タ", "カ", "ナ"]),
        ("\uf900\u8c48", ["\uf900", "\u8c48"]),  # a compatibility ideograph, and the one it is normalised to
        ("저는 수학을 좋아합니다", ["저는", "수학을", "좋아합니다"]),  # Korean has spaces
        ("ꀀꀁ ꀂ", ["ꀀꀁ", "ꀂ"]),  # so has Yi
        ("a\ud800b", ["a", "b"]),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_korean_words_are_not_its_syllables() -> None:
    text = "저는 수학을 좋아합니다 그래서 매일 문제를 풉니다"
    assert reward('len("words")').score([Rollout(text)])[0].total == 7
    assert reward("language").score([Rollout("\ud800" * 300, prompt=text)])[0].total == 1
