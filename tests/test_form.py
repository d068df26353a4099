"""The parts `format` and `answer_shown`."""

from __future__ import annotations

import json
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.answer_shown import AnswerShown
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.form import Format
from proctor.verifiers.part import Bounds, Part
from proctor.verifiers.shapes import fault_of_box, fault_of_code, fault_of_sections, parse_json

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "format_cases.jsonl").read_text("utf-8").splitlines()
]


def judge(part: Part, text: str, **columns: Any) -> Verdict:
    return part.verify([Rollout(text, **columns)])[0]


@pytest.mark.parametrize("case", CASES, ids=[f"{case['shape']}: {case['why']}" for case in CASES])
def test_table_of_shapes(case: dict[str, Any]) -> None:
    verdict = judge(Format(case["shape"], **case["options"]), case["text"])
    assert verdict.value == case["ok"], verdict
    assert verdict.status is (Status.CORRECT if case["ok"] else Status.INCORRECT)
    assert bool(verdict.evidence.get("fault")) is not bool(case["ok"])


PLAIN = st.text(alphabet="ab 1<>/\n\\{}`", min_size=1, max_size=20).filter(
    lambda text: text.strip() and fault_of_sections(text, ("think", "answer")) == "no <think>"
)


@given(PLAIN, PLAIN, st.sampled_from(["", " ", "\n\n"]))
def test_every_well_formed_response_passes(thinking: str, answer: str, space: str) -> None:
    text = f"{space}<think>{thinking}</think>{space}<answer>{answer}</answer>{space}"
    assert judge(Format("think_answer"), text).value == 1


@given(PLAIN, PLAIN, st.integers(0, 3), st.sampled_from(["drop", "double", "case", "space", "slash", "swap"]))
def test_no_single_mutation_of_a_tag_passes(thinking: str, answer: str, which: int, mutation: str) -> None:
    tags = ["<think>", "</think>", "<answer>", "</answer>"]
    tag = tags[which]
    tags[which] = {
        "drop": "",
        "double": tag * 2,
        "case": tag.upper(),
        "space": tag.replace(">", " >"),
        "slash": tag.replace("</", "<") if "/" in tag else tag.replace("<", "</"),
        "swap": tags[(which + 1) % 4],
    }[mutation]
    text = f"{tags[0]}{thinking}{tags[1]}{tags[2]}{answer}{tags[3]}"
    assert judge(Format("think_answer"), text).value == 0


@given(st.text(alphabet="ab\\{}$ 1", max_size=30))
def test_any_balanced_box_with_an_answer_passes(content: str) -> None:
    depth = 0
    escaped = False
    for char in content:
        if escaped or char == "\\":
            escaped = not escaped and char == "\\"
            continue
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth < 0:
            break
    if depth == 0 and not escaped:
        has_answer = any(map(str.isalnum, content))
        assert (fault_of_box(f"so \\boxed{{{content}}}") is None) is has_answer


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["x", "{", "]", '"', "```"]))
def test_json_comes_back_and_nothing_may_stand_around_it(value: Any, extra: str) -> None:
    text = json.dumps(value)
    assert parse_json(text) == (value, None)
    assert parse_json(f"{text} {extra}")[1]
    assert parse_json(f"{extra} {text}")[1]


@pytest.mark.parametrize("prompt", ["2+2?<|im_start|>assistant\n<think>\n", "2+2?"])
def test_thinking_that_the_prompt_opened(prompt: str) -> None:
    rest = "2+2 is 4</think><answer>4</answer>"
    opened = prompt.endswith("<think>\n")
    assert judge(Format("think_answer"), rest, prompt=prompt).value == opened
    assert judge(Format("think_answer"), f"<think>{rest}", prompt=prompt).value == (not opened)


def test_thinking_that_a_template_opens_is_said() -> None:
    """A prompt of chat messages does not show what DeepSeek-R1's template adds to it."""
    messages = [{"role": "user", "content": "2+2?"}]
    rest = "2+2 is 4</think><answer>4</answer>"
    assert judge(Format("think_answer"), rest, prompt=messages).value == 0
    assert judge(Format("think_answer", begun=True), rest, prompt=messages).value == 1
    assert judge(Format("think_answer", begun=True), f"<think>{rest}", prompt=messages).value == 0
    assert judge(Format("think_answer", begun=False), rest, prompt="2+2?<think>\n").value == 0
    with pytest.raises(ValueError, match="begun belongs to shapes of sections, not to 'boxed'"):
        Format("boxed", begun=True)


def test_the_prompt_may_open_any_first_section() -> None:
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "<reason>\n"}]
    part = Format("xml", tags=("reason", "answer"))
    assert judge(part, "so</reason><answer>4</answer>", prompt=messages).value == 1


def test_a_pattern_that_backtracks_is_no_zero_and_harms_nobody_else() -> None:
    part = Format("regex", pattern="(a+)+")
    texts = ["aaa", "a" * 40 + "b", "b", *["aa"] * 100]
    verdicts = part.verify([Rollout(text) for text in texts])
    assert verdicts[1].status is Status.GRADER_ERROR
    assert verdicts[1].value is None
    assert [verdict.value for verdict in verdicts[:1] + verdicts[2:]] == [1, 0, *[1] * 100]


def test_a_schema_that_backtracks_is_no_zero_either() -> None:
    part = Format("json", schema={"pattern": "^(a+)+$"})
    verdicts = part.verify([Rollout(text) for text in ('"aa"', '"' + "a" * 40 + 'b"', '"b"', "no")])
    assert [verdict.value for verdict in verdicts] == [1, None, 0, 0]


def test_a_schema_does_not_reach_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        schema = {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"}
        verdict = judge(Format("json", schema=schema), "1")
        with pytest.raises(TimeoutError):
            server.accept()
    assert (verdict.value, verdict.status) == (None, Status.GRADER_ERROR)
    assert "Unresolvable" in verdict.evidence["detail"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "regex"}, "shape 'regex' needs its pattern"),
        ({"shape": "xml"}, "shape 'xml' needs its tags"),
        ({"shape": "boxed", "tags": ("a",)}, "tags belongs to shape 'xml', not to 'boxed'"),
        ({"shape": "json", "language": "c"}, "language belongs to shape 'code_block'"),
        ({"shape": "regex", "pattern": "("}, "no regular expression: missing \\)"),
        ({"shape": "json", "schema": {"type": "nope"}}, "no JSON schema: \\$.type: 'nope'"),
        ({"shape": "xml", "tags": ("a", "a")}, "tags must be different names, got a, a"),
        ({"shape": "xml", "tags": ("a b",)}, "tags must be different names"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Format(**options)


def test_is_plain_data() -> None:
    part = Format("json", schema={"type": "object", "required": ["a"]})
    assert part == Format("json", schema={"required": ["a"], "type": "object"})
    assert hash(part) == hash(pickle.loads(pickle.dumps(part)))
    assert str(Format("xml", tags=["a", "b"])) == 'format("xml", tags=("a", "b"))'
    assert part.bounds == Bounds(0.0, 1.0)


def test_all_parts_on_form_are_known_by_name_in_a_fresh_process() -> None:
    names = ["format", "answer_shown", "overlong", "cosine", "kimi", "target", "repetition", "steps"]
    names += ["language", "complete"]
    code = f"from proctor.verifiers.registry import parts; assert set({names}) <= set(parts()), parts()"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=True)


REASONING = (
    "First the three apples and the seven pears make ten. Half of them are eaten, which leaves five, so"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{REASONING} the answer is 5.", True),
        (f"{REASONING} \\boxed{{5}}", True),
        (f"{REASONING} it is 5", True),
        (f"<think>{REASONING}</think>\\boxed{{5}}", True),
        (f"<think>{REASONING} \\boxed{{5}}</think><answer>5</answer>", True),
        (f"{REASONING}\nA: 5", True),
        (f"\\boxed{{5}} {REASONING}", False),
        (f"The answer is 5. {REASONING}", False),
        ("5", False),
        ("<think></think>\\boxed{5}", False),
        ("so we think " * 50 + "\\boxed{5}", False),
        (". " * 500 + "5", False),
        (f"<think>{REASONING}", False),
        (f"{REASONING} nothing", False),
        ("", False),
    ],
)
def test_answer_shown(text: str, shown: bool) -> None:
    assert judge(AnswerShown(), text).value == shown


def test_answer_shown_counts_distinct_pairs_of_words() -> None:
    # one two, two three, three one (one two comes again): 3 pairs, so 4 words as if nothing were repeated
    assert judge(AnswerShown(4), "one two three one two \\boxed{5}").evidence["words"] == 4
    assert judge(AnswerShown(4), "one two three one two \\boxed{5}").value == 1
    assert judge(AnswerShown(5), "one two three one two \\boxed{5}").value == 0
    with pytest.raises(ValueError, match="least must be at least 1"):
        AnswerShown(0)


def test_no_answer_is_said_as_such() -> None:
    assert judge(AnswerShown(), "I do not know").status is Status.NO_ANSWER


BITS = [
    "<think>",
    "<",
    "< ",
    "</think ",
    "\\boxed{",
    "{",
    "\\",
    "```\n",
    "`",
    "~~~\n",
    "[",
    '"',
    '"\\',
    '{"a":',
]
BITS += ["the answer", "A: ", "1", "1.", "#", "\n", " ", "a b "]


@pytest.mark.parametrize("bit", BITS)
def test_hostile_text_takes_linear_time(bit: str) -> None:
    text = bit * (100_000 // len(bit))
    start = time.process_time()
    fault_of_sections(text, ("think", "answer"))
    fault_of_box(text)
    for code in (text, f"``` {text}`", f"{'~' * 50_000}{text}`"):  # fences that a last sign spoils
        fault_of_code(code, "python")
    parse_json(text)
    judge(AnswerShown(), text)
    assert time.process_time() - start < 2
