#!/usr/bin/env bash
# gofmt, go vet and golangci-lint with .golangci.yml. The linter is built from
# tools/go.mod, which pins it; that takes some minutes the first time.
set -euo pipefail
cd "$(dirname "$0")/.."

linter=$PWD/bin/golangci-lint
if [ ! -x "$linter" ] || [ tools/go.sum -nt "$linter" ]; then
  echo "building golangci-lint, once" >&2
  (cd tools && go build -o "$linter" github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
fi

unformatted=$(gofmt -l $(find . -name '*.go' -not -path './web/node_modules/*' -not -path './.git/*'))
if [ -n "$unformatted" ]; then
  printf 'not formatted, run gofmt -w on:\n%s\n' "$unformatted" >&2
  exit 1
fi
go vet ./...
"$linter" run "$@"
