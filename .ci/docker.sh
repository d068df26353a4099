# Starts a Docker engine of our own for the tests and ends it with this shell. Sourced by .ci/run; needs root.
# No bridge and no iptables: the sandbox's containers have no network anyway.
if ! command -v dockerd >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker.io >/dev/null
fi
docker_dir=$(mktemp -d)
dockerd --iptables=false --ip6tables=false --bridge=none --data-root "$docker_dir/data" --exec-root "$docker_dir/exec" \
  -H "unix://$docker_dir/docker.sock" -p "$docker_dir/pid" >"$docker_dir/log" 2>&1 &
docker_pid=$!
trap 'kill "$docker_pid" 2>/dev/null; wait "$docker_pid" 2>/dev/null; rm -rf "$docker_dir" 2>/dev/null || true' EXIT
export DOCKER_HOST="unix://$docker_dir/docker.sock"
for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 0.5; done
docker info >/dev/null 2>&1 || { echo "dockerd did not start:"; tail -n 20 "$docker_dir/log"; exit 1; }
