#!/usr/bin/env bash
# The version that follows this one, for tests of upgrades: this checkout with tests/e2e/next_version.patch, in
# build/next-version with its CRDs and manifests, and its images with the tag `next`.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

hack/engine.sh
choose_builder

next=build/next-version
patch=tests/e2e/next_version.patch
rm -rf "$next"
mkdir -p "$next"
cp -r .dockerignore Dockerfile.* LICENSE README.md pyproject.toml constraints.txt api agent operator crds manifests "$next"
# One line around each change has to be as it was.
git apply --directory="$next" -C1 "$patch" ||
  fail "$patch does not fit this checkout any more: make its changes anew"
PYTHONPATH="$next/api" .venv/bin/python -m device_plugin_api.crd "$next/crds"

for part in operator agent; do
  image="deviceplugins.dev/$part:next"
  step "$image" quietly "build-next-$part" docker build --file "$next/Dockerfile.$part" --tag "$image" "$next"
done
