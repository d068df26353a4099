"""The shapes in which a row's tests may come, and what each is run as.

    "def check(candidate): ..."              source: a check function, pytest-style functions, unittest cases,
                                             or a script of asserts
    ["assert f(1) == 2", ...]                a list of asserts, each one test (MBPP)
    {"test_list": [...], "test_setup_code": "", "test_imports": []}          the same, a row of MBPP
    {"source" | "check" | "test": "..."}     source, with `entry_point` beside it where that is needed
    {"asserts": [...], "setup": "..."}
    [{"args": [...], "kwargs": {...}, "expected": ...}, ...]                 calls of `entry_point`
    {"calls": [...], "entry_point": "Solution.method"}
    {"inputs": [[...], ...], "reference": "def f ..."}                       calls; a right solution tells what
                                                                             is expected (EvalPlus); `examples`:
                                                                             asserts that show argument types
    [{"input": "1 2\\n", "output": "3\\n"}, ...]                               standard input and output
    {"inputs": [...], "outputs": [...]}      the same (APPS); calls where there is `fn_name`
    [{"input": "[1]\\n2", "output": "3", "testtype": "functional"}]           calls (LiveCodeBench)
    [{"input": [1, 2], "output": [3], "type": "function_call", "fn_name": "f"}]         calls (SYNTHETIC-1)
    {"test_cases": [...], "language": "python"}                              a list of either kind in a mapping
    {"functional": "..."}, {"assert_case": [...]}                            source and asserts (verl, rllm)
    {"input": [...], "output": [...]}        the same (CodeContests)
    {"tests": [...], "checker": "..."}       the same, with a checker of its own

A text that is data is read as such first (`written.py`). A test may carry a `weight`. `entry_point` and `fn_name`
may also be columns of the row; `gathering.py` has what else may be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proctor.sandbox.exam.bounds import UnsendableError
from proctor.sandbox.exam.encode import Encoder
from proctor.verifiers.programs.written import parse


class TestShapeError(ValueError):
    """Tests that are missing, empty, or of no known shape: a matter of configuration."""

    __test__ = False  # for pytest: this is no test


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a program that reads standard input."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class StdioTests:
    """Tests of a program that reads standard input."""

    cases: tuple[Case, ...]
    weights: tuple[float, ...]
    checker: str = ""


@dataclass(frozen=True, slots=True)
class ExamTests:
    """Tests that an examiner holds: `spec` is its paper, encoded."""

    spec: bytes
    entry: str  # "" where the examiner finds it in the tests
    weights: tuple[float, ...] = ()  # of calls; other tests weigh the same


def read_tests(
    tests: Any,
    *,
    entry: str = "",
    owner: str = "",
    prompt_code: str = "",
    options: Mapping[str, Any] | None = None,
) -> StdioTests | ExamTests:
    """What a row's tests are run as.

    Args:
        tests: one of the shapes above.
        entry: the row's entry point, where it has one: `f`, `Class.method` or `Class().method`.
        owner: class that calls find a bare entry point in, as judges of LeetCode's kind do.
        prompt_code: trusted text whose definitions the tests may use.
        options: fields of an examiner's paper that come from the part (tolerance, whether to keep going).

    Raises TestShapeError.
    """
    if isinstance(tests, str):
        tests = parse(tests)
    if tests is None:
        raise TestShapeError("the row has no tests")
    if not tests:
        raise TestShapeError("the tests are empty")
    try:
        spec = _read_shape(tests)
    except (TypeError, AttributeError, KeyError) as error:  # a shape that is known, but for a part of it
        raise TestShapeError(f"tests that cannot be read: {type(error).__name__}: {error}") from error
    if isinstance(spec, StdioTests):
        return spec
    entry = _INSTANCE.sub(r"\1.", spec.get("entry_point") or entry)
    if owner and "calls" in spec and entry.isidentifier():
        entry = f"{owner}.{entry}"
    if ("calls" in spec or "inputs" in spec) and not entry:
        raise TestShapeError("a list of calls needs the name of what to call: 'entry_point'")
    weights = tuple(_weight(call) for call in spec.get("calls", ()))
    context = {} if "calls" in spec or "inputs" in spec else {"prompt": prompt_code}
    try:
        data = Encoder().encode({**context, **spec, **(options or {}), "entry_point": entry})
    except UnsendableError as error:
        raise TestShapeError(f"the tests hold what has no plain form: {error}") from error
    return ExamTests(data, entry, weights)


def _read_shape(tests: Any) -> Any:
    if isinstance(tests, str):
        return {"source": _source(tests)}
    return _from_mapping(tests) if isinstance(tests, Mapping) else _from_list(list(tests))


def _from_mapping(tests: Mapping[str, Any]) -> Any:
    entry = tests.get("entry_point") or tests.get("fn_name") or ""
    for name in ("source", "check", "test", "functional"):
        if isinstance(tests.get(name), str):
            return {"source": _source(tests[name]), "entry_point": entry, **_options(tests)}
    if "test_list" in tests:
        setup = [*(tests.get("test_imports") or ()), tests.get("test_setup_code") or ""]
        return {"asserts": _texts(tests["test_list"]), "setup": "\n".join(setup), "entry_point": entry}
    if "asserts" in tests:
        return {"asserts": _texts(tests["asserts"]), "setup": tests.get("setup") or "", "entry_point": entry}
    if "assert_case" in tests:
        if any(tests.get("outputs") or ()):
            raise TestShapeError("tests with both 'assert_case' and 'outputs'; one of them must go")
        return {"asserts": _texts(tests["assert_case"]), "entry_point": entry}
    if "calls" in tests:
        return {"calls": _calls(tests["calls"]), "entry_point": entry, **_options(tests)}
    if "inputs" in tests and "reference" in tests:
        _filled(tests["inputs"])
        near = {"rel": 1e-7, "abs": tests.get("tolerance") or 0.0, **_options(tests)}  # of EvalPlus
        both = {"inputs": tests["inputs"], "reference": tests["reference"]}
        return {**both, "entry_point": entry, **near}
    for ins, outs in (("inputs", "outputs"), ("input", "output")):
        if ins in tests and outs in tests:
            return _from_columns(tests[ins], tests[outs], entry, tests)
    for name in ("tests", "cases", "test_cases"):
        if name in tests:
            checker = tests.get("checker") or ""
            inner = list(_filled(tests[name]))
            return _stdio(inner, checker) if checker else _from_list(inner, entry)
    raise TestShapeError(f"tests with the keys {', '.join(map(str, list(tests)[:8]))} are of no known shape")


def _from_list(tests: list[Any], entry: str = "") -> Any:
    tests = list(map(_by_our_names, tests))
    first = tests[0]
    if isinstance(first, str):
        return {"asserts": _texts(tests), "entry_point": entry}
    if isinstance(first, Mapping) and ("args" in first or "kwargs" in first or "input" not in first):
        return {"calls": _calls(tests), "entry_point": entry}
    calling = list(map(_is_call, tests))
    if not any(calling):
        return _stdio(tests, "")
    if not all(calling):
        raise TestShapeError("some tests call a function, and others are for standard input")
    names = {_name_of(test) for test in tests} - {""}
    if len(names) > 1:
        raise TestShapeError(f"the tests call several functions: {', '.join(sorted(names))}")
    calls = [
        _call(test["input"], test.get("output"), wraps="expected" not in test) | _weight_of(test)
        for test in tests
    ]
    return {"calls": calls, "entry_point": entry or "".join(names), "tuples_as_lists": True}


_INPUTS = ("input", "inputs", "stdin", "params", "arguments")
_OUTPUTS = ("output", "expected_output", "expected", "stdout", "expected_stdout", "answer", "result")


def _by_our_names(test: Any) -> Any:
    """A test with `input` and `output`, where it has them under other names."""
    if not isinstance(test, Mapping) or "args" in test or "kwargs" in test:
        return test
    given = next((name for name in _INPUTS if name in test), "")
    answer = next((name for name in _OUTPUTS if name in test), "")
    return {**test, "input": test[given], "output": test[answer]} if given and answer else test


def _is_call(test: Any) -> bool:
    """Whether a test with input and output is one of a function."""
    if not isinstance(test, Mapping):
        return False
    kind, given, answer = test.get("testtype") or test.get("type"), test.get("input"), test.get("output")
    if kind in ("functional", "function_call"):
        return True
    if kind in ("stdin", "stdin_stdout"):
        return False
    if test.get("fn_name") or isinstance(given, Mapping):
        return True
    if not isinstance(given, list):
        return False
    lines = [*given, *(answer if isinstance(answer, list) else [answer])]
    return "expected" in test or not all(isinstance(line, str) for line in lines)


def _weight_of(test: Mapping[str, Any]) -> dict[str, Any]:
    return {"weight": test["weight"]} if "weight" in test else {}


def _name_of(test: Mapping[str, Any]) -> str:
    metadata = test.get("metadata")
    return test.get("fn_name") or (metadata.get("func_name") if isinstance(metadata, Mapping) else "") or ""


_INSTANCE = re.compile(r"^(\w+)\(\)\.")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_WEIGHT = 1e100  # more, and sums of them could be beyond all floats
_MOST_INPUT = 32 << 20  # characters; a program's private files hold 64 MB, its standard input included
_OPTIONS = ("prompt", "examples", "rel", "abs", "tuples_as_lists")


def _options(tests: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tests[name] for name in _OPTIONS if name in tests}


def _from_columns(inputs: Any, outputs: Any, entry: str, tests: Mapping[str, Any]) -> Any:
    """Inputs and outputs side by side: calls where something is to be called, standard input elsewhere."""
    if len(_filled(inputs)) != len(_filled(outputs)):
        raise TestShapeError(f"{len(inputs)} inputs and {len(outputs)} outputs")
    if not entry:
        pairs = [{"input": one, "output": other} for one, other in zip(inputs, outputs, strict=True)]
        return _stdio(pairs, tests.get("checker") or "")
    calls = [_call(args, output) for args, output in zip(inputs, outputs, strict=True)]
    return {"calls": calls, "entry_point": entry, "tuples_as_lists": True}


def _call(args: Any, output: Any, *, wraps: bool = True) -> dict[str, Any]:
    """A call by its arguments: as they are, or an argument a line and the answer as JSON (LiveCodeBench).

    wraps: an answer may stand in a list of its own: APPS writes [5] for 5, and not always.
    """
    if isinstance(args, str):
        args = [_json(line) for line in args.split("\n") if line.strip()]
        return {"args": args, "expected": _json(output) if isinstance(output, str) else output}
    if isinstance(args, Mapping):
        return {"kwargs": dict(args), "expected": output}
    _check_arguments(args)
    if args and isinstance(args[0], Mapping):  # as judges of APPS do
        args = [_with_numbers(args[0]), *args[1:]]
    is_wrapped = wraps and isinstance(output, list) and len(output) == 1
    return {"args": args, "expected": output} | ({"or_expected": output[0]} if is_wrapped else {})


def _with_numbers(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Keys that are whole numbers, which JSON has made texts of."""
    try:
        return {int(key): value for key, value in mapping.items()}
    except (TypeError, ValueError):
        return mapping


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise TestShapeError(
            f"arguments and answers in text must be JSON, got {text[:100]!r}: {error}"
        ) from error


def _source(text: str) -> str:
    """A test source. Raises TestShapeError where it runs the program's text by itself, beside what is expected."""
    if "def test_execution(solution" in text:
        raise TestShapeError(
            "tests of DS-1000's kind run the program's text themselves, so that nothing can be hidden from it; "
            "calls of a function with expected values can be"
        )
    return text


def _calls(calls: Any) -> list[dict[str, Any]]:
    found = []
    for call in _filled(calls):
        if not isinstance(call, Mapping) or "expected" not in call:
            raise TestShapeError("every call needs 'expected', and 'args' or 'kwargs'")
        _check_arguments(call.get("args"), call.get("kwargs"))
        found.append(dict(call))
    return found


def _check_arguments(args: Any, kwargs: Any = None) -> None:
    """Taken apart, a text would be its letters and an object its keys, and every program would fail."""
    if not isinstance(args, list | tuple | None):
        raise TestShapeError(f"the arguments of a call must be a list, got {args!r:.100}")
    if not isinstance(kwargs, Mapping | None):
        raise TestShapeError(f"'kwargs' of a call must be an object, got {kwargs!r:.100}")


def _stdio(tests: Any, checker: str) -> StdioTests:
    cases, weights = [], []
    for test in _filled(tests):
        pair = (test.get("input"), test.get("output")) if isinstance(test, Mapping) else test
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2):
            raise TestShapeError(f"a test of no known shape: {str(test)[:100]}")
        cases.append(Case(*(_text(part) for part in pair)))
        if len(cases[-1].input) > _MOST_INPUT:
            raise TestShapeError(
                f"an input of {len(cases[-1].input):,} characters; {_MOST_INPUT:,} are the most"
            )
        weights.append(_weight(test) if isinstance(test, Mapping) else 1.0)
    return StdioTests(tuple(cases), tuple(weights), checker)


def _text(part: Any) -> str:
    """APPS has lists of lines here and there."""
    if isinstance(part, list):
        return "\n".join(map(str, part))
    if isinstance(part, int | float) and not isinstance(part, bool):
        return str(part)
    if not isinstance(part, str):
        raise TestShapeError(f"input and output of a program must be text, got {type(part).__name__}")
    if not part.isascii() and _LONE_SURROGATE.search(part):
        raise TestShapeError("an input or output holds half a surrogate pair, which is no text")
    return part


def _texts(tests: Any) -> list[str]:
    if not all(isinstance(test, str) for test in _filled(tests)):
        raise TestShapeError("a list of asserts must hold text only")
    return list(tests)


def _filled(tests: Any) -> Sequence[Any]:
    if not isinstance(tests, Sequence) or isinstance(tests, str):
        raise TestShapeError(f"a list of tests was expected, got {type(tests).__name__}")
    if not tests:
        raise TestShapeError("the tests are empty")
    return tests


def _weight(test: Mapping[str, Any]) -> float:
    weight = test.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= _MOST_WEIGHT:
        raise TestShapeError(f"a weight must be a number from 0 to {_MOST_WEIGHT:g}, got {weight!r:.100}")
    return float(weight)
