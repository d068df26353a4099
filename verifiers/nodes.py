"""Nodes of a reward expression: frozen dataclasses that pickle, compare, and print as the source that made them."""

from __future__ import annotations


class Node:
    """Anything that can stand in an expression; carries the operators (`+ - * / & |`, comparisons)."""

    __slots__ = ()
