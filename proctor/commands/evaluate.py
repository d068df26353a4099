"""`proctor eval`: an evaluation suite, from saved samples or a model, by the graders that training uses."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proctor import console
from proctor.app import Exit, command, needs_train, usable
from proctor.commands.reading import read_reward
from proctor.verifiers.files.sources import InputError

if TYPE_CHECKING:
    from proctor.benchmarks.evaluate import Outcome
    from proctor.benchmarks.suites import Task


class Engine(str, Enum):
    """What samples from a model."""

    local = "transformers"
    vllm = "vllm"
    server = "server"


Suite = Annotated[str, typer.Argument(help="humaneval, mbpp, humaneval+, mbpp+, gsm8k or math500.")]
Samples = Annotated[
    Path | None,
    typer.Option("--samples", "-s", help="JSON lines with task_id and completion, gzipped or not."),
]
Model = Annotated[str, typer.Option("--model", "-m", help="Folder or hub name of a model that is to answer.")]
EngineChoice = Annotated[Engine, typer.Option("--engine", help="What samples from the model.")]
Url = Annotated[str, typer.Option("--url", help="The server of --engine server.")]
ServerKey = Annotated[
    str,
    typer.Option(
        "--server-key",
        metavar="NAME",
        help="Environment variable with that server's API key, where it wants one.",
    ),
]
SamplesPerTask = Annotated[int, typer.Option("--samples-per-task", "-n", min=1, help="Answers to each task.")]
Temperature = Annotated[float, typer.Option("--temperature", min=0.0, help="Of sampling; 0 is greedy.")]
MaxNewTokens = Annotated[int, typer.Option("--max-new-tokens", min=1, help="Longest answer in tokens.")]
Seed = Annotated[int, typer.Option("--seed", help="Of sampling.")]
Template = Annotated[str, typer.Option("--template", help="What a model is asked; '{prompt}' is the task.")]
Data = Annotated[Path | None, typer.Option("--data", help="The suite's task file, or a folder that has it.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Results; default: beside the samples.")]
Ks = Annotated[list[int] | None, typer.Option("--k", min=1, help="pass@k for this k. Repeatable.")]
RewardText = Annotated[
    str, typer.Option("--reward", "-r", help="What judges a sample; default: the suite's own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Judge again what --out has.")]


_OF_MODELS = (
    "engine",
    "url",
    "server_key",
    "samples_per_task",
    "temperature",
    "max_new_tokens",
    "seed",
    "template",
)


@command(
    "proctor eval humaneval --samples samples.jsonl --data HumanEval.jsonl.gz",
    "proctor eval gsm8k --model runs/rl/model --engine vllm --samples-per-task 4 --temperature 0.8",
    name="eval",
)
def evaluate(
    context: typer.Context,
    suite: Suite,
    samples: Samples = None,
    model: Model = "",
    engine: EngineChoice = Engine.local,
    url: Url = "",
    server_key: ServerKey = "",
    samples_per_task: SamplesPerTask = 1,
    temperature: Temperature = 0.0,
    max_new_tokens: MaxNewTokens = 1024,
    seed: Seed = 0,
    template: Template = "",
    data: Data = None,
    out: Out = None,
    k: Ks = None,
    reward: RewardText = "",
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Judge samples of an evaluation suite, saved ones or a model's, and print pass@k with intervals.

    With --model the samples are written to SUITE_MODEL_samples.jsonl as they come. The tasks are found by
    --data, by $PROCTOR_DATA, or on the datasets hub (those of humaneval+ and mbpp+ are not there). Results
    are written as they come; the same command goes on where an interrupted one stopped, and judges again what
    infrastructure kept from being judged. A sample passes where the reward's exams say that it is right.

    Exit codes: 0 done; 1 done, but samples could not be judged; 2 could not run; 130 interrupted (the same
    command goes on from there).
    """
    from proctor.benchmarks.evaluate import check_judging, evaluate_samples, read_samples
    from proctor.benchmarks.suites import find_suite

    with usable(), _interruptible():
        _check_given(samples, model, template)
        if samples is not None:
            _refuse_given(context, _OF_MODELS)
        server = _server(engine, url, server_key)
        chosen = find_suite(suite)
        judge = read_reward(reward or chosen.reward, None)
        judged = samples or Path(f"{suite}_{Path(model).resolve().name}_samples.jsonl")
        results = out or judged.with_name(f"{Path(judged.name.removesuffix('.gz')).stem}_results.jsonl")
        check_judging(judge, judged, results)
        tasks = chosen.tasks(data)
        if samples is None:
            how = (samples_per_task, temperature, max_new_tokens, seed, template)
            _generate(judged, suite, tasks, (model, engine.value, *how), server)
        rows = read_samples(judged, tasks)
        with console.counting("samples", total=len(rows)) as progress:
            outcome = evaluate_samples(rows, tasks, judge, results, overwrite=overwrite, progress=progress)
        _show(outcome, k, as_json=as_json)
        console.note(f"written: {results}")
    raise typer.Exit(Exit.FAILURES if outcome.unscorable else Exit.DONE)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Says on Ctrl-C what becomes of what is done."""
    try:
        yield
    except KeyboardInterrupt:
        console.error("interrupted; what is done is kept, and the same command goes on from there")
        raise typer.Exit(Exit.INTERRUPTED) from None


def _check_given(samples: Path | None, model: str, template: str) -> None:
    """What can be wrong before tasks or models are fetched from anywhere."""
    if (samples is None) is (not model):
        raise InputError("give either --samples, a file, or --model, which answers the tasks now")
    if samples is not None and not samples.is_file():
        raise InputError(f"{samples}: no such file")
    if model:
        from proctor.sft.pretrained import check_model_name  # here: its pydantic is a fifth of every start

        check_model_name(model, "--model")
    if template and "{prompt}" not in template:
        raise InputError(
            f"--template {template!r}: has no {{prompt}}, so that every task would be asked the same"
        )


def _refuse_given(context: typer.Context, names: Sequence[str]) -> None:
    """Saved samples have their answers: an option for sampling would do nothing. In a config file it may stand."""
    given = [name for name in names if _source(context, name) == "COMMANDLINE"]
    if given:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"{words}: of --model, which answers the tasks; --samples has the answers already")


def _source(context: typer.Context, name: str) -> str:
    source = context.get_parameter_source(name)
    return source.name if source else ""


def _server(engine: Engine, url: str, server_key: str) -> Mapping[str, str]:
    """Address and API key of --engine server."""
    if engine is not Engine.server and (url or server_key):
        raise InputError("--url and --server-key are of a server; give --engine server too")
    if engine is Engine.server and not url:
        raise InputError("--engine server needs --url, the address of an OpenAI-compatible server")
    if server_key and not os.environ.get(server_key):  # not told: it may be a key, given by mistake
        raise InputError("--server-key: the environment has no such variable; it takes a name, not the key")
    return {"url": url, "api_key": os.environ.get(server_key, "")}


def _show(outcome: Outcome, asked: Sequence[int] | None, *, as_json: bool) -> None:
    estimates = outcome.pass_at(asked or (1, 10, 100))
    for k in (k for k in asked or (1,) if k > outcome.fewest):
        console.warning(
            f"no pass@{k}: it needs {k} judged samples of each task, and one has {outcome.fewest}"
        )
    if outcome.unanswered:
        console.warning(f"{outcome.unanswered:,} tasks of the suite have no sample; they are in no figure")
    if outcome.unscorable:
        console.warning(f"{outcome.unscorable} samples could not be judged; the first is {outcome.reason}")
    if as_json:
        console.as_json(outcome.to_json(estimates))
    else:
        console.evaluation(estimates, outcome.statuses)


def _generate(
    path: Path, suite: str, tasks: Mapping[str, Task], origin: tuple[Any, ...], server: Mapping[str, str]
) -> None:
    """Makes the samples file of a model, or goes on with it."""
    with needs_train():
        from proctor.benchmarks.generate import Origin, generate_samples, load_sampler
    made_by = Origin(*origin)
    with console.counting("tasks answered", total=len(tasks)) as progress:
        generate_samples(
            suite, tasks, made_by, lambda: load_sampler(made_by, **server), path, progress=progress
        )
    console.note(f"samples: {path}")
