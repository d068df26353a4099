"""Proctor: verifiers, sandboxes and rewards for reinforcement learning on language models."""

import os.path  # no pathlib: its memory would be copied with every submission that a sandbox forks
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Where a checkout lost its links (a zip, a file system without them), the root folders are the packages.
_HERE = os.path.dirname(__file__)  # noqa: PTH120
if not os.path.isdir(f"{_HERE}/sandbox"):  # noqa: PTH112
    __path__.append(os.path.dirname(_HERE))  # noqa: PTH120

# Loaded on first use, so that `import proctor` stays in the low milliseconds.
_EXPORTS = {
    "Rollout": "proctor.verifiers.core",
    "Verdict": "proctor.verifiers.core",
    "Score": "proctor.verifiers.core",
    "Status": "proctor.verifiers.core",
    "Blame": "proctor.verifiers.core",
    "reward": "proctor.verifiers.expression",
    "ExpressionError": "proctor.verifiers.expression",
    "part": "proctor.verifiers.custom",
}
__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'proctor' has no attribute '{name}'")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
