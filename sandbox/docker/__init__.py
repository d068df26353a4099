"""The docker sandbox. Needs the docker SDK: pip install proctor[docker]."""

from proctor.sandbox.docker.pool import DockerSandbox

__all__ = ["DockerSandbox"]
