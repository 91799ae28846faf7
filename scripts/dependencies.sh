#!/usr/bin/env bash
# Installs what is missing on Debian, Ubuntu, Fedora or macOS, and nothing else:
#
#   dependencies.sh run       to build and run: a C compiler, pkg-config, libyara with its headers
#   dependencies.sh test      and to test: a PostgreSQL server (its programs; no service is set up)
#   dependencies.sh runtime   to run a binary that was built elsewhere
#
# With nothing missing it does nothing and takes no time. Go itself has to be there.
set -euo pipefail

mode=${1:-run}
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin # ldconfig

fail() {
  echo "dependencies: $*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

has_postgres() {
  local bin
  for bin in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
    [ ! -x "$bin/initdb" ] || return 0
  done
  has initdb
}

has_certificates() { [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] || [ "$(uname)" = Darwin ]; }

has_yara() { has pkg-config && pkg-config --atleast-version=4.2 yara 2>/dev/null; }

has_libyara() { # the library alone, without headers
  has ldconfig && ldconfig -p | grep 'libyara\.so' >/dev/null
}

# What is missing, in words of our own; each package manager has its names for them.
missing=()
case $mode in
run | test)
  # cgo takes cc, or the compiler that CC names.
  has "${CC:-cc}" || missing+=(compiler)
  has pkg-config || missing+=(pkg-config)
  has_yara || missing+=(yara)
  [ "$mode" = run ] || has_postgres || missing+=(postgres)
  ;;
runtime)
  has_certificates || missing+=(certificates)
  has_libyara || missing+=(libyara)
  ;;
*)
  fail "unknown mode $mode: run, test or runtime"
  ;;
esac

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif has sudo; then
    echo "dependencies: needs root for: $*" >&2
    sudo "$@"
  else
    fail "missing ${missing[*]}; run this as root, or install sudo: $*"
  fi
}

install_apt() {
  local packages=() item
  for item in "${missing[@]}"; do
    case $item in
    compiler) packages+=(gcc libc6-dev) ;;
    pkg-config) packages+=(pkg-config) ;;
    yara) packages+=(libyara-dev) ;;
    postgres) packages+=(postgresql) ;;
    certificates) packages+=(ca-certificates) ;;
    libyara) packages+=("$(runtime_yara)") ;;
    esac
  done
  without_cluster as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}"
}

# Debian's package would set up and start a server that nobody asked for. It is told
# not to while it is installed, unless the machine has its own word on that.
without_cluster() {
  local conf=/etc/postgresql-common/createcluster.conf status=0
  if [ -e "$conf" ]; then
    "$@"
    return
  fi
  as_root mkdir -p "${conf%/*}"
  echo "create_main_cluster = false" | as_root tee "$conf" >/dev/null
  "$@" || status=$?
  as_root rm -f "$conf"
  return "$status"
}

# Debian numbers the library's package by its ABI: libyara9, libyara10...
runtime_yara() { apt-cache pkgnames libyara | grep -E '^libyara[0-9]+(t64)?$' | sort -V | tail -n 1; }

install_dnf() {
  local packages=() item
  for item in "${missing[@]}"; do
    case $item in
    compiler) packages+=(gcc glibc-devel) ;;
    pkg-config) packages+=(pkgconf-pkg-config) ;;
    yara) packages+=(yara-devel) ;;
    postgres) packages+=(postgresql-server) ;;
    certificates) packages+=(ca-certificates) ;;
    libyara) packages+=(yara) ;;
    esac
  done
  as_root dnf install -y -q "${packages[@]}"
}

install_brew() {
  local packages=() item
  for item in "${missing[@]}"; do
    case $item in
    compiler) fail "there is no C compiler: run xcode-select --install, then this again" ;;
    pkg-config) packages+=(pkg-config) ;;
    yara | libyara) packages+=(yara) ;;
    postgres) packages+=(postgresql@17) ;;
    esac
  done
  brew install -q "${packages[@]}"
}

if [ "${#missing[@]}" -gt 0 ]; then
  echo "dependencies: installing ${missing[*]}" >&2
  if has apt-get; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    install_apt
  elif has dnf; then
    install_dnf
  elif has brew; then
    install_brew
  else
    fail "missing ${missing[*]}, and this is none of Debian, Ubuntu, Fedora or macOS with Homebrew: install them by hand"
  fi
fi

[ "$mode" != runtime ] || exit 0

if ! has_yara; then
  pkg-config --print-errors --atleast-version=4.2 yara || true
  hint="Debian 12, Ubuntu 24.04 and newer have it"
  [ "$(uname)" != Darwin ] || hint="if it is installed, its own needs are not found: export PKG_CONFIG_PATH=\$(brew --prefix openssl@3)/lib/pkgconfig"
  fail "libyara 4.2 or newer is needed: $hint"
fi

# Go is not installed by us: versions of distributions are too old, and people have their own way.
has go || fail "Go is not installed: get 1.26 or newer from https://go.dev/dl/"
version=$(go env GOVERSION 2>/dev/null || true)
number=${version#go1.}
minor=${number%%[!0-9]*}
if [ "$number" = "$version" ] || [ "${minor:-0}" -lt 26 ]; then
  fail "Go 1.26 or newer is needed, this is ${version:-older}: get it from https://go.dev/dl/"
fi
[ "$(go env CGO_ENABLED)" = 1 ] || fail "CGO_ENABLED is 0, but SQLite and YARA need cgo: unset it"
