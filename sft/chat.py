"""Conversations as files hold them: five shapes of row, read as a stream.

Shapes: `messages` or `conversations` with role/content, ShareGPT's from/value, `prompt` + `completion` (texts
or messages), and Alpaca's instruction/input/output. A row that fits none of them is an error that names file,
row and field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proctor.verifiers.files.sources import BadRow, InputError, Row, Source

Message = Mapping[str, Any]

_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "system": "system",
    "developer": "developer",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "ipython",
}
# Where an assistant's turn has its text besides 'content'.
_SAID_APART = ("tool_calls", "reasoning_content", "thinking")

_READ = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".gz")
_QUESTIONS = ("question", "problem", "prompt", "instruction", "query", "text")


class DataError(InputError):
    """A file or row that cannot be used; the message names file, row and field."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row: either chat messages, or a plain prompt and its completion."""

    source: str  # "train.jsonl, row 12", for messages to people
    messages: Sequence[Message] = ()
    prompt: str = ""  # plain text; used where there are no messages
    completion: str = ""
    tools: Sequence[Mapping[str, Any]] | None = None  # JSON schemas, for templates that show them
    row: Mapping[str, Any] = field(default_factory=dict)  # the row as it was read, all columns

    @property
    def answers(self) -> list[str]:
        """The assistant's texts, in order."""
        if not self.messages:
            return [self.completion]
        return [text_of(message) for message in self.messages if message["role"] == "assistant"]

    @property
    def question(self) -> str:
        """The first thing the user says, or the plain prompt; for duplicate and contamination search."""
        texts = [text_of(message) for message in self.messages if message["role"] == "user"]
        return texts[0] if texts else self.prompt


def read_conversations(paths: Iterable[str | Path]) -> Iterator[Conversation]:
    """Streams the rows of files, of folders saved by datasets, and of hub names.

    Raises DataError at the first row that cannot be read.
    """
    for path in paths:
        for source, row in _rows(str(path)):
            yield conversation_of(row, source)


def conversation_of(row: Mapping[str, Any], source: str) -> Conversation:
    """Recognises the shape of a row by its columns. Raises DataError."""
    tools = _tools(row.get("tools"), source)
    for column in ("messages", "conversations"):
        if row.get(column) is not None:
            return Conversation(source, _messages(row[column], source, column), tools=tools, row=row)
    if "completion" in row:
        return _prompted(row, source, tools)
    if "instruction" in row and "output" in row:
        parts = [part for part in (row["instruction"], row.get("input")) if part]
        if not all(isinstance(part, str) for part in parts):
            raise DataError(f"{source}: 'instruction' and 'input' must be text, got {parts!r:.80}")
        question = "\n\n".join(parts)
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": row["output"]}]
        if row.get("system"):
            turns.insert(0, {"role": "system", "content": row["system"]})
        return Conversation(source, _messages(turns, source, "output"), tools=tools, row=row)
    raise DataError(
        f"{source}: columns {', '.join(map(repr, row)) or 'none'}; expected 'messages' or 'conversations', "
        "'prompt' and 'completion', or 'instruction' and 'output'"
    )


def read_questions(path: str | Path) -> list[str]:
    """What an evaluation set asks, under any of the usual names. Raises DataError."""
    texts = []
    for source, row in _rows(str(path)):
        name = next((name for name in _QUESTIONS if isinstance(row.get(name), str)), None)
        if name is None:
            raise DataError(f"{source}: no column of {', '.join(_QUESTIONS)} holds a question")
        texts.append(row[name])
    return texts


def text_of(message: Message) -> str:
    """A message's text; content given as parts is joined, images and the like left out."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    return "".join(part.get("text") or "" for part in content if isinstance(part, Mapping))


def _prompted(row: Mapping[str, Any], source: str, tools: Any) -> Conversation:
    prompt, completion = row.get("prompt"), row["completion"]
    if isinstance(prompt, str) and isinstance(completion, str):
        if not completion:
            raise DataError(f"{source}: 'completion' is empty")
        return Conversation(source, prompt=prompt, completion=completion, tools=tools, row=row)
    if not _is_list(prompt) or not (isinstance(completion, str) or _is_list(completion)):
        raise DataError(
            f"{source}: 'prompt' is {_kind(prompt)} and 'completion' {_kind(completion)}; "
            "both must be text, or both lists of messages"
        )
    if isinstance(completion, str):
        completion = [{"role": "assistant", "content": completion}]
    turns = [*prompt, *completion]
    return Conversation(source, _messages(turns, source, "prompt + completion"), tools=tools, row=row)


def _messages(turns: Any, source: str, column: str) -> list[Message]:
    if not _is_list(turns) or not turns:
        raise DataError(f"{source}: '{column}' is {_kind(turns)}, expected a list of messages")
    messages = [_message(turn, f"{source}: '{column}'[{place}]") for place, turn in enumerate(turns)]
    if not any(message["role"] == "assistant" for message in messages):
        raise DataError(f"{source}: '{column}' has no assistant turn, so there is nothing to learn")
    return messages


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _tools(given: Any, source: str) -> Any:
    """Columns of files that know no nesting hold them as JSON."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError as error:
        raise DataError(f"{source}: 'tools' is not valid JSON: {error}") from error


def _message(turn: Any, where: str) -> Message:
    if not isinstance(turn, Mapping):
        raise DataError(f"{where} is {_kind(turn)}, expected an object with 'role' and 'content'")
    said_by = turn.get("role", turn.get("from"))
    if said_by not in _ROLES:
        raise DataError(f"{where} has role {said_by!r}; known are {', '.join(sorted(_ROLES))}")
    # Parquet fills absent keys with None, which templates would take for "is there".
    kept = {
        name: value for name, value in turn.items() if value is not None and name not in ("from", "value")
    }
    content = turn.get("content", turn.get("value"))
    if content is None and not turn.get("tool_calls"):
        raise DataError(f"{where} has no 'content'")
    if content is not None and not isinstance(content, (str, list, tuple)):
        raise DataError(f"{where} 'content' is {_kind(content)}, expected text or a list of parts")
    if _ROLES[said_by] == "assistant" and not content and not any(map(kept.get, _SAID_APART)):
        raise DataError(f"{where} 'content' is empty, so the turn would teach to say nothing")
    weight = kept.get("weight", 1)
    if not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
        raise DataError(f"{where} 'weight' is {weight!r}, expected a number, 0 or more")
    return {**kept, "role": _ROLES[said_by], "content": content if content is not None else ""}


def _rows(path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each row of a file, folder or data set of the hub, and the words for where it stands."""
    is_there, is_file_name = Path(path).exists(), path.startswith(("/", ".")) or path.endswith(_READ)
    if not is_there and is_file_name:
        raise DataError(f"{path}: no such file; {', '.join(_READ)} and folders saved by datasets are read")
    if not is_there:
        for number, row in enumerate(_hub_rows(path), start=1):
            yield f"{path}, row {number}", row
        return
    found: Row | BadRow | None = None
    for found in Source(path):
        if isinstance(found, BadRow):
            raise DataError(f"{path}, line {found.number}: {found.reason}")
        yield f"{path}, row {found.number}", found.data
    if found is None:
        raise DataError(f"{path}: empty, there is no row in it")


def _hub_rows(name: str) -> Iterator[Mapping[str, Any]]:
    import datasets

    yield from datasets.load_dataset(name, split="train", streaming=True)


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    return "an empty list" if value == [] else f"a {type(value).__name__}"
