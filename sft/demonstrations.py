"""From a config to its demonstrations: read, filtered by quality, labelled, proved. No model is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from proctor.sft.chat import Conversation, read_conversations, read_questions
from proctor.sft.config import ConfigError, read_reward
from proctor.sft.dataset import Data, load_data
from proctor.sft.learner import zero_stage
from proctor.sft.quality import Quality, judge_quality
from proctor.sft.settings import SFTConfig
from proctor.sft.tokenizer import end_ids_of, load_tokenizer


def load(
    config: SFTConfig,
    *,
    model: PreTrainedModel | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    conversations: Iterable[Conversation] | None = None,
) -> tuple[Data, PreTrainedTokenizerBase]:
    """The data, filtered, labelled and proved, and its tokenizer; the model itself is not loaded for it."""
    for name, value in (("model.path", config.model.path or model), ("data.train", config.data.train)):
        if not value and conversations is None:
            raise ConfigError(f"'{name}' is required and has no value; set it or pass --{name}")
    _check(config)
    tokenizer = tokenizer or load_tokenizer(config.model.path, chat_template=config.data.chat_template)
    if model is not None:
        generation: GenerationConfig | None = model.generation_config
    else:
        generation = _generation_config(config.model.path)
    ends = end_ids_of(tokenizer, generation)
    if config.data.filters:
        rows = list(conversations or read_conversations(config.data.train))
        dropped = judge(config, rows).dropped(config.data.filters)
        conversations = [row for place, row in enumerate(rows) if place not in dropped]
    return load_data(config.data, tokenizer, ends, config.run.seed, conversations), tokenizer


def judge(config: SFTConfig, conversations: Sequence[Conversation]) -> Quality:
    """The quality report of a run's rows, with its own reward and evaluation sets."""
    text = config.evaluation.reward
    expression = read_reward("evaluation.reward", text) if text else None
    sets = {path: read_questions(path) for path in config.data.against}
    return judge_quality(conversations, reward=expression, evaluation_sets=sets)


def _check(config: SFTConfig) -> None:
    """What can be wrong without a look at any row. Raises ConfigError."""
    holds_back = config.data.evaluation or config.data.evaluation_share
    for key in ("reward", "format"):
        if text := getattr(config.evaluation, key):
            read_reward(f"evaluation.{key}", text)
    if config.run.merge and config.model.lora and zero_stage(config.parallel) == 3:
        raise ConfigError(
            "run.merge: with zero = 3 no process has the whole weights; merge the saved adapter afterwards "
            "(peft: PeftModel.from_pretrained(...).merge_and_unload())"
        )
    for key, is_given, is_used, need in (
        ("run.merge", config.run.merge, config.model.lora, "model.lora"),
        ("evaluation.every", config.evaluation.every, holds_back, "data.evaluation or data.evaluation_share"),
        (
            "data.evaluation_share",
            config.data.evaluation_share,
            not config.data.evaluation,
            "no data.evaluation",
        ),
        ("parallel.offload", config.parallel.offload, config.parallel.zero, "parallel.zero"),
    ):
        if is_given and not is_used:
            raise ConfigError(f"{key} = {is_given} has no effect; it needs {need}")
    if config.data.weight_column and config.loss.kind == "ce":
        raise ConfigError(
            "data.weight_column has no effect on loss.kind = 'ce', which uses no weights; set 'weighted_ce', "
            "'length_normalized' or 'sequence'"
        )
    for finding, key, given in (
        ("wrong", "evaluation.reward", config.evaluation.reward),
        ("contaminated", "data.against", config.data.against),
    ):
        if finding in config.data.filters and not given:
            raise ConfigError(f"data.filters: '{finding}' can only be found with {key}, which is not set")


def _generation_config(path: str) -> GenerationConfig | None:
    try:
        return GenerationConfig.from_pretrained(path)
    except OSError:  # most base models have none
        return None
