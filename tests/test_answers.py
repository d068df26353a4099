"""The part `math` on labelled answers, from wherever it is called, and under attack."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from proctor.benchmarks.hostile_answers import Hostile, hostile_answers
from proctor.benchmarks.labelled_answers import Source, read_labelled
from proctor.verifiers.answers import Math
from proctor.verifiers.core import Rollout, Status, Verdict
from tests.maths_reading import boxed, statuses
from tests.shared_data import FOLDER, needs_shared_data

ROOT = Path(__file__).parents[1]
_ROWS = [
    json.loads(line) for line in (ROOT / "tests/data/math_answers.jsonl").read_text("utf-8").splitlines()
]
_BY_TOPIC: dict[str, list[dict[str, Any]]] = defaultdict(list)
for _row in _ROWS:
    _BY_TOPIC[_row["about"]].append(_row)
_PAIRS = [(row["gold"], row["response"]) for row in _ROWS]


def judge(gold: str, answer: str, **options: Any) -> Verdict:
    return Math(**options).verify([Rollout(boxed(answer), answer=gold)])[0]


@pytest.mark.parametrize("topic", sorted(_BY_TOPIC))
def test_labelled_answers(topic: str) -> None:
    rows = _BY_TOPIC[topic]
    verdicts = Math().verify([Rollout(row["response"], answer=row["gold"]) for row in rows])
    wrong = [
        (row, verdict.status.value, verdict.evidence)
        for row, verdict in zip(rows, verdicts, strict=True)
        if verdict.value != float(row["equal"])
    ]
    assert not wrong


@needs_shared_data
@pytest.mark.parametrize(
    ("source", "right", "false_positives", "false_negatives"),
    [(Source.PAIRS, 0.98, 0.005, 0.03), (Source.GSM8K, 1, 0, 0), (Source.MATH500, 0.997, 0.005, 0.003)],
)
def test_public_sets(source: Source, right: float, false_positives: float, false_negatives: float) -> None:
    rows = read_labelled(FOLDER, source)
    verdicts = Math().verify([Rollout(row.response, answer=row.gold) for row in rows])
    paid = [verdict.value == 1.0 for verdict in verdicts]
    of_wrong = [each for each, row in zip(paid, rows, strict=True) if not row.expected]
    of_right = [each for each, row in zip(paid, rows, strict=True) if row.expected]
    assert sum(map(lambda each, row: each is row.expected, paid, rows)) >= right * len(rows)
    assert sum(of_wrong) <= false_positives * len(of_wrong)
    assert len(of_right) - sum(of_right) <= false_negatives * len(of_right)


def test_the_same_from_threads_a_loop_and_a_spawned_child() -> None:
    expected = statuses(_PAIRS)
    found: dict[str, list[str]] = {}
    threads = [
        threading.Thread(target=lambda name=name: found.update({name: statuses(_PAIRS)})) for name in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def in_loop() -> list[str]:
        verdicts = await Math().averify([Rollout(response, answer=gold) for gold, response in _PAIRS])
        return [verdict.status.value for verdict in verdicts]

    found["loop"] = asyncio.run(in_loop())
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found["spawned"] = pool.apply(statuses, (_PAIRS,))
    assert found == dict.fromkeys(("a", "b", "c", "loop", "spawned"), expected)


@pytest.mark.parametrize("family", sorted({each.family for each in hostile_answers()}))
def test_hostile_answers_are_bounded_and_unpaid(family: str) -> None:
    cases: list[Hostile] = [each for each in hostile_answers() if each.family == family]
    Math().verify([Rollout(boxed("\\sin 1"), answer="\\cos 1")])  # starts the workers
    for case in cases:
        start = time.perf_counter()
        verdict = Math().verify([Rollout(case.response, answer=case.gold)])[0]
        assert time.perf_counter() - start < 5  # measured without load: 0.4 s at most
        assert verdict.value == 0, (case, verdict)
    assert not Path("/tmp/MATHPWNED").exists()


def test_the_caller_never_loads_sympy() -> None:
    script = (
        "import sys\nfrom proctor.verifiers.answers import Math\nfrom proctor.verifiers.core import Rollout\n"
        r"v = Math().verify([Rollout(r'\boxed{\sin^2 x + \cos^2 x + \sin(2x)}', answer=r'1 + 2 \sin x \cos x')])[0]"
        "\nprint(v.value, v.status.value, 'sympy' in sys.modules, 'math_verify' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1.0", "correct", "False", "False"]


def test_a_deadline_of_the_symbolic_path_is_never_a_zero() -> None:
    verdict = judge(r"\sin^2 x + \cos^2 x + \sin(2x)", r"1 + 2 \sin x \cos x", timeout_s=1e-4)
    assert verdict.value is None
    assert verdict.status in (Status.GRADER_ERROR, Status.UNAVAILABLE)
    assert "timeout" in verdict.evidence["why"]


def test_a_right_answer_that_algebra_is_too_slow_for_is_no_zero() -> None:
    """The answer alone takes the time, and the reference none: still the time-out is ours."""
    verdict = judge(r"\sum_{n=1}^{10} \frac{1}{n}", r"\int_0^1 \frac{1-x^{10}}{1-x} dx", timeout_s=1.0)
    assert (verdict.value, verdict.status) in ((None, Status.GRADER_ERROR), (1.0, Status.CORRECT))


@pytest.mark.parametrize(
    ("gold", "answer", "options", "value"),
    [
        ("50%", "0.5", {}, 1), ("50%", "50", {}, 1), ("50%", "0.5", {"percent": "number"}, 0),
        ("50%", "50", {"percent": "fraction"}, 0), ("3.14159", "3.1416", {}, 0),
        ("3.14159", "3.1416", {"tolerance": 1e-4}, 1), ("1, 2", "2, 1", {}, 1), ("1, 2", "2, 1", {"ordered": True}, 0),
        ("(1, 2)", "(2, 1)", {}, 0), ("(1, 2)", "(2, 1)", {"ordered": False}, 1),
        ("10 cm", "0.1 m", {}, 1), ("10 cm", "10 kg", {}, 0), ("10 cm", "10 kg", {"units": "ignore"}, 1),
        ("10 cm", "10", {"units": "same"}, 0), ("B", "b", {}, 1), ("2x+1", "2X+1", {}, 1), ("2x+1", "2X+1", {"ignore_case": False}, 0),
    ],
)  # fmt: skip
def test_options(gold: str, answer: str, options: dict[str, Any], value: float) -> None:
    assert judge(gold, answer, **options).value == value


def test_what_counts_as_an_answer() -> None:
    bare = Rollout("I add them up and get 7", answer="7")
    assert Math().verify([bare])[0].value == 1
    assert Math(last_number=False).verify([bare])[0].status is Status.NO_ANSWER
    assert Math(policy="strict").verify([bare])[0].status is Status.NO_ANSWER
    thought = Rollout("<think>it is \\boxed{7}</think> I do not know", answer="7")
    assert Math().verify([thought])[0].value == 0


def test_blame_for_references() -> None:
    missing = Math().verify([Rollout("7")])[0]
    assert (missing.value, missing.status) == (None, Status.MISCONFIGURED)


@pytest.mark.parametrize(
    "reference",
    ["  ", float("nan"), "NaN", "?", "...", "####", ["7"], {"answer": "7"}, b"7"],
)
def test_a_reference_that_is_none_is_not_the_candidates_zero(reference: Any) -> None:
    verdict = Math().verify([Rollout("7", answer=reference)])[0]
    assert (verdict.value, verdict.status) == (None, Status.BAD_REFERENCE)


@pytest.mark.parametrize("reference", [7, 7.0, "\\{\\}", "\\infty", "∅", "-", ">"])
def test_a_reference_of_signs_or_another_type_is_read(reference: Any) -> None:
    assert Math().verify([Rollout("8", answer=reference)])[0].value == 0


def test_evidence_says_what_was_looked_at() -> None:
    verdict = judge("1/2", "0.25")
    assert verdict.evidence["answer"] == "0.25"
    assert verdict.evidence["reference"] == "1/2"
    assert verdict.evidence["rule"] == "box"
    assert verdict.evidence["why"]


@pytest.mark.parametrize("options", [{"tolerance": 1.0}, {"tolerance": -1}, {"timeout_s": 0}])
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Math(**options)
