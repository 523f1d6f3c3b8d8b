#!/usr/bin/env bash
# Pins in constraints.txt what .venv holds, less what no extra needs any more.
set -euo pipefail
cd "$(dirname "$0")/.."

made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT
.venv/bin/python -m pip freeze --all --exclude-editable | grep -v '^pip==' >"$made/installed"
# The newest Python that is tested needs what the older ones need, and setuptools besides; hatchling makes our wheel.
.venv/bin/python -m pip install --quiet --dry-run --ignore-installed --constraint "$made/installed" \
  --report "$made/report.json" '.[dev]' hatchling setuptools
{
  sed -n '/^#/p' constraints.txt
  .venv/bin/python - "$made/report.json" <<'END'
import json, sys

metadata = [item["metadata"] for item in json.load(open(sys.argv[1]))["install"]]
pins = {f"{entry['name']}=={entry['version']}" for entry in metadata if entry["name"] != "device-plugin-operator"}
print(*sorted(pins, key=str.lower), sep="\n")
END
} >"$made/constraints.txt"
mv "$made/constraints.txt" constraints.txt
