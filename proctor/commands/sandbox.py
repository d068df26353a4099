"""`proctor sandbox`: whether the walls hold on this machine, and the image of the docker sandbox."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from proctor import console
from proctor.app import Exit, app, usable
from proctor.sandbox import doctor as examination
from proctor.sandbox.local.proof import LayerReport
from proctor.sandbox.local.setting import MODES
from proctor.verifiers.files.sources import InputError

sandbox = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Look the sandboxes over, and build what they need.",
    epilog="Examples:\n\n[bold]proctor sandbox doctor[/bold]\n\n[bold]proctor sandbox build-image --from-host[/bold]",
)
app.add_typer(sandbox, name="sandbox")

Isolation = Enum("Isolation", {mode: mode for mode in MODES}, type=str)  # type: ignore[misc]
_FULL = Isolation("full")


class Kind(str, Enum):
    """Which sandbox."""

    local = "local"
    docker = "docker"


@sandbox.command(
    epilog="Examples:\n\n[bold]proctor sandbox doctor[/bold]\n\n"
    "[bold]proctor sandbox doctor --isolation no-namespaces --json[/bold]"
)
def doctor(
    isolation: Annotated[
        Isolation | None, typer.Option(help="The local jail's isolation to ask for; default: full.")
    ] = None,
    kind: Annotated[Kind, typer.Option("--sandbox", help="The sandbox to look over.")] = Kind.local,
    json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Attack the sandbox from inside, layer by layer: which walls hold, how that was proved, what to do if not.

    Exit code 1 where a layer that was asked for does not hold.
    """
    with usable():
        if kind is Kind.docker and isolation is not None:
            raise InputError("--isolation is for the local jail; the docker sandbox has one isolation only")
        local = str((isolation or _FULL).value)
        reports = _prove_docker() if kind is Kind.docker else examination.inspect(local)
    if json:
        console.as_json([asdict(report) for report in reports])
    else:
        console.layers(reports)
    if any(report.asked and not report.holds for report in reports):
        raise typer.Exit(Exit.FAILURES)


def _prove_docker() -> list[LayerReport]:
    from proctor.sandbox.docker import DockerSandbox

    with DockerSandbox(1) as sandbox:
        return examination.look_over(sandbox)


@sandbox.command(
    "build-image",
    epilog="Examples:\n\n[bold]proctor sandbox build-image[/bold]\n\n"
    "[bold]proctor sandbox build-image --from-host --toolchains --package numpy[/bold]",
)
def build_image(
    from_host: Annotated[
        bool, typer.Option("--from-host", help="From this machine's own interpreter; needs no registry.")
    ] = False,
    toolchains: Annotated[
        bool,
        typer.Option("--toolchains", help="With --from-host: other languages' compilers too (gigabytes)."),
    ] = False,
    packages: Annotated[
        list[str] | None,
        typer.Option(
            "--package", help="What programs may import where they are given it by `packages`; several times."
        ),
    ] = None,
    tag: Annotated[str, typer.Option(help="Name of the image; the default one is found by itself.")] = "",
    dockerfile: Annotated[
        Path | None, typer.Option(help="Build this instead of the Dockerfile that comes with proctor.")
    ] = None,
) -> None:
    """Build the image of the docker sandbox. The sandbox's own code is not in it, but sent in at each start."""
    with usable():
        if from_host and dockerfile is not None:
            raise InputError("--from-host and --dockerfile exclude each other: choose one")
        if dockerfile is not None and not dockerfile.is_file():
            raise InputError(f"--dockerfile {dockerfile}: no such file")
        if toolchains and not from_host:
            raise InputError("--toolchains goes with --from-host: a Dockerfile says itself what is installed")
        if packages and dockerfile is not None:
            raise InputError("--package and --dockerfile exclude each other: a Dockerfile installs by itself")
        from proctor.sandbox.docker import engine, image

        name = tag or engine.default_image()
        if from_host:
            built = image.build_from_host(name, has_toolchains=toolchains, packages=packages or ())
        else:
            built = image.build(dockerfile or image.DOCKERFILE, name, console.note, packages=packages or ())
    console.line(f"{name} {built}")
