"""Ctrl-C and SIGTERM as a wish that is granted at the end of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether someone asked to stop."""

    def __init__(self) -> None:
        self.is_wanted = False


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Within, the first SIGINT or SIGTERM sets a flag; a second SIGINT interrupts at once.

    Outside the main thread, where handlers cannot be set, nothing changes.
    """
    wish = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if wish.is_wanted and number == signal.SIGINT:
            raise KeyboardInterrupt
        wish.is_wanted = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
