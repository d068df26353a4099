"""The reward part `language`: does a response keep to the language of its prompt?"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from proctor.verifiers.core import Message, Rollout, Status, Verdict
from proctor.verifiers.part import Bounds, Cost, Part, each
from proctor.verifiers.registry import register
from proctor.verifiers.words import UNSPACED

# What is in no language: code, formulas, addresses, tags, commands. Every repeat is bounded or takes what it
# passes, so that hostile text costs linear time.
_FOREIGN = re.compile(
    r"```.*?(?:```|\Z)|\\begin\{([a-z]{1,20}\*?)\}.{0,3000}?\\end\{\1\}|`[^`\n]{1,200}`|\$\$?[^$]{1,500}\$\$?|\\\[[^\[\]]{1,500}\\\]|\\\([^()]{1,300}\\\)"
    r"|https?://\S+|</?[A-Za-z][^<>\n]{0,99}>|\\(?:begin|end)\{[^{}]{1,30}\}|\\[A-Za-z]+",
    re.DOTALL,
)
_WORD = re.compile(rf"[{UNSPACED}]+|[^\W\d_{UNSPACED}]{{2,}}")
# Scripts by the first code point of their blocks, as far as the detector's languages use them.
_SCRIPTS = (
    (0x0370, "greek"),
    (0x0400, "cyrillic"),
    (0x0530, "armenian"),
    (0x0590, "hebrew"),
    (0x0600, "arabic"),
    (0x0900, "devanagari"),
    (0x0980, "indic"),
    (0x0E00, "thai"),
    (0x0E80, "other"),
    (0x1E00, "latin"),
    (0x1F00, "greek"),
    (0x3040, "cjk"),
    (0xAC00, "hangul"),
    (0xD7B0, "cjk"),
)
_SCRIPT_OF_LANGUAGE = (
    dict.fromkeys(("zh", "ja", "yue", "wuu"), "cjk")
    | dict.fromkeys(("ru", "uk", "bg", "be", "mk", "kk", "ky", "mn", "sr", "tt"), "cyrillic")
    | dict.fromkeys(("ar", "fa", "ur", "ps", "ug"), "arabic")
    | dict.fromkeys(("hi", "mr", "ne"), "devanagari")
    | {"el": "greek", "he": "hebrew", "ko": "hangul", "th": "thai", "hy": "armenian"}
)
# What the detector is given at a time: about so many words, and at least so many letters.
_PIECE_WORDS = 40
_MAX_PIECES = 16
_LEAST_LETTERS = {"latin": 25}
_LEAST_IN_PROMPT = {"latin": 50}  # it decides for all its responses, so it takes more
_LEAST_OTHERWISE = 6
# The detector's log-odds are divided by the root of the length, which makes them comparable over lengths. An
# English piece is at most 1.2 behind its neighbours (patois, Scots), a piece in another language 2 or more.
_MARGIN = 1.5


@register
@dataclass(frozen=True)
class Language(Part):
    """Share of the response that is in the prompt's language.

    What it measures: whether the model thinks and answers in the language that it was asked in, or drifts
    into another one or a mixture. Code, formulas, numbers, tags and addresses are left out.

    Formula and range: words in pieces of the right language / words, in [0, 1]. Pieces are about 40 words of
    one script, in order, each given to the detector; a Chinese or Japanese character counts as a word. A
    piece too short for the detector is right where its script is. The value is 1, with "too short" as
    evidence, where the response has no words or the prompt too few to tell.

    What it pays wrongly: a response without words. Near languages (Spanish and Galician) may pass for each
    other; names and terms in Latin letters lower a Chinese text by their share.

    Source: the language consistency reward of DeepSeek-R1, arXiv:2501.12948, section 2.3.2; the detector is
    py3langid (langid.py, Lui and Baldwin 2012).
    """

    language: str | None = None  # code such as "en" or "zh" (ISO 639); None: the language of the prompt

    name: ClassVar[str] = "language"
    cost: ClassVar[Cost] = Cost.MILLISECONDS

    @property
    def bounds(self) -> Bounds:
        return Bounds(0.0, 1.0)

    def verify(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return each(rollouts, self._judge)

    def _judge(self, rollout: Rollout) -> Verdict:
        wanted = self.language
        if wanted is None:
            asked = _text_of(rollout.prompt)
            if not asked:
                return Verdict(None, Status.MISCONFIGURED, {"problem": _NO_PROMPT, "column": "prompt"})
            wanted = language_of(asked)
        elif wanted not in _known():  # no text would ever be in it
            problem = f"option 'language' is '{wanted}'; known are {', '.join(sorted(_known()))}"
            return Verdict(None, Status.MISCONFIGURED, {"problem": problem})
        if wanted is None:
            return Verdict(1.0, Status.MEASURED, {"too short": "prompt"})
        found: Counter[str] = Counter()
        for script, words in _pieces(rollout.completion):
            found[_language_of_piece(script, words, wanted)] += _weight(script, words)
        total = found.total()
        if not total:
            return Verdict(1.0, Status.MEASURED, {"language": wanted, "too short": "response"})
        others = {name: count / total for name, count in found.most_common(4) if name != wanted}
        evidence: dict[str, Any] = {"language": wanted, "words": total}
        evidence |= {"others": others} if others else {}
        return Verdict(found[wanted] / total, Status.MEASURED, evidence)


_NO_PROMPT = "column 'prompt' is missing; or say which language is wanted: language=\"en\""


@lru_cache(maxsize=1024)  # the completions of a group have one prompt
def language_of(text: str) -> str | None:
    """Language that most of a text is in, as the detector's code; None where there is too little of it."""
    found: Counter[str] = Counter()
    for script, words in _pieces(text):
        joined = " ".join(words)
        if len(joined) >= _LEAST_IN_PROMPT.get(script, _LEAST_OTHERWISE):
            found[_rank(joined)[0][0]] += _weight(script, words)
    return found.most_common(1)[0][0] if found else None


def _language_of_piece(script: str, words: list[str], wanted: str) -> str:
    """The wanted language where the piece may be in it, else the likeliest one, or a short piece's script."""
    text = " ".join(words)
    if len(text) < _LEAST_LETTERS.get(script, _LEAST_OTHERWISE):
        return wanted if script == _SCRIPT_OF_LANGUAGE.get(wanted, "latin") else script
    ranking = _rank(text)
    (best, highest), score = ranking[0], dict(ranking).get(wanted, -math.inf)
    return wanted if (highest - score) / math.sqrt(len(text.encode())) <= _MARGIN else best


def _rank(text: str) -> list[tuple[str, float]]:
    """Languages by log-likelihood, likeliest first."""
    from py3langid import rank  # loads its model at the first call, in half a second

    ranking: list[tuple[str, float]] = rank(text)
    return ranking


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """The detector's codes."""
    return frozenset(name for name, _ in _rank("a"))


def _pieces(text: str) -> Iterator[tuple[str, list[str]]]:
    """The words of a text, script by script, in pieces for the detector."""
    streams: dict[str, list[str]] = {}
    for word in _WORD.findall(_FOREIGN.sub(" ", text)):
        streams.setdefault(_script_of(word), []).append(word)
    for script, words in streams.items():
        pieces = min(max(round(len(words) / _PIECE_WORDS), 1), _MAX_PIECES)
        size = -(-len(words) // pieces)
        for start in range(0, len(words), size):
            yield script, words[start : start + size]


def _script_of(word: str) -> str:
    code = ord(word[0])
    script = "latin"
    for first, name in _SCRIPTS:
        if code < first:
            break
        script = name
    return script


def _weight(script: str, words: list[str]) -> int:
    return sum(map(len, words)) if script == "cjk" else len(words)


def _text_of(prompt: str | Sequence[Message]) -> str:
    """The text of a prompt; of chat messages, the last one of the user."""
    if isinstance(prompt, str):
        return prompt
    messages: Sequence[Message] = prompt
    asked = [message.get("content") for message in messages if message.get("role") == "user"]
    return asked[-1] if asked and isinstance(asked[-1], str) else ""
