"""Proctor: verifiers, sandboxes and rewards for reinforcement learning on language models."""

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

# Where a checkout lost its links (a zip, a file system without them), the root folders are the packages.
_HERE = Path(__file__).parent
if not (_HERE / "sandbox").is_dir():
    __path__.append(str(_HERE.parent))

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
