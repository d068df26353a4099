"""math-verify, set up as its documentation recommends for model outputs. Runs in a killable worker.

The reference stands in a box; of the response the last box is taken first, then LaTeX, then expressions.
Its own time-outs are off: they use SIGALRM, and the worker has a deadline.
"""

from __future__ import annotations

import logging
import time
from typing import TypedDict

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

logging.getLogger("math_verify").setLevel(logging.ERROR)  # a warning per call that time-outs are off


class Graded(TypedDict):
    equal: bool
    cpu_s: float


def grade(gold: str, response: str) -> Graded:
    """Its verdict, and the processor time that it took, reading of the reference included."""
    config = (LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig())
    start = time.process_time()
    wanted = parse(gold if "boxed" in gold else f"\\boxed{{{gold}}}", config, parsing_timeout=None)
    given = parse(response, config, parsing_timeout=None)
    equal = bool(verify(wanted, given, timeout_seconds=None))
    return Graded(equal=equal, cpu_s=time.process_time() - start)
