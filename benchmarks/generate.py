"""Samples of an evaluation suite from a model: written as they come, and an interrupted run goes on.

A prompt is the task in the suite's usual words, as a user's turn where the tokenizer has a chat template;
`template` replaces the words, "{prompt}" being the task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from transformers import PreTrainedTokenizerBase

from proctor.benchmarks.suites import Task
from proctor.rl.prompts import Rendering
from proctor.rl.rollouts.core import Completion, RolloutEngine, Sampling
from proctor.verifiers.files.scored import cut_torn_line, dumps
from proctor.verifiers.files.sources import InputError, read_rows

EngineName = Literal["transformers", "vllm", "server"]
_TASKS_AT_ONCE = 32  # what an interruption can lose; enough rows for a batch to be quick
_MAX_PROMPT_TOKENS = 4096

# What models of each kind are usually asked. A base model goes on writing where the prompt ends.
_CHAT = {
    "humaneval": "Complete this function. Answer with the whole function in one block of Python code.\n\n"
    "```python\n{prompt}```",
    "mbpp": "{prompt}\n\nYour code must pass these tests:\n{tests}\n\nAnswer with one block of Python code.",
    "gsm8k": "{prompt}\n\nThink step by step, and put the final answer in \\boxed{{}}.",
}
_BASE = {
    "humaneval": "{prompt}",
    "mbpp": '"""\n{prompt}\n{tests}\n"""\n',
    "gsm8k": "Question: {prompt}\nAnswer:",
}
_LIKE = {"humaneval+": "humaneval", "mbpp+": "mbpp", "math500": "gsm8k"}


@dataclass(frozen=True, slots=True)
class Origin:
    """How the samples of a file came about; rows of another origin are never continued."""

    model: str
    engine: EngineName
    samples_per_task: int
    temperature: float
    max_new_tokens: int
    seed: int
    template: str = ""  # empty: the suite's own words


@dataclass(frozen=True, slots=True)
class Sampler:
    """A model that is ready to answer."""

    engine: RolloutEngine
    tokenizer: PreTrainedTokenizerBase
    end_ids: tuple[int, ...]


def load_sampler(origin: Origin, *, url: str = "", api_key: str = "") -> Sampler:
    """Loads tokenizer and model; url and key: of the engine "server"."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    from proctor.sft.tokenizer import end_ids_of, load_tokenizer

    tokenizer = load_tokenizer(origin.model, key="--model")
    try:
        generation = GenerationConfig.from_pretrained(origin.model)
    except OSError:  # many models come without one
        generation = None
    engine: RolloutEngine
    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    if origin.engine == "server":
        from proctor.rl.rollouts.server_engine import ServerEngine

        engine = ServerEngine(url, api_key=api_key)
    elif origin.engine == "vllm":
        from proctor.rl.rollouts.vllm_engine import VllmEngine

        length = _MAX_PROMPT_TOKENS + origin.max_new_tokens
        engine = VllmEngine(origin.model, dtype=dtype, max_model_len=_fitting(origin.model, length))
    else:
        from proctor.rl.rollouts.local import LocalEngine

        device = "cuda" if torch.cuda.is_available() else "cpu"
        engine = LocalEngine(
            AutoModelForCausalLM.from_pretrained(origin.model, dtype=dtype).to(device).eval()
        )
    return Sampler(engine, tokenizer, end_ids_of(tokenizer, generation))


def generate_samples(
    suite: str,
    tasks: Mapping[str, Task],
    origin: Origin,
    load: Callable[[], Sampler],
    path: Path,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Appends `samples_per_task` rows for every task that the file does not have yet, in order.

    The model is loaded where something is missing. The same seed gives the same samples, also after an
    interruption. Raises InputError where the file holds samples of another origin.
    """
    names = list(tasks)
    done = _already(path, names, origin)
    progress(done)
    if done == len(names):
        return
    sampler = load()
    words = _words(suite, sampler.tokenizer, origin.template)
    render = Rendering(sampler.tokenizer, {}, _MAX_PROMPT_TOKENS)
    with path.open("a", encoding="utf-8") as file:
        for start in range(done, len(names), _TASKS_AT_ONCE):
            batch = names[start : start + _TASKS_AT_ONCE]
            prompts = [render(_ask(words, tasks[name])) for name in batch]
            sampling = Sampling(
                num_samples=origin.samples_per_task,
                max_new_tokens=origin.max_new_tokens,
                temperature=origin.temperature,
                end_ids=sampler.end_ids,
                seed=origin.seed * 1_000_003 + start,
            )
            completions = sampler.engine.generate(prompts, sampling)
            file.write("".join(_rows(batch, completions, sampler, origin)))
            file.flush()
            progress(start + len(batch))


def _rows(
    names: Sequence[str], completions: Sequence[Completion], sampler: Sampler, origin: Origin
) -> list[str]:
    rows = []
    for place, completion in enumerate(completions):
        tokens = [token for token in completion.token_ids if token not in sampler.end_ids]
        row = {
            "task_id": names[place // origin.samples_per_task],
            "completion": sampler.tokenizer.decode(tokens, skip_special_tokens=True),
            "tokens": len(completion.token_ids),
            "truncated": completion.is_truncated,
            "origin": asdict(origin),
        }
        rows.append(dumps(row) + "\n")
    return rows


def _already(path: Path, names: Sequence[str], origin: Origin) -> int:
    """How many tasks the file has whole batches for; cuts off what follows them."""
    if not path.exists():
        return 0
    with path.open("a+b") as file:
        cut_torn_line(file)
    rows = read_rows(path)
    for place, row in enumerate(rows):
        task = place // origin.samples_per_task
        fits = task < len(names) and row.data.get("task_id") == names[task]
        if not fits or row.data.get("origin") != asdict(origin):
            raise InputError(f"{path}, line {row.number}: not a sample of this model, suite and settings")
    done = len(rows) // origin.samples_per_task
    if done < len(names):
        done -= done % _TASKS_AT_ONCE
    kept = rows[: done * origin.samples_per_task]
    if len(kept) < len(rows):  # never in place: what is answered takes hours, and a kill may come at any time
        new = path.with_name(f"{path.name}.new")
        new.write_text("".join(f"{row.raw}\n" for row in kept), encoding="utf-8")
        new.replace(path)
    return done


def _words(suite: str, tokenizer: PreTrainedTokenizerBase, template: str) -> str:
    if template:
        return template
    return (_BASE if tokenizer.chat_template is None else _CHAT)[_LIKE.get(suite, suite)]


def _ask(words: str, task: Task) -> str:
    tests = task.rollout.tests
    shown = tests.get("test_list", []) if isinstance(tests, Mapping) else []
    try:
        return words.format(prompt=task.prompt, tests="\n".join(shown))
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"--template {words!r}: only {{prompt}} and {{tests}} are filled in") from error


def _fitting(model: str, length: int) -> int:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model).get_text_config()
    return min(length, getattr(config, "max_position_embeddings", None) or length)
