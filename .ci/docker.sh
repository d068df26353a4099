# start_docker: a Docker engine of our own for the tests, which ends with this shell; 1 and the reason where it
# cannot be had. Sourced by .ci/run; needs root. No bridge and no iptables: the sandbox's containers have no
# network anyway.

# Not by the docker command, which may be a package of its own.
docker_answers() {
  python3 -c '
import socket, sys
with socket.socket(socket.AF_UNIX) as engine:
    engine.settimeout(5)
    engine.connect(sys.argv[1])
    engine.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
    sys.exit(b" 200 " not in engine.recv(100))
' "$1" 2>/dev/null
}

stop_docker() {
  kill "$docker_pid" 2>/dev/null && wait "$docker_pid" 2>/dev/null
  rm -rf "$docker_dir" 2>/dev/null || true
}

start_docker() {
  if ! command -v dockerd >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker.io; } >/dev/null 2>&1 ||
      { echo "docker.io could not be installed by apt-get" >&2; return 1; }
  fi
  docker_dir=$(mktemp -d /tmp/dockerd-XXXXXX)  # short: a socket's path has at most 107 bytes
  dockerd --iptables=false --ip6tables=false --bridge=none --data-root "$docker_dir/data" --exec-root "$docker_dir/exec" \
    -H "unix://$docker_dir/docker.sock" -p "$docker_dir/pid" >"$docker_dir/log" 2>&1 &
  docker_pid=$!
  trap stop_docker EXIT
  for _ in $(seq 120); do
    if docker_answers "$docker_dir/docker.sock"; then
      export DOCKER_HOST="unix://$docker_dir/docker.sock"
      return 0
    fi
    kill -0 "$docker_pid" 2>/dev/null || break
    sleep 0.5
  done
  echo "dockerd did not start:" >&2
  tail -n 5 "$docker_dir/log" >&2
  return 1
}
