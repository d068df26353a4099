"""What tests do with the result of the call that is under way: read off the code that waits for it."""

from __future__ import annotations

import sys
from typing import Any

# Next comes nothing, or an attribute or method of the result.
_NOT_TAKEN = frozenset({"POP_TOP", "LOAD_METHOD", "LOAD_ATTR"})


def takes_result(names: dict[str, Any]) -> bool:
    """Whether the result is kept, compared or worked with; not in `bag.add(1)`, a statement of its own.

    names: the tests' namespace, which their frames have as globals.
    """
    import dis  # heavy, and rarely needed

    frame = sys._getframe(1)
    while frame.f_globals is not names:
        if frame.f_back is None:
            return True
        frame = frame.f_back
    following = (each.opname for each in dis.get_instructions(frame.f_code) if each.offset > frame.f_lasti)
    return next(following, "") not in _NOT_TAKEN
