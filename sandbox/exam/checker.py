"""Runs a task's own checker on one output: trusted code that reads hostile text, so in a jail of its own.

The payload is a message (`encode.py`) with `source`, `input`, `output` and `expected`. The source defines
`check(input, output, expected)`, which returns a bool or a share from 0 to 1, of which 1 passes; or it is a script
that is called as `checker.py INPUT OUTPUT EXPECTED` with file names and says yes by exit status 0, no by 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from proctor.sandbox.channel import Channel
from proctor.sandbox.exam.decode import Decoder

_FILENAME = "checker.py"


def check(payload: bytes, channel: Channel) -> None:
    """Entry. Reports {"value": share} or {"fault": what is wrong with the checker}."""
    spec = Decoder().decode(payload)
    report: dict[str, object]
    try:
        report = {"value": _value(spec)}
    except Exception as error:  # the border to a text of the data set
        fault = f"{type(error).__name__}: {error}"[:1000]
        report = {"fault": fault, "is_of_text": _is_of_text(error)}
    channel.report(json.dumps(report).encode())


def _is_of_text(error: Exception) -> bool:
    """Whether what a checker met in its texts may be why it stumbled, and not how it is written."""
    if isinstance(error.__cause__, SystemExit):
        return True
    trace, last, is_begun = error.__traceback__, "", False
    while trace is not None:
        last = trace.tb_frame.f_code.co_filename
        is_begun |= last == _FILENAME
        trace = trace.tb_next
    is_own = isinstance(error, ImportError | OSError) or (type(error) is NameError and last == _FILENAME)
    return is_begun and not is_own


def _value(spec: dict[str, Any]) -> float:
    texts = {name: spec[name] for name in ("input", "output", "expected")}
    names: dict[str, Any] = {"__name__": "checker"}
    code = compile(spec["source"], _FILENAME, "exec", dont_inherit=True)
    if "check" in code.co_names:
        exec(code, names)
        value = names["check"](texts["input"], texts["output"], texts["expected"])
        return min(1.0, max(0.0, float(value)))
    for name, text in texts.items():
        Path(name).write_text(text, encoding="utf-8", errors="surrogateescape")
    sys.argv[:] = [_FILENAME, *texts]
    names["__name__"] = "__main__"
    try:
        exec(code, names)
    except SystemExit as leaving:
        status = leaving.code or 0
        if isinstance(status, str):  # Python's own rule: a message is printed, and the status is 1
            return 0.0
        if status not in (0, 1):
            raise RuntimeError(f"the checker ended with status {status}") from leaving
        return float(status == 0)
    return 1.0
