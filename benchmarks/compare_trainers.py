"""Proctor against TRL's GRPOTrainer: the same model, prompts, rewards and sizes, each in its own process.

    python -m proctor.benchmarks.compare_trainers compare
    python -m proctor.benchmarks.compare_trainers compare --part step --rounds 3 --model runs/sft/model --train p.jsonl

One thread each, the two sides in turn, `--rounds` times; shown are medians. CPU seconds are of the steps alone,
without loading and without the first two; memory is the process' peak, or what the work added to the loaded
model ("added MB"). Ratios are the other / Proctor: above 1 Proctor needs less. The parts:

- step: against TRL, the training step (16 prompts x 8, at most 40 tokens, the DAPO loss, no KL). Proctor leaves
  out groups that teach nothing and runs equal samples of a prompt once; on this toy that is most of the gain.
- generate: against transformers' `generate`, the same model and prompts, where many samples are equal;
  unlike: the same with random weights, where none are.
- shared: the update on long shared prompts (P=256, C=64, G=8), all completions different, against a plain loop
  of ours that runs whole rows through transformers, as TRL's does without its chunked head.
- head: the vocabulary head and its loss, 1,024 rows, hidden 256, vocabulary 151,936, against TRL's chunked one.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from proctor.benchmarks.learn import warm_start
from proctor.verifiers.files.sources import read_rows

PARTS = ("step", "generate", "unlike", "shared", "head")
WARM_STEPS = 2  # not counted
Result = dict[str, float]
Child = Callable[[str, str, int, Path], Result]  # (model, prompts, steps, a folder of its own)
app = typer.Typer(add_completion=False)


@app.command()
def compare(
    model: Annotated[Path | None, typer.Option(help="An SFT model of the addition task.")] = None,
    train: Annotated[
        Path | None, typer.Option(help="Its prompts: JSON lines with prompt and answer.")
    ] = None,
    task: Annotated[
        Path, typer.Option(help="Folder where the demo's model and prompts are made, where none are given.")
    ] = Path("runs/addition"),
    steps: Annotated[int, typer.Option(help="Training steps of each.")] = 40,
    rounds: Annotated[int, typer.Option(help="Times each side runs.")] = 1,
    part: Annotated[list[str] | None, typer.Option(help="Repeatable; default: all.")] = None,
) -> None:
    """Runs each side in a process of its own and prints the ratios."""
    if model is None or train is None:
        made = warm_start(task)
        model, train = model or made, train or task / "prompts.jsonl"
    table = Table(title=f"Proctor and others, {steps} steps, one thread", title_justify="left")
    for heading in ("what", "Proctor", "the other", "ratio"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for what in part or PARTS:
        found: dict[str, list[Result]] = {"proctor": [], "trl": []}
        for _ in range(rounds):
            for side, measured in found.items():
                measured.append(_child(what, side, model, train, steps))
        ours, theirs = (_medians(measured) for measured in found.values())
        for name in (name for name in ours if name in theirs):
            ratio = "" if "reward" in name else f"{theirs[name] / max(1e-9, ours[name]):.2f}"
            table.add_row(f"{what}: {name}", f"{ours[name]:.4g}", f"{theirs[name]:.4g}", ratio)
        for name in (name for name in ours if name not in theirs):
            table.add_row(f"{what}: {name}", f"{ours[name]:.4g}", "", "")
    Console().print(table)


def _medians(measured: list[Result]) -> Result:
    return {name: median(each[name] for each in measured) for name in measured[0]}


def _child(what: str, side: str, model: Path, train: Path, steps: int) -> Result:
    words = [f"{what}-{side}", str(model.resolve()), str(train.resolve()), str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "proctor.benchmarks.compare_trainers", "child", *words]
        done = subprocess.run(
            [*command, folder], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise SystemExit(f"{what} of {side} failed:\n{done.stderr[-3000:]}")
        found: Result = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
    return found


@app.command(hidden=True)
def child(what: str, model: str, train: str, steps: int, folder: Path) -> None:
    """One side of one comparison; writes its result into the folder."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = _CHILDREN[what](model, train, steps, folder)
    found["peak MB"] = _peak_mb()
    (folder / "result.json").write_text(json.dumps(found), encoding="utf-8")


def _step_proctor(model: str, train: str, steps: int, folder: Path) -> Result:
    from proctor.rl.settings import RLConfig
    from proctor.rl.setup import set_up
    from proctor.rl.train import train as run_training
    from proctor.sft.config import load_config

    words = [
        "--model.path", model, "--data.train", json.dumps([train]), "--reward.expression", "math",
        "--algorithm.name", "dapo", "--refill_zero_variance", "false", "--mask_truncated", "false",
        "--rollouts.prompts", "16", "--rollouts.samples", "8", "--rollouts.max_new_tokens", "40",
        "--optimizer.learning_rate", "5e-4", "--optimizer.warmup_steps", "5", "--run.output", str(folder),
        "--run.steps", str(steps), "--run.tensorboard", "false", "--run.save_every", "100000",
    ]  # fmt: skip
    ticks: list[float] = []
    metrics: list[dict[str, Any]] = []

    def watch(report: Any) -> None:
        ticks.append(time.process_time())
        metrics.append(report.metrics)

    run_training(set_up(load_config(RLConfig, None, words)), watch=watch)
    split = {
        f"{name.removeprefix('seconds/')}, wall s": fmean(
            each.get(name, 0.0) for each in metrics[WARM_STEPS:]
        )
        for name in ("seconds/sample and score", "seconds/update")
    }
    return {**_pace(ticks), **split, **_rewards([each["reward"] for each in metrics])}


def _step_trl(model: str, train: str, steps: int, folder: Path) -> Result:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from proctor.verifiers.adapters.trl import reward_function

    ticks: list[float] = []
    history: list[dict[str, float]] = []

    class Watch(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            ticks.append(time.process_time())

        def on_log(self, *args: Any, logs: dict[str, float], **kwargs: Any) -> None:
            history.append(logs)

    rows = [row.data for row in read_rows(Path(train))]
    config = GRPOConfig(
        output_dir=str(folder), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[],
        per_device_train_batch_size=128, num_generations=8, max_completion_length=40, max_steps=steps,
        learning_rate=5e-4, lr_scheduler_type="constant_with_warmup", warmup_steps=5, beta=0.0,
        loss_type="dapo", epsilon_high=0.28, temperature=1.0, logging_steps=1, save_strategy="no",
        adam_beta2=0.95, max_grad_norm=1.0, disable_tqdm=True, seed=0, shuffle_dataset=True,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        reward_funcs=reward_function("math"),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(model, padding_side="left"),
        callbacks=[Watch()],
    )
    trainer.train()
    return {**_pace(ticks), **_rewards([logs["reward"] for logs in history if "reward" in logs])}


def _generate_proctor(model: str, train: str, steps: int, folder: Path) -> Result:
    from proctor.rl.rollouts.core import Sampling
    from proctor.rl.rollouts.local import LocalEngine

    causal, tokenizer, prompts = _model_and_prompts(model, train)
    engine = LocalEngine(causal)
    sampling = Sampling(num_samples=8, max_new_tokens=40, end_ids=(tokenizer.eos_token_id,), seed=0)
    return _tokens_a_second(lambda: sum(len(c.token_ids) for c in engine.generate(prompts, sampling)))


def _unlike(generate: Child) -> Child:
    """The same with random weights, which say something else each time."""

    def generate_unlike(model: str, train: str, steps: int, folder: Path) -> Result:
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

        AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model)).save_pretrained(folder)
        AutoTokenizer.from_pretrained(model).save_pretrained(folder)
        return generate(str(folder), train, steps, folder)

    return generate_unlike


def _generate_trl(model: str, train: str, steps: int, folder: Path) -> Result:
    import torch

    causal, tokenizer, prompts = _model_and_prompts(model, train)
    batch = tokenizer.pad({"input_ids": prompts}, return_tensors="pt", padding_side="left")

    def generate() -> int:
        with torch.no_grad():
            rows = causal.generate(
                **batch, do_sample=True, top_k=0, num_return_sequences=8, max_new_tokens=40,
                eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        return int((rows[:, batch["input_ids"].shape[1] :] != tokenizer.pad_token_id).sum())

    return _tokens_a_second(generate)


def _shared_proctor(model: str, train: str, steps: int, folder: Path) -> Result:
    import torch

    from proctor.rl.algorithms.presets import preset
    from proctor.rl.objective import Objective
    from proctor.rl.rows import Row, cut
    from proctor.rl.update import policy_losses
    from proctor.sft.model import Policy

    causal, prompts, completions = _long_prompts()
    policy = Policy(causal)
    rows = [
        Row(tuple(prompts[place // 8]), tuple(tokens), torch.full((64,), 1.0 - place % 2), torch.zeros(64))
        for place, tokens in enumerate(completions)
    ]
    objective = Objective(preset("dapo"), rows, 64)
    micros = cut(rows, token_budget=16384, pad_id=0, device=torch.device("cpu"))

    def update() -> None:
        for loss, *_ in policy_losses(policy, objective, micros, temperature=1.0, entropy=False):
            loss.backward()
        policy.zero_grad()

    return _seconds_a_call(update)


def _shared_plain(model: str, train: str, steps: int, folder: Path) -> Result:
    """What TRL does without its chunked head: every row with its whole prompt, logits of the completion."""
    import torch

    causal, prompts, completions = _long_prompts()
    ids = torch.tensor([[*prompts[place // 8], *tokens] for place, tokens in enumerate(completions)])
    advantages = torch.tensor([1.0 - place % 2 for place in range(len(completions))])[:, None]

    def update() -> None:
        logits = causal(input_ids=ids, logits_to_keep=65, use_cache=False).logits[:, :-1]
        logp = torch.log_softmax(logits, -1).gather(-1, ids[:, -64:, None])[..., 0]
        ratio = torch.exp(logp - logp.detach())
        loss = -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.28) * advantages).mean()
        loss.backward()
        causal.zero_grad()

    return _seconds_a_call(update)


def _long_prompts() -> tuple[Any, list[list[int]], list[list[int]]]:
    """A random model of the demo's width with 4 prompts of 256 tokens and 8 completions of 64 to each."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    sizes = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    causal = Qwen2ForCausalLM(Qwen2Config(vocab_size=512, tie_word_embeddings=True, **sizes, **heads)).eval()
    prompts = torch.randint(0, 512, (4, 256)).tolist()
    return causal, prompts, torch.randint(0, 512, (32, 64)).tolist()


def _model_and_prompts(model: str, train: str) -> tuple[Any, Any, list[list[int]]]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    prompts = [tokenizer(row.data["prompt"])["input_ids"] for row in read_rows(Path(train))[:16]]
    return AutoModelForCausalLM.from_pretrained(model).eval(), tokenizer, prompts


def _pace(ticks: list[float]) -> Result:
    counted = ticks[WARM_STEPS - 1 :]
    return {"CPU s a step": (counted[-1] - counted[0]) / (len(counted) - 1)}


def _rewards(rewards: list[float]) -> Result:
    return {"reward, first 5 steps": fmean(rewards[:5]), "reward, last 10 steps": fmean(rewards[-10:])}


def _tokens_a_second(generate: Callable[[], int], times: int = 8) -> Result:
    generate()
    start, tokens = time.process_time(), 0
    for _ in range(times):
        tokens += generate()
    return {"CPU s per 1,000 tokens": 1000 * (time.process_time() - start) / tokens}


def _seconds_a_call(update: Callable[[], None], times: int = 6) -> Result:
    before = _peak_mb()
    update()
    start = time.process_time()
    for _ in range(times):
        update()
    return {"CPU s an update": (time.process_time() - start) / times, "added MB": _peak_mb() - before}


def _head(way: str) -> Child:
    def measure(model: str, train: str, steps: int, folder: Path) -> Result:
        from proctor.benchmarks.sft_contenders import head

        found = head(way)
        return {"CPU s a pass": found["cpu_s"], "added MB": found["peak_mb"]}

    return measure


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


_CHILDREN: dict[str, Child] = {
    "step-proctor": _step_proctor,
    "step-trl": _step_trl,
    "generate-proctor": _generate_proctor,
    "generate-trl": _generate_trl,
    "unlike-proctor": _unlike(_generate_proctor),
    "unlike-trl": _unlike(_generate_trl),
    "shared-proctor": _shared_proctor,
    "shared-trl": _shared_plain,
    "head-proctor": _head("fused"),
    "head-trl": _head("trl"),
}


if __name__ == "__main__":
    app()
