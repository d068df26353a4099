"""The part `language`: does a response keep to the language of its prompt?"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from typing import Any

import pytest

from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.language import Language, language_of
from proctor.verifiers.part import Bounds
from proctor.verifiers.registry import find
from tests.shared_data import FOLDER, needs_shared_data

TEXTS = {
    "en": "There are three apples and two pears in the basket, so there are five pieces of fruit altogether.",
    "de": "Im Korb liegen drei Äpfel und zwei Birnen, zusammen sind das also fünf Stück Obst.",
    "fr": "Il y a trois pommes et deux poires dans le panier, donc il y a cinq fruits en tout.",
    "es": "Hay tres manzanas y dos peras en la cesta, así que en total hay cinco frutas.",
    "zh": "篮子里有三个苹果和两个梨，所以一共有五个水果。",
    "ja": "かごの中にはりんごが三つと梨が二つあるので、全部で五つです。",
    "ko": "바구니에 사과 세 개와 배 두 개가 있으므로 과일은 모두 다섯 개입니다.",
    "ru": "В корзине три яблока и две груши, поэтому всего получается пять фруктов.",
    "ar": "في السلة ثلاث تفاحات وإجاصتان، فيكون المجموع خمس حبات من الفاكهة.",
}


def judge(completion: str, prompt: Any = TEXTS["en"], language: str | None = None) -> Verdict:
    return Language(language).verify([Rollout(completion, prompt=prompt)])[0]


@pytest.mark.parametrize("asked", TEXTS)
def test_only_the_language_of_the_prompt_is_right(asked: str) -> None:
    values = {answered: judge(text, TEXTS[asked]).value for answered, text in TEXTS.items()}
    assert values == {answered: float(answered == asked) for answered in TEXTS}


@pytest.mark.parametrize("name", ["english", "EN", "zh-cn", "xx", ""])
def test_a_language_that_nobody_knows_is_no_zero(name: str) -> None:
    verdict = judge(TEXTS["en"], language=name)
    assert (verdict.value, verdict.status) == (None, Status.MISCONFIGURED)
    assert f"'language' is '{name}'; known are ace, af, " in verdict.evidence["problem"]


def test_a_mixture_is_right_by_its_share() -> None:
    verdict = judge(f"{TEXTS['en']} {TEXTS['zh']}")
    # 18 English words; 21 Chinese characters, each a word
    assert verdict.value == pytest.approx(18 / 39)
    assert verdict.evidence == {"language": "en", "words": 39, "others": {"zh": pytest.approx(21 / 39)}}
    assert verdict.status is Status.MEASURED


def test_thinking_in_another_language_is_seen() -> None:
    assert judge(f"<think>{TEXTS['zh']}</think>{TEXTS['en']}").value == pytest.approx(18 / 39)


@pytest.mark.parametrize(
    "foreign",
    [
        "```python\n# berechnet die Summe aller Äpfel und Birnen in dem Korb\nprint(3)\n```",
        "$\\text{Summe aller Äpfel und Birnen in dem Korb}$",
        "\\begin{align*}\nab + ac &= bc \\\\ ab &= ac - ba\n\\end{align*}",
        "https://de.wikipedia.org/wiki/Liste_der_deutschen_Worte_und_Saetze",
        "12345 + 67890 = 80235",
    ],
)
def test_what_is_in_no_language_is_left_out(foreign: str) -> None:
    assert judge(f"{TEXTS['en']}\n{foreign}").value == 1
    assert judge(foreign).evidence.get("too short") == "response"


@pytest.mark.parametrize(
    ("completion", "prompt", "too_short"),
    [("42", TEXTS["en"], "response"), ("", TEXTS["en"], "response"), (TEXTS["de"], "2 + 2 = ?", "prompt")],
)
def test_too_little_text_is_given_the_benefit_of_the_doubt(
    completion: str, prompt: str, too_short: str
) -> None:
    verdict = judge(completion, prompt)
    assert (verdict.value, verdict.status) == (1.0, Status.MEASURED)
    assert verdict.evidence["too short"] == too_short


def test_a_language_may_be_asked_for_by_name() -> None:
    assert judge(TEXTS["de"], prompt="", language="de").value == 1
    assert judge(TEXTS["de"], prompt=TEXTS["de"], language="en").value == 0


def test_without_a_prompt_there_is_no_verdict() -> None:
    for prompt in ("", [], [{"role": "system", "content": TEXTS["en"]}]):
        verdict = judge(TEXTS["en"], prompt)
        assert (verdict.value, verdict.status) == (None, Status.MISCONFIGURED)


def test_of_chat_messages_the_last_one_of_the_user_counts() -> None:
    messages = [
        {"role": "system", "content": TEXTS["en"]},
        {"role": "user", "content": TEXTS["fr"]},
        {"role": "assistant", "content": TEXTS["en"]},
        {"role": "user", "content": TEXTS["de"]},
    ]
    assert judge(TEXTS["de"], messages).value == 1


def test_language_of() -> None:
    assert {name: language_of(text) for name, text in TEXTS.items()} == {name: name for name in TEXTS}
    assert language_of("2 + 2") is None


@needs_shared_data
def test_english_solutions_of_english_problems() -> None:
    lines = (FOLDER / "gsm8k_model_solutions.jsonl").read_text("utf-8").splitlines()[::8]
    rows = [json.loads(line) for line in lines]
    verdicts = Language().verify([Rollout(row["response"], prompt=row["question"]) for row in rows])
    assert {verdict.value for verdict in verdicts} == {1.0}
    # A handful of prompts are too short or the whole is a formula; the rest was really looked at.
    assert sum("too short" in verdict.evidence for verdict in verdicts) < 5


def test_the_detector_is_loaded_only_when_it_is_needed() -> None:
    code = "import sys, proctor.verifiers.language; sys.exit('py3langid' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False)
    assert done.returncode == 0


def test_is_registered_and_plain_data() -> None:
    assert find("language") is Language
    assert pickle.loads(pickle.dumps(Language("en"))) == Language("en")
    assert Language().bounds == Bounds(0.0, 1.0)


BITS = [
    "\\begin{a}",
    "\\begin{align}",
    "\\[a",
    "\\(",
    "$a",
    "`a",
    "<a",
    "http://a ",
    "```",
    "中",
    "aa bb ",
    "12",
]


@pytest.mark.parametrize("bit", BITS)
def test_hostile_text_takes_linear_time(bit: str) -> None:
    text = bit * (100_000 // len(bit))
    judge(TEXTS["en"])  # loads the detector
    start = time.process_time()
    judge(text)
    assert time.process_time() - start < 2
