"""The loop: sample, score, settle, update, sync, record. It reads top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from proctor.rl.evaluate import Evaluation, correct_share, evaluate
from proctor.rl.experience import Experience, settle
from proctor.rl.guard import Vitals
from proctor.rl.ledger import Fate
from proctor.rl.record import Recorder
from proctor.rl.setup import Run
from proctor.rl.state import read_state, write_state
from proctor.rl.update import StepStats
from proctor.sft.checkpoint import Checkpoint, CheckpointFolder
from proctor.sft.config import ConfigError
from proctor.sft.interruption import Interruption, interruptible
from proctor.sft.optimizer import learning_rate, set_learning_rate
from proctor.sft.saving import write_result

_EVALUATION_KEPT = 32  # prompts of each evaluation whose completions are recorded, to be read side by side


class GuardStopError(RuntimeError):
    """The guard tripped as often as it may, or there are no verdicts; the last good checkpoint stands."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a step tells whoever watches: its metrics and its rollouts."""

    step: int
    num_steps: int
    metrics: dict[str, Any]
    experiences: Sequence[Experience]


def train(
    run: Run, *, watch: Callable[[Report], None] = lambda report: None
) -> tuple[Evaluation | None, Evaluation | None]:
    """Trains from the newest checkpoint, or from the start, to the last step; evaluations before and after.

    Ctrl-C or SIGTERM ends it after the step in flight, with a checkpoint of it; a second Ctrl-C at once, and that
    step is run again on resume. Raises KeyboardInterrupt then, and GuardStopError.
    """
    config, progress = run.config, run.progress
    folder = CheckpointFolder(
        config.run.output / "checkpoints",
        keep=config.run.keep,
        higher_is_better=True,
        is_main=run.workers.rank == 0,
        wait=run.workers.wait,
    )
    if not config.run.resume:
        folder.set_aside()
    restore(run, folder.latest())
    recorder = Recorder(
        config.run.output,
        from_step=progress.step or -1,  # a run at its start evaluates once more
        tensorboard=config.run.tensorboard,
        wandb=config.run.wandb,
        is_main=run.workers.rank == 0,
    )
    with recorder, interruptible() as wish:
        found = _loop(run, folder, recorder, watch, wish)
    write_result(config.run.output / "model", run.policy, run.workers, run.tokenizer)
    return found


def _loop(
    run: Run,
    folder: CheckpointFolder,
    recorder: Recorder,
    watch: Callable[[Report], None],
    wish: Interruption,
) -> tuple[Evaluation | None, Evaluation | None]:
    config, progress = run.config, run.progress
    before = evaluation = None
    if progress.step == 0:
        before = evaluation = _evaluate(run, recorder)
        save(run, folder, evaluation)
    while progress.step < config.run.steps:
        _end_where_wanted(run, folder, wish)
        progress.step += 1
        clock = Clock()
        experiences = collect(run, clock)
        if config.offload.sampler:
            run.engine.sleep()
        stats = learn(run, experiences, clock)
        with clock("sync"):
            if config.offload.sampler:
                run.engine.wake()
            run.engine.sync(run.policy.model)
        vitals = _vitals(run, stats, experiences)
        reason = progress.guard.alarm(vitals) if config.guard.enabled else None
        if reason is not None:
            history = [asdict(each) for each in progress.guard.history]
            recorder.incident(progress.incidents + 1, progress.step, reason, experiences, history=history)
            roll_back(run, folder, reason)
            recorder.rewind(progress.step)
            continue
        progress.ledger.settle(_fate(experience) for experience in experiences)
        progress.ledger.check()
        metrics = _metrics(run, stats, experiences, vitals, clock)
        recorder.step(progress.step, metrics)
        recorder.completions(progress.step, experiences)
        watch(Report(progress.step, config.run.steps, metrics, experiences))
        if config.guard.enabled and (blind := progress.guard.blindness()):
            raise GuardStopError(f"stopped at step {progress.step}: {blind}")
        is_last, measured = progress.step == config.run.steps, None
        if is_last or (config.evaluation.every and progress.step % config.evaluation.every == 0):
            measured = evaluation = _evaluate(run, recorder)
        if is_last or progress.step % config.run.save_every == 0:
            save(run, folder, measured)
    return before, evaluation


def _end_where_wanted(run: Run, folder: CheckpointFolder, wish: Interruption) -> None:
    """Raises KeyboardInterrupt, with all steps in a checkpoint, where any process was asked to stop."""
    if not run.workers.total([wish.is_wanted])[0]:
        return
    latest = folder.latest()
    if latest is None or latest.step != run.progress.step:
        save(run, folder, None)
    raise KeyboardInterrupt


def collect(run: Run, clock: Clock) -> list[Experience]:
    """Samples, scores and settles one step's rollouts; refills groups that teach nothing, up to a bound."""
    progress, learner, settings = run.progress, run.learner, run.config.rollouts
    found: list[Experience] = []
    sampled: list[Experience] = []
    missing = settings.prompts
    for attempt in range(1 + settings.max_refills):
        problems = [run.problems[index] for index in progress.deck.deal(missing)]
        seed = (run.config.run.seed * 1_000_003 + progress.step) * 101 + attempt
        with clock("sample and score"):
            more = run.collector(
                problems, replace(run.sampling, seed=seed), step=progress.step, first_group=_groups(sampled)
            )
        progress.ledger.enter(prompts=len(problems), rollouts=len(more))
        with clock("reference"):
            sampled += learner.with_reference(more)
        penalties = learner.kl_penalties(sampled, kl_coef=progress.kl.coef)
        # All rounds at once: a baseline or deviation of the batch is that of the step, not of a refill.
        found = settle(sampled, learner.algorithm, penalties=penalties)
        useful = {experience.group for experience in found if experience.fate is Fate.TRAINED}
        missing = settings.prompts - len(useful)
        if not learner.algorithm.refill_zero_variance or missing <= 0:
            break
    if learner.settings.max_staleness is not None:
        with clock("staleness"):
            found = learner.with_stale(found)
    return _shareable(found, run.workers.num_processes)


def _shareable(experiences: list[Experience], num_processes: int) -> list[Experience]:
    """Drops what is left to train where it does not give every process a row."""
    if sum(each.fate is Fate.TRAINED for each in experiences) >= num_processes:
        return experiences
    return [replace(each, fate=Fate.DROPPED) if each.fate is Fate.TRAINED else each for each in experiences]


def learn(run: Run, experiences: Sequence[Experience], clock: Clock) -> list[StepStats]:
    """Updates policy and critic on what is to be trained; nothing where there is nothing."""
    progress, config = run.progress, run.config
    rate = learning_rate(progress.step - 1, config.run.steps, config.optimizer) * progress.rate_scale
    set_learning_rate(run.workers.optimizer, rate)
    trained = [experience for experience in experiences if experience.fate is Fate.TRAINED]
    if not trained:
        return []
    with clock("reference"):
        rows = run.learner.rows(trained, kl_coef=progress.kl.coef)
    with clock("update"):
        stats = run.learner.update(
            rows, kl_coef=progress.kl.coef, train_policy=progress.step > config.critic.warmup_steps
        )
    if stats and not math.isnan(stats[-1].kl):
        progress.kl.update(stats[-1].kl, len(trained))
    return stats


def save(run: Run, folder: CheckpointFolder, evaluation: Evaluation | None) -> Checkpoint:
    """Everything that resuming needs, in one atomic folder. evaluation: of these very weights."""
    metric = None if evaluation is None else evaluation.sampled

    def write(path: Any) -> None:
        write_state(path, run.policy, run.workers, run.tokenizer, run.learner.critic)

    return folder.save(run.progress.step, write, metric=metric, state=run.progress.to_json())


def restore(run: Run, checkpoint: Checkpoint | None) -> None:
    """Puts a checkpoint's state into the run, and its weights into the sampler; None: only the latter.

    Raises ConfigError where the run does not fit it.
    """
    if checkpoint is not None:
        if checkpoint.state.get("data") != run.progress.data:
            raise ConfigError(
                f"{checkpoint.path} was trained on other prompts; set run.resume = false or another run.output"
            )
        read_state(checkpoint.path, run.policy, run.workers, run.learner.critic)
        run.progress.restore(checkpoint.state)
    run.engine.sync(run.policy.model)


def roll_back(run: Run, folder: CheckpointFolder, reason: str) -> None:
    """Back to the newest checkpoint with a lower rate, past the prompts that tripped the guard.

    What was sampled since is counted as dropped. Raises GuardStopError after the last incident allowed.
    """
    checkpoint = folder.latest()
    assert checkpoint is not None  # one is written before the first step
    progress = run.progress
    step, dealt, sampled, prompts = (
        progress.step,
        progress.deck.dealt,
        progress.ledger.sampled,
        progress.ledger.prompts,
    )
    incidents, scale = progress.incidents + 1, progress.rate_scale * run.config.guard.rate_factor
    restore(run, checkpoint)
    progress.deck.dealt, progress.incidents, progress.rate_scale = dealt, incidents, scale
    progress.ledger.fates[Fate.DROPPED.value] += sampled - progress.ledger.sampled
    progress.ledger.sampled, progress.ledger.prompts = sampled, prompts
    progress.guard.forget()
    if incidents >= run.config.guard.max_incidents:
        raise GuardStopError(
            f"stopped at step {step} after {incidents} incidents, the last: {reason}; the run stands at "
            f"{checkpoint.path}, and {run.config.run.output}/incident-*.json have the batches"
        )


class Clock:
    """Adds up the seconds of each part of a step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._part = ""
        self._start = 0.0

    def __call__(self, part: str) -> Clock:
        self._part = part
        return self

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        spent = time.perf_counter() - self._start
        self.seconds[self._part] = self.seconds.get(self._part, 0.0) + spent


def _evaluate(run: Run, recorder: Recorder) -> Evaluation | None:
    if not run.evaluation:
        return None
    sampling = replace(run.sampling, num_samples=run.config.evaluation.samples)
    step, kept = run.progress.step, _EVALUATION_KEPT * sampling.num_samples
    found = evaluate(
        run.collector,
        run.evaluation,
        sampling,
        seed=run.config.run.seed,
        step=step,
        read=lambda sampled: recorder.completions(step, sampled[:kept], kind="evaluation"),
    )
    recorder.step(run.progress.step, {f"evaluation/{name}": value for name, value in found.to_json().items()})
    return found


def _fate(experience: Experience) -> Fate:
    assert experience.fate is not None  # `settle` gives every experience one
    return experience.fate


def _groups(experiences: Sequence[Experience]) -> int:
    return 1 + max((experience.group for experience in experiences), default=-1)


def _vitals(run: Run, stats: Sequence[StepStats], experiences: Sequence[Experience]) -> Vitals:
    rewards = [experience.reward for experience in experiences if experience.score.total is not None]
    nan = float("nan")
    last = stats[-1] if stats else None
    norms = [step.grad_norm if math.isfinite(step.grad_norm) else math.inf for step in stats]
    logp = [value for experience in experiences for value in experience.completion.logprobs]
    return Vitals(
        loss=last.loss if last else 0.0,
        grad_norm=max(norms, default=0.0),
        reward=fmean(rewards) if rewards else nan,
        correct=correct_share(experiences, run.collector.reward.exams),
        kl=last.kl if last else nan,
        entropy=last.entropy if last else nan,
        gap=last.gap.mean_abs if last else nan,
        sampled_logp=fmean(logp),
    )


def _metrics(
    run: Run, stats: Sequence[StepStats], experiences: Sequence[Experience], vitals: Vitals, clock: Clock
) -> dict[str, Any]:
    """One flat dictionary per step: what was earned, what was learned, where the time and rollouts went."""
    lengths = [len(experience.completion.token_ids) for experience in experiences]
    fates = [_fate(experience).value for experience in experiences]
    metrics: dict[str, Any] = asdict(vitals)
    for name in run.collector.reward.plan.parts:
        found = (each.score.verdicts.get(name) for each in experiences)
        known = [verdict.value for verdict in found if verdict is not None and verdict.value is not None]
        metrics[f"reward/{name}"] = fmean(known) if known else None
    metrics |= {
        "length": fmean(lengths),
        "truncated": fmean(experience.completion.is_truncated for experience in experiences),
        "learning_rate": run.workers.optimizer.param_groups[0]["lr"],
        "kl_coef": run.progress.kl.coef,
        "clipped_low": stats[-1].clipped_low if stats else None,
        "clipped_high": stats[-1].clipped_high if stats else None,
        "gap_max": stats[-1].gap.max_abs if stats else None,
        "gap_kl": stats[-1].gap.kl if stats else None,
        "gap_max_ratio": stats[-1].gap.max_ratio if stats else None,
        "tokens": sum(lengths),
        "tokens_per_second": sum(lengths) / max(1e-9, sum(clock.seconds.values())),
    }
    metrics |= {f"fate/{fate.value}": fates.count(fate.value) for fate in Fate}
    return metrics | {f"seconds/{part}": seconds for part, seconds in clock.seconds.items()}
