#!/usr/bin/env bash
# Everything that has to hold: formatting, vet, the floors, and every test with
# the race detector on both engines. Arguments replace ./... and may hold flags:
# test.sh -run TestEnroll ./agentapi
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != --with-postgres ]; then
  exec scripts/with-postgres.sh "$0" --with-postgres "$@"
fi
shift

step() { printf '\n== %s\n' "$*"; }

step gofmt
unformatted=$(gofmt -l $(find . -name '*.go' -not -path './web/node_modules/*' -not -path './.git/*'))
if [ -n "$unformatted" ]; then
  printf 'not formatted, run gofmt -w on:\n%s\n' "$unformatted" >&2
  exit 1
fi

step go vet
go vet ./...

step floors
go test -count=1 -run TestFloors ./server

step "go test -race, SQLite and PostgreSQL"
[ $# -gt 0 ] || set -- ./...
go test -race -timeout 40m "$@"
