"""Which part of a response is taken for the program, and how its text is read."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Rollout
from proctor.verifiers.programs.extraction import extract
from proctor.verifiers.programs.prompts import code_of_prompt

PROMPT = 'from typing import List\n\n\ndef f(xs: List[int]) -> int:\n    """ Sum. """\n'


def runs(reading: str, entry: str = "f") -> object:
    """f([1, 2]) by a reading, or None where it does not compile."""
    names: dict[str, object] = {}
    try:
        exec(compile(reading, "x", "exec"), names)
    except SyntaxError:
        return None
    return names[entry]([1, 2])  # type: ignore[operator]


def first_that_compiles(completion: str, prompt: str = PROMPT) -> object:
    taken = extract(completion, prompt_code=prompt, entry="f")
    return next(result for reading in taken.readings if (result := runs(reading)) is not None)


@pytest.mark.parametrize(
    "completion",
    [
        "    return sum(xs)\n",
        "    return sum(xs)",
        "\n    return sum(xs)\n",
        "return sum(xs)",  # the indentation of the first line is lost
        "total = 0\n    for x in xs:\n        total += x\n    return total\n",
        "total = 0\nfor x in xs:\n    total += x\nreturn total\n",  # and of every line
        "  total = 0\n  for x in xs:\n    total += x\n  return total\n",
        "        total = 0\n        return sum(xs)\n",
        "    return sum(xs)\n\ndef g(x):\n    return undefined syntax here",
        "    return sum(xs)\n\n# Example\nprint(f([1, 2]) is what",
        "    return sum(xs)\n```\nThis adds them up: great.",
        "def f(xs: List[int]) -> int:\n    return sum(xs)\n",
        "```python\ndef f(xs: List[int]) -> int:\n    return sum(xs)\n```",
        "```python\n    return sum(xs)\n```",
        "Sure!\n```py\ndef f(xs):\n    return sum(xs)\n```\nUse it:\n```python\nprint(f([1]))\n```\n",
        "```bash\npip install x\n```\n```\ndef f(xs): return sum(xs)\n```",
        "```python\ndef f(xs):\n    return sum(xs)\n",  # cut off before the closing fence
        "~~~python\ndef f(xs):\n    return sum(xs)\n~~~",
        "````python\ndef f(xs):\n    '''```'''\n    return sum(xs)\n````",
        "1. Like so:\n   ```python\n   def f(xs):\n       return sum(xs)\n   ```\n",
        "<think>```python\ndef f(xs): return 9\n```</think>\n```python\ndef f(xs): return sum(xs)\n```",
        PROMPT + "    return sum(xs)\n",
        "from __future__ import annotations\ndef f(xs):\n    return sum(xs)\n",
        "class f:\n    def __new__(cls, xs): return sum(xs)\n",
        "f = sum\n",
        "1. Like so:\n\n    ```python\n    def f(xs):\n        return sum(xs)\n    ```\n",  # deep in a list
        "Here: ```python\ndef f(xs):\n    return sum(xs)\n```\nIt adds.",
        "```python3.11\ndef f(xs):\n    return sum(xs)\n```",
        "```python:sums.py\ndef f(xs):\n    return sum(xs)\n```",
        "def f(xs):\r\n    return sum(xs)\r\n",
    ],
)
def test_the_function_is_found(completion: str) -> None:
    assert first_that_compiles(completion) == 3


def test_which_block_counts() -> None:
    text = "```python\na = 1\n```\n```js\nlet a\n```\n```python\nb = 2\n```"
    assert extract(text).code == "b = 2\n"
    assert extract(text, rule="first").code == "a = 1\n"
    assert extract(text, rule="all").code == "a = 1\n\nb = 2\n"
    assert extract(text, rule="raw").code == text
    assert extract(text, language="javascript").code == "let a\n"
    assert extract(text, rule="last", entry="a").code == "a = 1\n"
    assert extract(text).rule == "last of 2 blocks"


def test_where_there_is_no_code() -> None:
    for text in ("", "  \n", "<think>never ends ```python\nx = 1\n```", "```bash\nls\n```"):
        taken = extract(text)
        assert (taken.code, taken.readings) == ("", ())
        assert taken.rule


def test_a_prompt_may_end_inside_its_block() -> None:
    prompt = "Write f.\n```python\n"
    taken = extract("def f(xs):\n    return sum(xs)\n```\nDone.", prompt_code=prompt, entry="f")
    assert taken.readings[0] == "def f(xs):\n    return sum(xs)\n"
    assert extract("x = 1\n", prompt_code="```python\n").readings == ("x = 1\n",)


def test_code_of_a_prompt() -> None:
    assert code_of_prompt(Rollout("", PROMPT)) == PROMPT
    assert code_of_prompt(Rollout("", "Write a function that adds.")) == ""
    chat = [{"role": "user", "content": f"Complete this:\n```python\n{PROMPT}```\nThanks."}]
    assert code_of_prompt(Rollout("", chat)) == PROMPT
    assert code_of_prompt(Rollout("", "Prose", fields={"starter_code": "def f(): ..."})) == "def f(): ..."
    assert code_of_prompt(Rollout("", [])) == ""


def test_long_responses_take_linear_time() -> None:
    for text in (
        "```" * 100_000,
        "```python\n" * 50_000,
        "    x\n" * 100_000,
        "`" * 300_000,
        "def " * 100_000,
    ):
        extract(text, prompt_code=PROMPT, entry="f")
