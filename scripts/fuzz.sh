#!/usr/bin/env bash
# Runs every fuzz target for a short while: fuzz.sh [TIME], 10s by default.
set -euo pipefail
cd "$(dirname "$0")/.."

for file in $(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do
  for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
    printf '\n== %s in %s\n' "$target" "$(dirname "$file")"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-10s}" "$(dirname "$file")"
  done
done
