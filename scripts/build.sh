#!/usr/bin/env bash
# Builds the binary, with its version in it: build.sh [FILE], bin/muster by default.
# The version is MUSTER_BUILD_VERSION, else what git says.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-bin/muster}
version=${MUSTER_BUILD_VERSION:-}
if [ -z "$version" ] && [ -e .git ]; then
  version=$(git describe --tags --always --dirty 2>/dev/null || true)
fi
mkdir -p "$(dirname "$out")"
# git may refuse to look into a folder of another user: that must not fail the build.
CGO_ENABLED=1 go build -trimpath -buildvcs=false -ldflags "-X main.version=$version" -o "$out" ./server
