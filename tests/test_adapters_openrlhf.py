"""The OpenRLHF adapter, called as its executor calls: one rollout, the whole text with its special tokens."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from proctor.verifiers.adapters import openrlhf as adapter
from proctor.verifiers.core import Rollout
from proctor.verifiers.custom import part

PROMPT = "<|im_start|>user\nWhat is 6 x 7? Think first, then answer.<|im_end|>\n<|im_start|>assistant\n"
RIGHT = "It is $\\boxed{42}$.<|im_end|>"


def call(function: Any, text: str, label: Any, prompt: str = PROMPT) -> dict[str, Any]:
    """As OpenRLHF does, which then makes a tensor of what it is given (samples_generator.py)."""
    found = asyncio.run(asyncio.to_thread(function, [prompt + text], [prompt], [label]))
    for value in (found["rewards"], found["scores"], *found["extra_logs"].values()):
        assert torch.tensor([value]).shape == (1,)
        assert value.dtype == torch.float32
    return {name: found[name].item() for name in ("rewards", "scores")} | {
        name: value.flatten()[0].item() for name, value in found["extra_logs"].items()
    }


def test_rewards_scores_and_logs() -> None:
    function = adapter.reward_function("math + 0.5 * (1 if len('characters') == 19 else 0)")
    right, wrong = call(function, RIGHT, "42"), call(function, RIGHT, "41")
    assert (right["rewards"], right["scores"], right["scorable"], right["math"]) == (1.5, 1.0, 1.0, 1.0)
    assert (wrong["rewards"], wrong["scores"], wrong["math"]) == (0.5, 0.0, 0.0)
    assert right.keys() == wrong.keys()


def test_several_rollouts_in_a_call_as_older_versions_make() -> None:
    function = adapter.reward_function("math")
    found = function([PROMPT + RIGHT] * 2, [PROMPT] * 2, ["42", "41"])
    assert found["rewards"].tolist() == [1.0, 0.0]


def test_a_label_with_columns_by_name() -> None:
    function = adapter.reward_function("code")
    label = {"tests": ["assert double(4) == 8"]}
    text = "```python\ndef double(x): return {} * x\n```</s>"
    assert call(function, text.format(2), label)["rewards"] == 1.0
    assert call(function, text.format(3), label)["rewards"] == 0.0


@pytest.mark.parametrize(
    ("ending", "truncated"), [("<|im_end|>", 0.0), ("<|im_end|>\n", 0.0), ("", 1.0), ("<|im", 1.0)]
)
def test_a_completion_without_its_end_is_truncated(ending: str, truncated: float) -> None:
    function = adapter.reward_function("1 if truncated else 0", eos_tokens=["<|im_end|>"])
    assert call(function, "and so on" + ending, "")["rewards"] == truncated


@pytest.mark.parametrize(
    "end", ["<|im_end|>", "<|eot_id|>", "</s>", "<end_of_turn>\n", "<｜end▁of▁sentence｜>", ""]
)
def test_the_tokens_that_end_a_completion_are_no_part_of_it(end: str) -> None:
    assert adapter._ENDS.sub("", "a < b, |x|" + end) == "a < b, |x|"


def test_what_cannot_be_scored_is_a_number_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    function = adapter.reward_function("math", unscorable=-0.5)
    unscored = call(function, RIGHT, "")
    assert (unscored["rewards"], unscored["scores"], unscored["scorable"]) == (-0.5, -0.5, 0.0)
    assert unscored.keys() == call(function, RIGHT, "42").keys()
    assert "configuration" in caplog.text
    foreign = function(["another text altogether"], [PROMPT], ["42"])
    assert foreign["extra_logs"]["scorable"].tolist() == [0.0]


@given(st.text(), st.text() | st.text("ab", min_size=60))
def test_the_completion_is_what_follows_the_prompt(text: str, prompt: str) -> None:
    assert adapter._completion(prompt + text, prompt) == text


def test_the_beginning_of_a_prompt_may_be_cut_off() -> None:
    long = "".join(f"{n} " for n in range(200))
    assert adapter._completion(long[50:] + "0 1 2", long) == "0 1 2"
    assert adapter._completion(long + long, long) == long
    assert adapter._completion("0 1 2", long) is None


@part(bounds=(0, 1), per="group")
def openrlhf_rank(rollouts: list[Rollout]) -> list[float]:
    return [1 / len(rollouts)] * len(rollouts)


def test_what_compares_a_group_is_refused() -> None:
    with pytest.raises(ValueError, match="one rollout at a time"):
        adapter.reward_function("math - openrlhf_rank")


def test_it_is_loaded_from_a_file_as_openrlhf_does(tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text(
        "from proctor.verifiers.adapters import openrlhf\nreward_func = openrlhf.reward_function('math')\n"
    )
    spec = importlib.util.spec_from_file_location("reward_func", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert call(module.reward_func, RIGHT, "42")["rewards"] == 1.0
