#!/usr/bin/env bash
# A throw-away PostgreSQL server for tests, on a free port of 127.0.0.1.
#
#   postgres.sh start DIR     make a cluster in DIR if there is none, start it, print its URL
#   postgres.sh restart DIR   stop it at once, as a crash would, and start it on the same port
#   postgres.sh stop DIR      stop it and remove DIR
#
# Nothing of the machine's own PostgreSQL is touched. fsync is off unless
# MUSTER_TEST_FSYNC=on: the data lives as long as the tests.
set -euo pipefail

action=${1:?start, restart or stop}
dir=${2:?a folder for the cluster}

bin=$(ls -d /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin 2>/dev/null | sort -V | tail -n 1 || true)
[ -n "$bin" ] || { command -v initdb >/dev/null && bin=$(dirname "$(command -v initdb)"); } || true
[ -x "$bin/initdb" ] || { echo "no PostgreSQL server found: run scripts/dependencies.sh test" >&2; exit 1; }

# PostgreSQL refuses to run as root: root hands over to the user postgres.
as_owner() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && exec runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

free_port() {
  local port
  for _ in $(seq 1 50); do
    port=$((20000 + RANDOM % 30000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  echo "no free port found" >&2
  exit 1
}

start() {
  local port
  port=$(cat "$dir/port")
  as_owner "$bin/pg_ctl" -s -w -t 60 -D "$dir/data" -l "$dir/log" -o \
    "-p $port -k $dir -c listen_addresses=127.0.0.1 -c fsync=${MUSTER_TEST_FSYNC:-off} -c max_connections=300 -c shared_buffers=256MB -c max_wal_size=2GB" start >&2
}

case $action in
start)
  if [ ! -d "$dir/data" ]; then
    mkdir -p "$dir"
    chmod 755 "$dir"
    [ "$(id -u)" != 0 ] || chown postgres "$dir"
    as_owner "$bin/initdb" -D "$dir/data" -U muster -A trust -E UTF8 --locale=C >/dev/null
    free_port >"$dir/port"
    for _ in 1 2 3; do # another process may take the port in between
      start && break
      free_port >"$dir/port"
    done
  else
    start
  fi
  echo "postgres://muster@127.0.0.1:$(cat "$dir/port")/postgres?sslmode=disable"
  ;;
restart)
  as_owner "$bin/pg_ctl" -s -w -D "$dir/data" -m immediate stop >&2
  start
  ;;
stop)
  as_owner "$bin/pg_ctl" -s -w -D "$dir/data" -m immediate stop >&2 || true
  rm -rf "$dir"
  ;;
*)
  echo "unknown action $action" >&2
  exit 2
  ;;
esac
