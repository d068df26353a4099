"""What is offloaded is at hand while it is used, and a run with it is the run without."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from proctor.rl.offload import lent, move_states
from proctor.rl.preflight import check_config
from proctor.rl.record import read_lines
from proctor.rl.train import train
from proctor.sft.config import ConfigError, load_config
from tests.rl_toy import RLConfig, make_run, toy_words

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
CPU, GPU = torch.device("cpu"), torch.device("cuda")


class Watched(nn.Linear):
    """A layer that remembers where it was sent: this machine may have nowhere to send it."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.sent: list[str] = []

    def to(self, device: Any) -> "Watched":
        self.sent.append(torch.device(device).type)
        return self


@pytest.mark.parametrize(
    ("offload", "device", "sent"), [(True, GPU, ["cuda", "cpu"]), (False, GPU, []), (True, CPU, [])]
)
def test_a_module_is_lent_and_taken_back(offload: bool, device: torch.device, sent: list[str]) -> None:
    module = Watched()
    with suppress(KeyError), lent(module, None, to=device, offload=offload):
        assert module.sent == sent[:1]
        raise KeyError  # also where the update fails
    assert module.sent == sent


@pytest.mark.parametrize("fused", [True, False])
def test_an_optimisers_state_moves_and_its_parameters_do_not(fused: bool) -> None:
    module = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters(), fused=fused)
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    move_states(optimizer, torch.device("meta"))
    for parameter in module.parameters():
        found = {name: value.device.type for name, value in optimizer.state[parameter].items()}
        assert found == {"exp_avg": "meta", "exp_avg_sq": "meta", "step": "meta" if fused else "cpu"}
        assert parameter.device == CPU


def test_on_a_cpu_offloading_changes_nothing(tmp_path: Path) -> None:
    options = ("--algorithm.name", "ppo", "--kl_placement", "loss", "--run.steps", 3)
    keys = ("reference", "critic", "optimizer")
    train(make_run(tmp_path, *options, output="plain"))
    train(
        make_run(
            tmp_path,
            *options,
            *(word for key in keys for word in (f"--offload.{key}", "true")),
            output="offloaded",
        )
    )
    plain, offloaded = (
        [(line["reward"], line["loss"], line["kl"]) for line in read_lines(tmp_path / name / "metrics.jsonl")]
        for name in ("plain", "offloaded")
    )
    assert len(plain) == 3
    assert offloaded == plain


def test_only_vllm_can_sleep(tmp_path: Path) -> None:
    config = load_config(RLConfig, None, [*toy_words(tmp_path), "--offload.sampler", "true"])
    with pytest.raises(ConfigError, match="vLLM's sleep mode"):
        check_config(config)
