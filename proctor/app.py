"""The command line's root: `--version`, how errors end a command, and what its exit codes mean.

0 done; 1 done, with failures; 2 could not run; 130 interrupted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from proctor import __version__, console
from proctor.sandbox.core import SandboxError
from proctor.settings import defaults_from
from proctor.verifiers.expression import ExpressionError
from proctor.verifiers.files.sources import InputError


class Exit(IntEnum):
    """What a command says to the shell."""

    DONE = 0
    FAILURES = 1  # done, but rows were bad, or could not be scored by a fault of ours
    UNUSABLE = 2  # could not run: the input, the expression or an option is not usable
    INTERRUPTED = 130  # Ctrl-C, as shells have it


app = typer.Typer(
    name="proctor",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


Function = TypeVar("Function", bound=Callable[..., None])


def command(
    *examples: str, name: str | None = None, takes_keys: bool = False
) -> Callable[[Function], Function]:
    """Adds a function as a command; its help is the docstring and ends with the examples.

    name: where the function's own would hide one of Python's. takes_keys: every key of a config file is an
    option too; `config_and_words` finds them.
    """
    settings = {"allow_extra_args": True, "ignore_unknown_options": True} if takes_keys else {}

    def add(function: Function) -> Function:
        paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
        help_text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        shown = _shown(*examples)
        return app.command(name, help=help_text, epilog=shown, context_settings=settings)(function)

    return add


def config_and_words(context: typer.Context, config: Path | None) -> tuple[Path | None, list[str]]:
    """The config file, and the keys given as options; a first option is taken for the file where none is."""
    if config is not None and str(config).startswith("--"):
        return None, [str(config), *context.args]
    return config, list(context.args)


@contextmanager
def needs_train() -> Iterator[None]:
    """Ends the command where an import inside needs what is not installed, saying what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        console.error(f"{error.name} is not installed; this needs: pip install 'proctor[train]'")
        raise typer.Exit(Exit.UNUSABLE) from error


def _shown(*examples: str) -> str:
    return "\n\n".join(["Examples:", *(f"[bold]{example}[/bold]" for example in examples)])


@contextmanager
def usable() -> Iterator[None]:
    """Ends the command with exit code 2, saying why, where what the user gave is not usable, or a library, a
    sandbox or a server that it needs is not there (a server's error is an OSError).
    """
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read our output has seen enough; not an error to talk of
    except (InputError, ExpressionError, SandboxError, ImportError, OSError) as error:
        console.error(str(error))
        raise typer.Exit(Exit.UNUSABLE) from error


def _show_version(asked: bool) -> None:
    if asked:
        console.line(f"proctor {__version__}")
        raise typer.Exit


@app.callback(
    epilog=_shown(
        'proctor score rollouts.jsonl --reward "math + 0.1 * steps"',
        """proctor explain "0.9 * math + 0.1 * format('boxed')\"""",
    )
)
def root(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file with a table of options for each command.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Verifies what language models answer, and turns it into rewards that can be trusted and explained."""
    if config is not None:
        with usable():
            context.default_map = defaults_from(config, context)
