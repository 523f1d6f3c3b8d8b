#!/usr/bin/env bash
# Fails when a generated file differs from what the types in api/ make of it now.
set -euo pipefail
cd "$(dirname "$0")/.."

made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT
.venv/bin/python -m device_plugin_api.crd "$made"
.venv/bin/python hack/reference.py "$made/config.md"
for file in "$made"/*.yaml; do
  diff -u "crds/$(basename "$file")" "$file" || drifted=1
done
diff -u docs/reference/config.md "$made/config.md" || drifted=1
if [ "${drifted:-}" ]; then
  echo "generated files are not what the types say: run 'make manifests' and commit the result" >&2
  exit 1
fi
echo "generated files are up to date"
