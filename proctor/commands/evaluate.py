"""`proctor eval`: saved samples of an evaluation suite, judged by the graders that training uses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proctor import console
from proctor.app import Exit, command, usable


@command(
    "proctor eval humaneval --samples samples.jsonl --data HumanEval.jsonl.gz",
    "proctor eval gsm8k --samples answers.jsonl --data gsm8k_test.jsonl --k 1 --k 4",
    name="eval",
)
def evaluate(
    suite: Annotated[str, typer.Argument(help="humaneval, mbpp, humaneval+, mbpp+, gsm8k or math500.")],
    samples: Annotated[
        Path, typer.Option("--samples", "-s", help="JSON lines with task_id and completion, gzipped or not.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="The suite's task file, or a folder that has it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Results; default: SAMPLES_results.jsonl.")
    ] = None,
    k: Annotated[list[int] | None, typer.Option("--k", help="pass@k for this k. Repeatable.")] = None,
    reward: Annotated[
        str, typer.Option("--reward", "-r", help="What judges a sample; default: the suite's own.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
) -> None:
    """Judges saved samples of an evaluation suite and prints pass@k with intervals.

    The tasks are found by --data, by the environment variable PROCTOR_DATA, or on the datasets hub. Results
    are written as they come; the same command goes on where an interrupted one stopped.

    Exit codes: 0 done; 1 done, but samples could not be judged by a fault of ours; 2 could not run.
    """
    from proctor.benchmarks.evaluate import evaluate_samples, read_samples
    from proctor.benchmarks.suites import find_suite
    from proctor.verifiers.expression import reward as parse

    with usable():
        chosen = find_suite(suite)
        tasks = chosen.tasks(data)
        read = read_samples(samples, tasks)
        expression = parse(reward or chosen.reward)
        results = out or samples.with_name(f"{samples.name.partition('.')[0]}_results.jsonl")
        with console.counting("samples", total=len(read)) as progress:
            outcome = evaluate_samples(read, tasks, expression, results, progress=progress)
        estimates = outcome.pass_at(k or [1, 10, 100])
        if as_json:
            console.as_json(outcome.to_json(estimates))
        else:
            console.evaluation(estimates, outcome.statuses)
        console.note(f"written: {results}")
    if outcome.unscorable:
        raise typer.Exit(Exit.FAILURES)
