#!/usr/bin/env bash
# Prints the benchmark's table for both engines; flags go to server/bench.
# PostgreSQL keeps fsync on here, or durable rows would cost nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != --with-postgres ]; then
  # Always a server of its own: one for tests has fsync off.
  MUSTER_TEST_POSTGRES='' MUSTER_TEST_FSYNC=on exec scripts/with-postgres.sh "$0" --with-postgres "$@"
fi
shift
scripts/build.sh bin/muster
go build -o bin/bench ./server/bench
MUSTER_BENCH_POSTGRES=$MUSTER_TEST_POSTGRES exec bin/bench -muster bin/muster "$@"
