"""Which part of a response is taken for the program, and how its text is read."""

from __future__ import annotations

import time

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
        "````markdown\n# f\n```python\ndef f(xs):\n    return sum(xs)\n```\n````",
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
        # marks of thinking that are text of the program, or only spoken of
        "```python\ndef f(xs):\n    s = '<think>'\n    return sum(xs)\n```",
        "```python\n# <reasoning> short\ndef f(xs):\n    s = '<think>a</think>'\n    return sum(xs)\n```",
        "<think>x</think>\n```python\ndef f(xs):\n    s = '<think>', '</think>'\n    return sum(xs)\n```",
        "I use no <think> tags.\n```python\ndef f(xs):\n    return sum(xs)\n```\nNo `</think>` either.",
        "<think>Draft: ```python\ndef f(xs): return 9\n</think>\n```python\ndef f(xs): return sum(xs)\n```",
        # fences that are text of the program
        "```python\ndef f(xs):\n    '''Sums.\n```\nf([1])\n```\n    '''\n    return sum(xs)\n```\nDone.",
        "```python\ndef f(xs):\n    end = '''\n```\n'''\n    return sum(xs)\n```\nThat is it.",
        # quotations, lists, characters that only look like white space
        "> So:\n> ```python\n> def f(xs):\n>     return sum(xs)\n> ```\n",
        ">```python\n>def f(xs):\n>    return sum(xs)\n>```\n\nUse:\n```python\nprint(f([1]))\n```",
        "1. Do:\n\n    ```python\n    def f(xs):\n        return sum(xs)\n    ```\n2. Use:\n\n```python\nf([1])\n```",
        "\ufeff```python\n\ufeffdef f(xs):\n\u00a0\u00a0\u00a0\u00a0return\u00a0sum(xs)\u200b\n```",
        "```python\ndef f(xs):\n\u3000\u3000return sum(xs)\n```",
        # several blocks
        "```python\nimport math\ndef g(x):\n    return math.floor(x)\n```\nThen:\n```python\ndef f(xs):\n    return g(sum(xs))\n```",
        "```python, linenos\ndef f(xs):\n    return sum(xs)\n```",
        "```text\ndef f(xs):\n    return sum(xs)\n```",
        # fences that are no fences, prose, and marks around a program without fences
        "```python\ndef f(xs):\n    return sum(xs)\n``` as asked",
        "```python\ndef f(xs):\n    return sum(xs)```",
        "Sure\n```python\ndef f(xs):\n    return sum(xs)\n\nThis sums xs: all of them.",
        "def f(xs):\n    return sum(xs)\n\nThis function sums its argument.",
        "Here is the code:\n\ndef f(xs):\n    return sum(xs)\n\nIt's easy.",
        "<answer>\ndef f(xs):\n    return sum(xs)\n</answer>",
        "<think>hm</think><answer>def f(xs):\n    return sum(xs)</answer>",
        "<think>hm</think> <answer>\n```python\ndef f(xs):\n    return sum(xs)\n```\n</answer>\n",
        "<answer>    return sum(xs)</answer>",
        "[BEGIN]\ndef f(xs):\n    return sum(xs)\n[DONE]",
        "def f(xs):\n    return sum(xs)\n<|im_end|>\n",
        "```python\ndef f(xs):\n    return sum(xs)\n```<|eot_id|>",
    ],
)
def test_the_function_is_found(completion: str) -> None:
    assert first_that_compiles(completion) == 3


def test_a_body_continues_its_prompt_where_no_entry_is_known() -> None:
    taken = extract("    return sum(xs)\n", prompt_code=PROMPT)
    assert [runs(reading) for reading in taken.readings[:1]] == [3]
    for whole in ("def g(x):\n    return x\n", "x = 1\nprint(x)\n"):
        assert extract(whole, prompt_code=PROMPT).readings == (whole,)
    for no_stub in ("", "import math\n", "def f(x): return x\nLIMIT = 3\n"):
        assert extract("  print(1)\n", prompt_code=no_stub).readings[-1] == "print(1)\n"


def test_which_block_counts() -> None:
    text = "```python\na = 1\n```\n```js\nlet a\n```\n```python\nb = 2\n```"
    assert extract(text).code == "b = 2\n"
    assert extract(text, rule="first").code == "a = 1\n"
    assert extract(text, rule="all").code == "a = 1\n\nb = 2\n"
    assert extract(text, rule="raw").code == text
    assert extract(text, language="javascript").code == "let a\n"
    assert extract(text, rule="last", entry="a").code == "a = 1\n"
    assert extract(text).rule == "last of 2 blocks"


def test_which_block_counts_where_no_entry_is_known() -> None:
    program = "```python\ndef f(x):\n    return 2 * x\n```\n"
    tests = b"assert f(2) == 4"
    for after in ("print(f(2))", "def test_f():\n    assert f(2) == 4\ntest_f()", "def main(): f(1)"):
        assert (
            extract(f"{program}```python\n{after}\n```", tests=tests).code == "def f(x):\n    return 2 * x\n"
        )
    script = "```python\nprint(2 * int(input()))\n```\n"
    for after in ("```python\n2 * int(input())\n```", "```python\n# main()\n```"):
        assert extract(script + after).code == "print(2 * int(input()))\n"
    assert extract("```\nprint(1)\n```\nOutput:\n```\n1\n```").code == "print(1)\n"


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


def test_a_program_stands_behind_the_definitions_of_its_prompt_that_it_uses() -> None:
    prompt = "class Node:\n    def __init__(self, v):\n        self.v = v\n"
    program = "class Solution:\n    def f(self, n): return Node(n).v\n"
    assert extract(program, prompt_code=prompt, entry="Solution.f").readings[0] == f"{prompt}\n{program}"
    assert extract(prompt + program, prompt_code=prompt, entry="Solution.f").readings == (prompt + program,)


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
        "<think>" * 50_000,
        "x </think> '" * 50_000,
        "\n" * 300_000,
        "<|end|> " * 50_000,
        "```python\nimport a\n```\n" * 10_000 + "```python\n" + "a = f\n" * 20_000,
        "> ```\n" * 50_000,
        "a\u00a0" * 100_000,
    ):
        extract(text, prompt_code=PROMPT, entry="f")


@pytest.mark.parametrize("text", ["x " + "`" * 200_000, "```" + " " * 200_000 + "`", "~" * 200_000 + " `"])
def test_rows_of_marks_are_read_in_linear_time(text: str) -> None:
    started = time.process_time()
    extract(text)
    assert time.process_time() - started < 1  # minutes, where each mark is tried for itself
