"""A file of scored rows is taken up so that no reward differs from that of a run without a break."""

import json
from pathlib import Path

import pytest

from proctor.verifiers.core import Rollout
from proctor.verifiers.custom import part
from proctor.verifiers.expression import reward
from proctor.verifiers.files.job import Job
from proctor.verifiers.files.scoring import Scored
from proctor.verifiers.files.sources import Source


@part(bounds=(0, 1), per="group")
def scored_group_share(rollouts: list[Rollout]) -> list[float]:
    return [1 / len(rollouts)] * len(rollouts)


@pytest.mark.parametrize("cut", [0, 1, 250, 10_000])  # bytes that are missing at the end of the file
@pytest.mark.parametrize("limit", [1, 6, 9, 10, 12])
def test_a_prompt_that_was_cut_in_two_is_scored_whole(tmp_path: Path, limit: int, cut: int) -> None:
    rows = [
        "{broken" if n in (5, 7, 8) else json.dumps({"response": "x", "group": n // 5}) for n in range(20)
    ]
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(rows) + "\n")
    for most in (limit, None):
        job = Job(Source(str(source)), reward("scored_group_share"), limit=most)
        with job.open_file(out) as sink:
            batches = list(job.run(sink))
        with out.open("r+b") as file:
            file.truncate(max(0, out.stat().st_size - (cut if most else 0)))

    assert [json.loads(line)["reward"] for line in out.read_text().splitlines()] == [1 / 5] * 5 + [
        1 / 2
    ] * 2 + [1 / 5] * 10
    rejected = (tmp_path / "out.rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in rejected] == [6, 8, 9]
    numbers = [
        one.row.number if isinstance(one, Scored) else one.number for batch in batches for one in batch
    ]
    assert numbers == list(range(1, 21))
