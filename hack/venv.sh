#!/usr/bin/env bash
# Makes .venv with everything in constraints.txt, or leaves it alone when nothing changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
stamp="$venv/.made-from"

fail() {
  printf 'venv: %s\n' "$*" >&2
  exit 1
}

# The newest Python that the constraints are tested with.
find_python() {
  local name
  for name in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
    if [ -n "$name" ] && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  fail "Python 3.11, 3.12 or 3.13 is needed and none was found: install one (on Debian: apt-get install python3 python3-venv)," \
    "or name it, as in: make venv PYTHON=/opt/python/bin/python3"
}

make_venv() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null || {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      echo "venv: installing python3-venv"
      { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv; } \
        >/tmp/device-plugins-apt.log 2>&1 ||
        fail "apt-get could not install python3-venv: see /tmp/device-plugins-apt.log"
    else
      fail "$1 has no venv module: install it (on Debian: sudo apt-get install python3-venv), then run this again"
    fi
  }
  "$1" -m venv --clear "$venv" || fail "$1 could not make $venv: what it said stands above"
}

[ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import sys' 2>/dev/null && python="$venv/bin/python" || python="$(find_python)"
made_from="$(cat pyproject.toml constraints.txt hack/venv.sh | sha256sum | cut -d ' ' -f 1) $("$python" -V)"
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$made_from" ]; then
  echo "venv: $venv is up to date"
  exit
fi

start=$SECONDS
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  python="$(find_python)"
  echo "venv: making $venv with $("$python" -V)"
  make_venv "$python"
  made_from="${made_from%% *} $("$venv/bin/python" -V)"
fi
echo "venv: installing what constraints.txt names"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]' ||
  fail "pip could not install: is a package index reachable? Its answer stands above; run 'make venv' again afterwards"
printf '%s' "$made_from" >"$stamp"
echo "venv: $venv is ready ($((SECONDS - start)) s)"
