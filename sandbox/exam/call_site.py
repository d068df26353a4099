"""What tests do with the result of the call that is under way: read off the code that waits for it."""

from __future__ import annotations

import sys
from functools import lru_cache
from types import CodeType
from typing import Any

# Next comes nothing, or an attribute or method of the result.
_NOT_TAKEN = frozenset({"POP_TOP", "LOAD_METHOD", "LOAD_ATTR"})


def takes_result(names: dict[str, Any]) -> bool:
    """Whether the result is kept, compared or worked with; not in `bag.add(1)`, a statement of its own.

    names: the tests' namespace, which their frames have as globals.
    """
    frame = sys._getframe(1)
    while frame.f_globals is not names:
        if frame.f_back is None:
            return True
        frame = frame.f_back
    return _operation_after(frame.f_code, frame.f_lasti) not in _NOT_TAKEN


@lru_cache(maxsize=256)
def _operation_after(code: CodeType, offset: int) -> str:
    import dis  # heavy, and rarely needed

    return next((each.opname for each in dis.get_instructions(code) if each.offset > offset), "")
