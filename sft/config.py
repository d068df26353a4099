"""Training configs: a TOML file, then `--key value` from the command line, checked by pydantic.

The mechanism (`Section`, `load_config`, `describe`) knows no training and is used by rl/ as well; what an SFT
run can be told is `SFTConfig` in settings.py. Every key carries its description; an unknown one is an error
that names the nearest.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from proctor.verifiers.expression import Expression, ExpressionError, reward
from proctor.verifiers.files.loading import load_parts
from proctor.verifiers.files.sources import InputError
from proctor.verifiers.spelling import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class ConfigError(InputError):
    """A config that cannot be used; the message says where, what is, and what would do."""


class Section(BaseModel):
    """A table of keys, each a `Field(default, description=...)`. Unknown keys are errors; values frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Config = TypeVar("Config", bound=Section)


@dataclass(frozen=True, slots=True)
class Key:
    """One key as the documentation shows it."""

    name: str  # dotted: "optimizer.learning_rate"
    kind: str  # its type, as written
    default: str  # as TOML would have it; "required" where there is none
    text: str  # the description


def load_config(kind: type[Config], path: str | Path | None, overrides: Sequence[str] = ()) -> Config:
    """Reads a TOML file (None: defaults only), lays `--key value` pairs over it and validates.

    A key may be given as `--section.key`, or as `--key` where only one section has it; `--key=value` works
    too, `-` and `_` are the same. Values are read as TOML, and as plain text where that fails. Raises
    ConfigError.
    """
    text = _read(path)
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    source = _Source("" if path is None else str(path), text, {})
    _check_names(kind, values, source, ())
    for name, value in _pairs(overrides):
        names = _find(kind, name)
        _put(values, names, _fitting(value, dict(_leaves(kind))[names]), source)
        source.options[names] = f"--{name}"
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(source.explain(item) for item in error.errors())) from error


def read_reward(key: str, text: str, load: Sequence[str] = ()) -> Expression:
    """The reward expression that a key holds. load: Python files with parts of the user's own.

    Raises InputError.
    """
    load_parts(load)
    try:
        return reward(text)
    except ExpressionError as error:
        raise ConfigError(f"{key}: {error}") from error


def make_output(folder: Path) -> None:
    """Makes the folder `run.output`. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"run.output: '{folder}' cannot be made: {error.strerror}") from error


def describe(kind: type[Section]) -> list[Key]:
    """All keys in order, for the help page and the documentation."""
    return [
        Key(".".join(names), _kind(field), _default(field), field.description or "")
        for names, field in _leaves(kind)
    ]


@dataclass(frozen=True, slots=True)
class _Source:
    """What a config came from, to say where something stands."""

    path: str  # "": there is no file
    text: str
    options: dict[tuple[str, ...], str]  # as given, by the key that they set

    def at(self, name: str) -> str:
        """`path, line 4: ` for the first line that sets or opens `name`."""
        pattern = re.compile(rf"^\s*(\[+\s*)?([\w-]+\.)*{re.escape(name)}\s*(=|\])")
        for number, line in enumerate(self.text.splitlines(), start=1):
            if name and pattern.match(line):
                return f"{self.path}, line {number}: "
        return f"{self.path}: " if self.path else ""

    def explain(self, error: Mapping[str, Any]) -> str:
        """One of pydantic's errors as a sentence."""
        names = [str(part) for part in error["loc"]]
        dotted = ".".join(names)
        if error["type"] == "missing":
            return f"{self.at(names[0])}'{dotted}' is required and has no value; set it or pass --{dotted}"
        said = error["msg"].removeprefix("Value error, ")
        shown = f"[{dotted}]" if isinstance(error["input"], Mapping) else f"'{dotted}' = {error['input']!r}"
        return f"{self._where(names)}{shown}: {said}"

    def _where(self, names: Sequence[str]) -> str:
        """The options that set something at, above or under a key, or else its line in the file."""
        given = [
            option
            for key, option in self.options.items()
            if all(ours == theirs for ours, theirs in zip(key, names, strict=False))
        ]
        if given:
            return f"{', '.join(given)}: "
        keys = [name for name in names if not name.isdigit()]  # places in a list are no names
        return self.at(keys[-1] if keys else "")


def _read(path: str | Path | None) -> str:
    if path is None:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML, which is UTF-8: {error}") from error


def _section(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _leaves(kind: type[Section], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in kind.model_fields.items():
        inner = _section(field)
        if inner is None:
            yield (*above, name), field
        else:
            yield from _leaves(inner, (*above, name))


def _check_names(
    kind: type[Section], values: Mapping[str, Any], source: _Source, above: tuple[str, ...]
) -> None:
    for name, value in values.items():
        field = kind.model_fields.get(name)
        if field is None:
            table = f" in [{'.'.join(above)}]" if above else ""
            raise ConfigError(f"{source.at(name)}unknown key '{name}'{table}{_nearest(name, kind, above)}")
        inner = _section(field)
        if inner is not None and isinstance(value, Mapping):
            _check_names(inner, value, source, (*above, name))


def _nearest(name: str, kind: type[Section], above: tuple[str, ...]) -> str:
    """The nearest key: of this table first, then of a table under it by its last part."""
    by_last = {names[-1]: ".".join((*above, *names)) for names, _ in _leaves(kind)}
    here = "" if name in by_last else did_you_mean(name, kind.model_fields)
    under = did_you_mean(name, by_last, by_last.__getitem__)
    return here or under or f"; known here: {', '.join(kind.model_fields)}"


def _pairs(overrides: Sequence[str]) -> Iterator[tuple[str, Any]]:
    rest = list(overrides)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise ConfigError(f"'{word}' stands where a --key is expected")
        name, equals, text = word[2:].partition("=")
        if not equals:
            if not rest:
                raise ConfigError(f"--{name} has no value; write --{name} VALUE")
            text = rest.pop(0)
        yield name.replace("-", "_"), _value(text)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _fitting(value: Any, field: FieldInfo) -> Any:
    """One value for a key that takes several is a list of it, `--train rows.jsonl`; `--map answer=gold` a table."""
    kind = get_origin(field.annotation)
    if kind is dict and isinstance(value, str) and "=" in value:
        name, _, text = value.partition("=")
        return {name: _value(text)}
    return [value] if kind is tuple and not isinstance(value, list) else value


def _find(kind: type[Section], name: str) -> tuple[str, ...]:
    leaves = [names for names, _ in _leaves(kind)]
    found = [names for names in leaves if ".".join(names) == name] or [
        names for names in leaves if names[-1] == name
    ]
    if len(found) == 1:
        return found[0]
    if found:
        choices = ", ".join("--" + ".".join(names) for names in found)
        raise ConfigError(f"--{name} is ambiguous: {choices}")
    known = {names[-1]: names for names in leaves} | {".".join(names): names for names in leaves}
    near = did_you_mean(name, known, lambda found: "--" + ".".join(known[found]))
    raise ConfigError(f"unknown key '--{name}'{near}")


def _put(values: dict[str, Any], names: tuple[str, ...], value: Any, source: _Source) -> None:
    for name in names[:-1]:
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{source.at(name)}'{name}' = {inner!r}: expected a table, [{name}]")
        values = inner
    values[names[-1]] = value


def _kind(field: FieldInfo) -> str:
    shown = field.annotation.__name__ if isinstance(field.annotation, type) else str(field.annotation)
    return shown.replace("typing.", "").replace("pathlib.", "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return str(list(value))
    return f'"{value}"' if isinstance(value, str) else str(value)
