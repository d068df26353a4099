# The image of proctor's docker sandbox: an interpreter and the compilers; the sandbox's own code is sent in at
# each start. `proctor sandbox build-image --package numpy` adds packages, which programs may import where the
# sandbox is asked for `packages=("numpy",)`.
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc g++ libc6-dev nodejs default-jdk-headless rustc golang-go \
    && rm -rf /var/lib/apt/lists/*
# Python's images come without compiled modules: each start would compile them anew, in thrice the time, and
# leave every program's process a quarter larger.
RUN python3 -m compileall -q -x '/(test|tests|site-packages|idlelib|lib2to3)/' \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
ARG PACKAGES=""
RUN test -z "$PACKAGES" || python3 -m pip install --no-cache-dir $PACKAGES
