"""The TRL adapter, called as TRL calls it, and called by TRL itself for two steps of a tiny model."""

import asyncio
import inspect
import math
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proctor.verifiers.adapters import trl as adapter
from proctor.verifiers.core import Rollout, Status, Verdict
from proctor.verifiers.custom import part
from proctor.verifiers.files.sources import InputError

SEEN: list[Rollout] = []


@part(bounds=(0, 1), exam=True, columns=("answer",))
def trl_right(rollout: Rollout) -> Verdict:
    """Whether the answer stands in the completion."""
    SEEN.append(rollout)
    right = str(rollout.answer) in rollout.completion
    return Verdict(float(right), Status.CORRECT if right else Status.INCORRECT)


@part(bounds=(0, 1))
def trl_never(rollout: Rollout) -> None:
    """Never has an opinion."""


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


def call(function: Any, **more: Any) -> Any:
    """As GRPOTrainer of TRL 1.16 calls: keywords only, with what it always passes."""
    given = {
        "prompts": ["2+2?", "2+2?"],
        "completions": ["it is 4", "it is 5"],
        "completion_ids": [[5, 6, 2], [5, 6, 7, 8]],
        "answer": ["4", "4"],
        "trainer_state": SimpleNamespace(global_step=0),
        "log_extra": lambda column, values: None,
        "log_metric": lambda name, value: None,
    }
    return function(**given | more)


def test_plain_completions() -> None:
    assert call(adapter.reward_function("trl_right")) == [1.0, 0.0]
    assert [rollout.prompt for rollout in SEEN] == ["2+2?", "2+2?"]


def test_conversational_completions() -> None:
    completions = [[{"role": "assistant", "content": text}] for text in ("it is 4", "no")]
    prompts = [[{"role": "user", "content": "2+2?"}]] * 2
    assert call(adapter.reward_function("trl_right"), prompts=prompts, completions=completions) == [1.0, 0.0]
    assert SEEN[0].prompt == prompts[0]


def test_no_verdict_is_none() -> None:
    assert call(adapter.reward_function("trl_never")) == [None, None]
    assert call(adapter.reward_function("trl_right"), answer=["4", ["no", "text"]]) == [1.0, None]


def test_columns_have_their_usual_names_or_are_mapped() -> None:
    function = adapter.reward_function("trl_right", mapping={"answer": "right"})
    assert call(function, right=["5", "5"]) == [0.0, 1.0]
    with pytest.raises(InputError, match=r"no column for the answer"):
        adapter.reward_function("trl_right")(prompts=["x"], completions=["y"])


def test_tokens_are_counted_and_truncation_known() -> None:
    call(adapter.reward_function("trl_right", eos_token_ids=[2]))
    assert [(seen.num_tokens, seen.truncated) for seen in SEEN] == [(3, False), (4, True)]
    SEEN.clear()
    call(adapter.reward_function("trl_right", max_completion_length=4))
    assert [seen.truncated for seen in SEEN] == [False, True]
    SEEN.clear()
    call(adapter.reward_function("trl_right"))
    assert [seen.truncated for seen in SEEN] == [None, None]


def test_schedules_follow_the_trainers_step() -> None:
    function = adapter.reward_function("schedule(1, 0, steps=10) * trl_right")
    assert call(function, trainer_state=SimpleNamespace(global_step=5)) == [0.5, 0.0]


def test_metrics_and_verdicts_are_logged() -> None:
    metrics: dict[str, float] = {}
    extra: dict[str, list[str]] = {}
    function = adapter.reward_function("trl_right", name="exam", log_verdicts=True)
    call(function, log_metric=metrics.__setitem__, log_extra=extra.__setitem__, answer=["4", ["odd"]])

    assert metrics == {"exam/unscorable": 0.5, "exam/trl_right": 1.0}
    assert extra["exam_verdicts"][0] == "reward 1\n  trl_right: 1 (correct)"
    assert extra["exam_verdicts"][1].startswith("no reward: field 'answer' cannot be the answer")


def test_asynchronous_form_gives_the_same() -> None:
    function = adapter.reward_function("trl_right", asynchronous=True)
    assert asyncio.run(call(function)) == [1.0, 0.0]


def test_every_trl_sees_which_form_is_asynchronous() -> None:
    for asynchronous in (False, True):
        function = adapter.reward_function("trl_right", asynchronous=asynchronous)
        assert inspect.iscoroutinefunction(function) is asynchronous  # as older TRLs ask
        assert inspect.iscoroutinefunction(function.__call__) is asynchronous  # as TRL 1.16 does


def test_functions_pickle_and_have_a_name() -> None:
    for asynchronous in (False, True):
        function = adapter.reward_function("trl_right", name="exam", asynchronous=asynchronous)
        assert pickle.loads(pickle.dumps(function)).__name__ == "exam"


def tiny_model(words: list[str]) -> tuple[Any, Any]:
    """A random two-layer Qwen2 and a tokenizer that knows the given words, both made on the spot."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    vocabulary = {word: index for index, word in enumerate(["<pad>", "<eos>", "<unk>", *words])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, eos_token_id=1, pad_token_id=0, bos_token_id=1,
    )  # fmt: skip
    return Qwen2ForCausalLM(config), tokenizer


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # warnings of TRL and its companions are theirs
@pytest.mark.parametrize("asynchronous", [False, True])
def test_trl_itself_calls_it_for_two_steps(tmp_path: Path, asynchronous: bool) -> None:
    """Four prompts, two a step, each sampled three times; two of them have no reference, so no verdict."""
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    words = ["what", "is", "one", "two", "three", "four"]
    model, tokenizer = tiny_model(words)
    rows = [
        {"prompt": f"what is {word}", "gold": gold} for word, gold in zip(words[2:], words[2:], strict=True)
    ]
    rows[1]["gold"] = rows[3]["gold"] = None  # type: ignore[assignment]
    config = trl.GRPOConfig(
        output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=6, num_generations=3,
        max_completion_length=8, logging_steps=1, report_to="none", use_cpu=True, save_strategy="no",
        bf16=False,
    )  # fmt: skip
    reward = adapter.reward_function(
        "trl_right", mapping={"answer": "gold"}, eos_token_ids=[1], asynchronous=asynchronous
    )
    data = datasets.Dataset.from_list(rows)
    trainer = trl.GRPOTrainer(
        model=model, processing_class=tokenizer, args=config, train_dataset=data, reward_funcs=reward
    )
    trainer.train()

    steps = [log["proctor/unscorable"] for log in trainer.state.log_history if "proctor/unscorable" in log]
    assert sum(steps) == pytest.approx(1.0)  # 6 of 12, in whichever of the two steps they fell
    arrived = trainer._logs["rewards"]["proctor"]  # TRL's table of completions: those of the last step
    scored = [value for value in arrived if not math.isnan(value)]
    right = [float(str(seen.answer) in seen.completion) for seen in SEEN]
    assert len(right) == 6
    assert len(arrived) - len(scored) == round(6 * steps[-1])
    assert scored == right[len(right) - len(scored) :]
    assert all(1 <= (seen.num_tokens or 0) <= 8 and seen.truncated is not None for seen in SEEN)
