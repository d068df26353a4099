"""Equal and nearly equal texts, by hash and by MinHash (datasketch)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from datasketch import MinHash, MinHashLSH

_WORD = re.compile(r"\w+|[^\w\s]")
_PERMUTATIONS = 64  # estimates a Jaccard similarity within about 0.06


def words(text: str) -> list[str]:
    """Lower-case words and single signs: what n-grams are made of."""
    return _WORD.findall(text.lower())


def ngrams(tokens: Sequence[str], size: int) -> set[tuple[str, ...]]:
    """All n-grams; a text shorter than n is one n-gram of its own length."""
    if len(tokens) <= size:
        return {tuple(tokens)} if tokens else set()
    return {tuple(tokens[place : place + size]) for place in range(len(tokens) - size + 1)}


def exact_groups(texts: Sequence[str]) -> list[list[int]]:
    """Indices of texts that are equal but for case and white space, two or more a group, in order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        groups[" ".join(text.lower().split())].append(index)
    return [group for group in groups.values() if len(group) > 1]


def near_groups(texts: Sequence[str], *, threshold: float = 0.8, shingle: int = 3) -> list[list[int]]:
    """Indices of texts whose sets of word n-grams have a Jaccard similarity of about `threshold` or more.

    Chains count: a is with c where a is near b and b near c. Equal texts are in the same group. Groups of two
    or more, the largest first.
    """
    index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
    parents = list(range(len(texts)))
    first_with: dict[bytes, int] = {}
    for place, text in enumerate(texts):
        sketch = _sketch(ngrams(words(text), shingle))
        known = first_with.setdefault(sketch.hashvalues.tobytes(), place)
        if known != place:  # the same set of n-grams: joined without asking the index
            _join(parents, known, place)
            continue
        for near in index.query(sketch):
            _join(parents, near, place)
        index.insert(place, sketch, check_duplication=False)
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(texts)):
        groups[_root(parents, place)].append(place)
    found = [group for group in groups.values() if len(group) > 1]
    return sorted(found, key=len, reverse=True)


def _sketch(grams: Iterable[tuple[str, ...]]) -> MinHash:
    sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
    sketch.update_batch([" ".join(gram).encode() for gram in grams] or [b""])
    return sketch


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


def _join(parents: list[int], left: int, right: int) -> None:
    left, right = _root(parents, left), _root(parents, right)
    parents[max(left, right)] = min(left, right)
