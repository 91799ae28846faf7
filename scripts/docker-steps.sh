#!/usr/bin/env bash
# Takes the Dockerfile's way where no Docker engine runs: the same context, the
# same scripts, and then the server as a user without rights and its health check.
# Works in a temporary folder that it removes. The base images are this machine.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d "${TMPDIR:-/tmp}/muster-image-XXXXXX")
server=
finish() {
  local status=$?
  trap - EXIT
  [ -z "$server" ] || { kill -KILL "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
step() { printf '\n== %s\n' "$*"; }

step "context: what .dockerignore leaves"
mkdir "$work/src" "$work/image" "$work/image/etc"
tar -c --anchored --wildcards --no-wildcards-match-slash --exclude-from=<(grep -v '^#' .dockerignore | sed 's#^#./#') . | tar -x -C "$work/src"
find "$work/src" -type f | wc -l

step "build stage"
cd "$work/src"
scripts/dependencies.sh run
go mod download
MUSTER_BUILD_VERSION=docker-steps scripts/build.sh "$work/out/muster"

step "runtime stage"
scripts/dependencies.sh runtime
touch "$work/image/etc/passwd" "$work/image/etc/group"
user=()
if [ "$(id -u)" = 0 ]; then
  scripts/image.sh "$work/image"
  user=(setpriv --reuid 10001 --regid 10001 --clear-groups)
else
  install -d -m 0700 "$work/image/data"
fi
install -D -m 0755 "$work/out/muster" "$work/image/usr/local/bin/muster"
chmod 755 "$work" "$work/image"
if ldd "$work/image/usr/local/bin/muster" | grep 'not found'; then
  echo "a library is missing at run time" >&2
  exit 1
fi

step "run as $( [ "$(id -u)" = 0 ] && echo "user 10001" || id -un )"
port=$((20000 + RANDOM % 30000))
cd /
muster=(env -i PATH="$PATH" HOME=/nonexistent MUSTER_DATA="$work/image/data" MUSTER_LISTEN="127.0.0.1:$port" "$work/image/usr/local/bin/muster")
"${user[@]}" "${muster[@]}" serve >"$work/log" 2>&1 &
server=$!
healthy=no
for _ in $(seq 1 60); do
  if "${user[@]}" "${muster[@]}" healthcheck 2>"$work/health"; then
    healthy=yes
    break
  fi
  kill -0 "$server" 2>/dev/null || break
  sleep 0.5
done
if [ "$healthy" != yes ]; then
  cat "$work/log" "$work/health" >&2
  echo "the server did not become healthy" >&2
  exit 1
fi
"${muster[@]}" version
kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
echo "healthy; ended by SIGTERM with status $status"
exit "$status"
