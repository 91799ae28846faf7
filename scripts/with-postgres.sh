#!/usr/bin/env bash
# Runs a command with a throw-away PostgreSQL server, whose address it finds in
# MUSTER_TEST_POSTGRES, and stops that server however the command ends. A server
# that the variable names already is used as it is.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)

child=
own=
finish() {
  trap - EXIT
  trap '' INT TERM # an impatient second Ctrl-C must not leave the server behind
  if [ -n "$child" ]; then
    kill -TERM -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  [ -z "$own" ] || "$scripts/postgres.sh" stop "$own"
  exit "$1"
}
trap 'finish $?' EXIT
trap 'finish 130' INT
trap 'finish 143' TERM

if [ -z "${MUSTER_TEST_POSTGRES:-}" ]; then
  own=$(mktemp -d "${TMPDIR:-/tmp}/muster-postgres-XXXXXX")
  MUSTER_TEST_POSTGRES=$("$scripts/postgres.sh" start "$own")
  export MUSTER_TEST_POSTGRES
fi

# In a process group of its own: go test does not end the tests that it started
# when it is ended itself, so a signal goes to all of them.
set -m
"$@" </dev/null &
child=$!
set +m
status=0
wait "$child" || status=$?
child=
exit "$status"
