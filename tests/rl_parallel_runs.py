"""Updates from given rollouts in every way, and a whole toy run; under torchrun by test_rl_parallel."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch

from proctor.rl import setup
from proctor.rl.experience import Experience
from proctor.rl.ledger import Fate
from proctor.rl.preflight import check_config
from proctor.rl.rollouts.core import Completion
from proctor.rl.setup import Run
from proctor.rl.train import train
from proctor.rl.update import StepStats
from proctor.sft.config import load_config
from proctor.sft.learner import make_policy, make_workers
from proctor.verifiers.core import Score
from tests.rl_toy import RLConfig, make_run, sevens, toy_words

assert sevens  # importing it registers the reward

# name -> words: two steps of unequal micro-batches each, by clipped ratios, with clipping of gradients.
BASE = ("--token_budget", "60", "--minibatches", "2", "--optimizer.clip", "0.5", "--run.steps", "4")
WAYS: dict[str, tuple[str, ...]] = {
    "grpo": ("--algorithm.name", "grpo"),
    "gspo": ("--algorithm.name", "gspo"),
    "ppo": ("--algorithm.name", "ppo", "--critic.learning_rate", "0.003"),
    "lora": ("--algorithm.name", "dapo", "--lora", "true"),
    "zero-1": ("--algorithm.name", "grpo", "--zero", "1"),
    "zero-2": ("--algorithm.name", "dapo", "--zero", "2"),
    "zero-3": ("--algorithm.name", "dapo", "--zero", "3", "--rollouts.engine", "vllm"),
}


# grpo has a KL, and so a reference. With few samples a step may be without a seven, and train nothing.
PIECES = (
    "--zero", "3", "--rollouts.engine", "vllm", "--run.steps", 2, "--rollouts.prompts", 5,
    "--rollouts.samples", 16,
)  # fmt: skip
HAS_VLLM = importlib.util.find_spec("vllm") is not None


def experiences() -> list[Experience]:
    """Twelve completions of three prompts, of one to nine tokens, as if sampled."""
    torch.manual_seed(1)
    found = []
    for place in range(12):
        group, length = place // 4, 1 + (place * 5) % 9
        tokens = torch.randint(3, 15, (length,)).tolist()
        completion = Completion(
            tuple(range(4 + group, 9 + group)), tuple(tokens), tuple([-2.5] * length), False
        )
        reward = float(place % 3)
        found.append(Experience(completion, "", group, Score(reward, {}), Fate.TRAINED, reward - 1.0))
    return found


def update(folder: Path, words: tuple[str, ...]) -> dict[str, Any]:
    """Two updates; statistics and a fingerprint of the weights, equal on every process."""
    config = load_config(RLConfig, None, [*toy_words(folder), *BASE, *words])
    _, algorithm = check_config(config)
    torch.manual_seed(0)
    workers = make_workers(config.parallel, config.model.precision, clip=config.optimizer.clip)
    policy = make_policy(config.model, workers.device)
    learner = setup._learner(config, algorithm, policy, workers)
    stats: list[StepStats] = []
    for _ in range(2):
        rows = learner.rows(experiences(), kl_coef=algorithm.kl_coef)
        stats += learner.update(rows, kl_coef=algorithm.kl_coef)
    # An adapter's second matrix starts at 0: what it has learned shows in the squares.
    squares = {name: float((value.double() ** 2).sum()) for name, value in workers.weights().items()}
    return {"stats": [flat(each) for each in stats], "squares": squares}


def flat(stats: StepStats) -> dict[str, float]:
    found = {name: getattr(stats, name) for name in StepStats.__slots__ if name != "gap"}
    return {**found, "gap": stats.gap.mean_abs}


def train_and_go_on(run: Run) -> None:
    """Trains, then from the checkpoint one step more."""
    train(run)
    settings = run.config.run
    longer = settings.model_copy(update={"steps": settings.steps + 1})
    run.config = run.config.model_copy(update={"run": longer})
    train(run)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    done = {name: update(folder, words) for name, words in WAYS.items() if name != "zero-3"}
    run = make_run(folder, "--max_refills", 1, "--run.steps", 3, "--refill_zero_variance", "true",
                   "--rollouts.prompts", 5, output="together")  # fmt: skip
    train_and_go_on(run)
    done["zero-3"] = update(folder, WAYS["zero-3"])  # last: it changes how models are loaded
    if HAS_VLLM:
        wide = folder / "wide"  # vLLM's CPU attention knows no smaller heads
        train_and_go_on(make_run(wide, *PIECES))
    rank = torch.distributed.get_rank()
    ledger = run.progress.ledger.to_json()
    (folder / f"rank-{rank}.json").write_text(json.dumps({"done": done, "ledger": ledger}))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
