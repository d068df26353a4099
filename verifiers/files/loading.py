"""Python files of the user's, run for the reward parts that they define."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

from proctor.verifiers.files.sources import InputError


class _Anew(SourceFileLoader):
    """Reads the source. A compiled file of the same second and size is taken for what it was made of."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def load_parts(paths: Iterable[str | Path]) -> None:
    """Runs each file once, for the parts that it registers.

    Raises InputError, naming the file, for whatever one raises.
    """
    for path in map(Path, paths):
        # Not under the file's own name: a user's `math.py` must not stand in for the library's.
        loader = _Anew(f"proctor_loaded_{path.stem}", str(path))
        spec = importlib.util.spec_from_loader(loader.name, loader)
        if spec is None or path.suffix != ".py" or not path.is_file():
            raise InputError(f"{path}: no Python file of that name")
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        try:
            loader.exec_module(module)
        except Exception as error:  # the border to the user's own code
            raise InputError(f"{path}: {type(error).__name__}: {error}") from error


def fingerprint(paths: Iterable[str | Path]) -> str:
    """Of what the files say; "" without any. What they import is not in it."""
    said = b"\0".join(Path(path).read_bytes() for path in paths)
    return hashlib.sha256(said).hexdigest()[:16] if said else ""
