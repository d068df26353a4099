"""The adapter for prime-rl: objects shaped like those of `verifiers.v1`, and the package itself where it is there."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proctor.verifiers.adapters import prime_rl as adapter
from proctor.verifiers.core import Rollout
from proctor.verifiers.custom import part

ROOT = Path(__file__).parents[1]


class Trace(SimpleNamespace):
    """What the adapter uses of a trace."""

    def __init__(self, *messages: Any, **known: Any) -> None:
        super().__init__(**{
            "assistant_messages": list(messages), "info": {}, "metrics": {}, "is_truncated": False,
            "num_output_tokens": 7, "root_reply": None, **known,
        })  # fmt: skip

    def record_metrics(self, values: dict[str, float]) -> None:
        self.metrics.update(values)


def said(content: str | None, thought: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(content=content, reasoning_content=thought)


def score(function: Any, trace: Trace, **data: Any) -> float:
    return asyncio.run(function(SimpleNamespace(model_dump=lambda: data), trace))


def test_a_reward_its_parts_and_why() -> None:
    function = adapter.reward_function("math + 0.5 * (1 if level == 3 else 0)")
    trace = Trace(said("Wait."), said("It is \\boxed{42}."))
    assert score(function, trace, prompt="6 x 7?", answer=42, level=3) == 1.5
    assert trace.metrics == {"math": 1.0}
    assert "reference 42" in json.dumps(trace.info["proctor"])
    assert score(function, Trace(said("It is \\boxed{41}.")), answer="42", level=2) == 0


def test_reasoning_is_what_the_model_thought() -> None:
    function = adapter.reward_function('math + 0.5 * format("think_answer")')
    answer, thought = "<answer>42</answer>", "41? No."
    assert score(function, Trace(said(answer, thought)), answer="42") == 1.5
    assert score(function, Trace(said(answer)), answer="42") == 1


@pytest.mark.parametrize("messages", [(), (said(None),)])
def test_a_model_that_said_nothing_earns_nothing(messages: tuple[Any, ...]) -> None:
    assert score(adapter.reward_function("math"), Trace(*messages), answer="42") == 0


def test_the_reply_of_an_agent_with_helpers_is_its_own() -> None:
    trace = Trace(said("I, a helper, say \\boxed{41}."), root_reply="\\boxed{42}")
    assert score(adapter.reward_function("math"), trace, answer="42") == 1


def test_counts_and_truncation_come_from_the_trace() -> None:
    function = adapter.reward_function("num_tokens + (100 if truncated else 0)")
    assert score(function, Trace(said("x"), num_output_tokens=30, is_truncated=True)) == 130
    with pytest.raises(adapter.UnscorableError, match="num_tokens"):
        score(function, Trace(said("x"), num_output_tokens=0))


def test_columns_by_another_name() -> None:
    function = adapter.reward_function("code", mapping={"tests": "asserts"})
    trace = Trace(said("```python\ndef double(x): return 2 * x\n```"))
    assert score(function, trace, asserts=["assert double(4) == 8"]) == 1


def test_what_cannot_be_scored_is_an_error_with_the_reason() -> None:
    @part(bounds=(0, 1))
    def prime_rl_broken(completion: str) -> float:
        raise RuntimeError("the checker fell over")

    trace = Trace(said("\\boxed{42}"))
    with pytest.raises(adapter.UnscorableError, match=r"prime_rl_broken: .*grader.*the checker fell over"):
        score(adapter.reward_function("math + prime_rl_broken"), trace, answer="42")
    assert trace.metrics == {"math": 1.0}
    with pytest.raises(ValueError, match="no column for the answer"):
        score(adapter.reward_function("math"), Trace(said("\\boxed{42}")))


def test_a_reward_within_groups_is_refused() -> None:
    @part(bounds=(0, 1), per="group")
    def prime_rl_rank(rollouts: list[Rollout]) -> list[float]:
        return [1 / len(rollouts)] * len(rollouts)

    with pytest.raises(ValueError, match="one rollout at a time"):
        adapter.reward_function("math - prime_rl_rank")


REAL = """
    import asyncio, json
    import verifiers.v1 as vf
    from verifiers.v1.configs.task import TaskConfig
    from verifiers.v1.graph import MessageNode
    from verifiers.v1.types import AssistantMessage, UserMessage

    class Data(vf.TaskData):
        answer: int | None = None

    def scored(reply, answer):
        data = Data(idx=0, prompt="6 x 7?", answer=answer)
        said = AssistantMessage(content=reply, reasoning_content="6 x 7 = 42")
        nodes = [MessageNode(message=UserMessage(content="6 x 7?")), MessageNode(parent=0, message=said, sampled=True)]
        task = vf.TraceTask(type="Task", data=data)
        trace = vf.Trace(agent=vf.AgentInfo(config=vf.AgentConfig()), task=task, nodes=nodes)
        config = TaskConfig.model_validate({"rewards": {"proctor": {"fn": "rewards.py:proctor", "weight": 2.0}}})
        try:
            asyncio.run(vf.Task(data, config).score(trace))
        except Exception as error:
            trace.record_error(error)
        record = trace.to_record()  # what is written down: all of it must be plain data
        return trace.reward, record["metrics"], [error["message"] for error in record["errors"]]

    print(json.dumps([scored("<answer>42</answer>", 42), scored("<answer>41</answer>", 42), scored("<answer>42</answer>", None)]))
"""


def test_a_task_of_the_package_itself(tmp_path: Path) -> None:
    # Elsewhere, because the folder `verifiers` of this project hides the package of that name.
    run = [sys.executable, "-c", textwrap.dedent(REAL)]
    (tmp_path / "rewards.py").write_text(
        "from proctor.verifiers.adapters import prime_rl\n"
        "proctor = prime_rl.reward_function('math + 0.5 * format(\"think_answer\")')\n"
    )
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    if "No module named 'verifiers" in done.stderr:
        pytest.skip("needs the verifiers package")
    assert done.returncode == 0, done.stderr
    right, wrong, unscored = json.loads(done.stdout.splitlines()[-1])
    assert right == [3.0, {"math": 1.0, 'format("think_answer")': 1.0}, []]
    assert wrong[::2] == [1.0, []]
    assert unscored[0] == 0
    assert "column 'answer' is missing" in unscored[2][0]
