"""The cheap companions of `code`, and how all of them read in expressions."""

from __future__ import annotations

import math

import pytest

from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.expression import parse
from proctor.verifiers.programs import companions
from proctor.verifiers.programs.part import Code, CodeQuality, Compiles, Executes
from proctor.verifiers.registry import parts

CLEAN = "import math\n\n\ndef area(r):\n    return math.pi * r**2\n"
DIRTY = "import os\nimport sys\n\n\ndef area(r):\n    x = 1\n    return r\n"


def test_quality_counts_findings_per_line() -> None:
    clean, dirty, broken, empty = CodeQuality().verify([Rollout(c) for c in (CLEAN, DIRTY, "def f(:", "")])
    assert (clean.value, clean.status) == (1.0, Status.MEASURED)
    # two unused imports and one unused variable in five lines that are not blank
    assert dirty.value == pytest.approx(1 - 3 / 5)
    assert dirty.evidence["findings"][0].startswith("1: F401")
    assert (broken.value, empty.value, empty.status) == (0.0, 0.0, Status.NO_ANSWER)


def test_a_configuration_in_the_code_is_not_obeyed() -> None:
    verdict = CodeQuality().verify([Rollout("# ruff: noqa\nimport os\n")])[0]
    assert verdict.value is not None  # a file-wide noqa does hold: the docstring says so


def test_more_findings_than_a_linter_may_print_are_the_programs_own() -> None:
    code = "".join(f"import module_{number}\n" for number in range(20_000))
    verdict = CodeQuality(extraction="raw").verify([Rollout(code)])[0]
    assert (verdict.value, verdict.status) == (0.0, Status.MEASURED)


def test_the_rules_are_named_and_not_the_defaults_of_whatever_version() -> None:
    """By those of ruff 0.17: an `if` inside of an `if`, % for a format, and a bare comment sign."""
    code = "import sys\n\nif sys.argv:\n    if sys.path:\n        print('%s' % (sys.argv,))\n#\n"
    verdict = CodeQuality(extraction="raw").verify([Rollout(code)])[0]
    assert (verdict.value, verdict.evidence["findings"]) == (1.0, [])


def test_code_that_fells_the_linter_is_no_fault_of_ours() -> None:
    verdict = CodeQuality(extraction="raw").verify([Rollout(f"x = {'-' * 100_000}1")])[0]
    assert (verdict.value, verdict.status) == (0.0, Status.MEASURED)


def test_a_missing_linter_is_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companions, "ruff_path", lambda: None)
    verdict = CodeQuality().verify([Rollout(CLEAN)])[0]
    assert (verdict.value, verdict.status) == (None, Status.MISCONFIGURED)
    assert "pip install ruff" in verdict.evidence["problem"]


def test_compiles_says_what_is_wrong() -> None:
    good, bad, prose = Compiles().verify([Rollout(f"```python\n{c}\n```") for c in (CLEAN, "def f(:", "")])
    assert (good.value, bad.value, bad.status) == (1.0, 0.0, Status.COMPILE_ERROR)
    assert "SyntaxError" in bad.evidence["stderr"]
    assert prose.status is Status.NO_ANSWER


def test_executes_keeps_what_was_printed() -> None:
    ran, failed = Executes().verify([Rollout("print('hi')"), Rollout("print('hi'); raise SystemExit(3)")])
    assert (ran.value, ran.evidence["stdout"]) == (1.0, "hi\n")
    assert (failed.value, failed.evidence["exit_code"]) == (0.0, 3)


def test_all_are_known_by_name_and_print_as_written() -> None:
    known = parts()
    assert {"code", "compiles", "executes", "code_quality"} <= known.keys()
    for text in (
        "code",
        'code(tests="hidden", timeout=2.5, credit="partial")',
        'code(packages=("numpy",), tests_in_process=True)',
        "0.9 * code + 0.1 * code_quality",
        'compiles(language="rust") and code(language="rust")',
    ):
        assert str(parse(text)) == text
    assert Code.exam
    assert not CodeQuality.exam


def test_options_are_checked_where_they_are_given() -> None:
    with pytest.raises(ValueError, match="'timeout' must be above 0"):
        Code(timeout=0)
    with pytest.raises(ValueError, match="'tolerance' must be 0 or more and finite, got inf"):
        Code(tolerance=math.inf)
    for part in (Code, Executes):  # programs were blamed for limits under which nothing runs
        with pytest.raises(ValueError, match="'timeout' must be above 0 and finite, got nan"):
            part(timeout=math.nan)
        with pytest.raises(ValueError, match="'memory_mb' must be 1 or more, got -5"):
            part(memory_mb=-5)
    with pytest.raises(ValueError, match="unknown language"):
        Compiles(language="klingon")
