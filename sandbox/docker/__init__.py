"""The docker sandbox. Needs the docker SDK: pip install proctor[docker]."""

try:
    import docker  # noqa: F401 -- before our own modules, so that whoever lacks it is told where it comes from
except ImportError as error:
    raise ImportError(
        f"the docker sandbox needs the docker SDK: pip install 'proctor[docker]' ({error})"
    ) from error

from proctor.sandbox.docker.pool import DockerSandbox

__all__ = ["DockerSandbox"]
