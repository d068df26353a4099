"""Coroutines of the tests that a program awaits: each runs a little at a time, while the program asks for it.

The tests' own loop waits for the program meanwhile, so they run in another, in a thread of its own; between two
requests it stands still. So a program may lose patience with what does not end, and one that does not is ended.
"""

from __future__ import annotations

from typing import Any

_STEP_S = 0.05
_loops: list[Any] = []
_tasks: dict[int, tuple[Any, Any]] = {}  # loop and task, by the coroutine's id


def advance(coroutine: Any, is_left: bool) -> list[Any]:
    """[True, what it returned], or [False, None] where it is not at its end; `is_left`: the program gave it up.

    Raises what the coroutine raised.
    """
    from concurrent.futures import ThreadPoolExecutor  # heavy, and rarely needed

    with ThreadPoolExecutor(1) as pool:
        found: list[Any] = pool.submit(_advance, coroutine, is_left).result()
        return found


def _advance(coroutine: Any, is_left: bool) -> list[Any]:
    import asyncio  # heavy, and rarely needed

    is_new = id(coroutine) not in _tasks
    if is_new:
        loop = next((each for each in _loops if not each.is_running()), None)
        if loop is None:
            loop = asyncio.new_event_loop()
            _loops.append(loop)
        _tasks[id(coroutine)] = loop, loop.create_task(coroutine)
    loop, task = _tasks[id(coroutine)]
    if is_left:
        task.cancel()
    # One that begins goes as far as its first wait, so that others that the program awaits begin beside it.
    loop.run_until_complete(asyncio.wait([task], timeout=0 if is_new else _STEP_S))
    if is_left or not task.done():
        return [False, None]
    return [True, task.result()]


def forget_all() -> None:
    """After an exam: what was not awaited to its end never ends."""
    for _, task in _tasks.values():
        task._log_destroy_pending = False
    for loop in _loops:
        loop.close()
    _tasks.clear()
    _loops.clear()
