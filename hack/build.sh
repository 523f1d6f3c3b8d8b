#!/usr/bin/env bash
# Builds both of our images from this checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

hack/engine.sh
choose_builder

revision="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
for part in operator agent; do
  image="deviceplugins.dev/$part:dev"
  step "$image" quietly "build-$part" docker build --file "Dockerfile.$part" --build-arg "REVISION=$revision" --tag "$image" .
  say "$image: $(docker image inspect --format '{{.Size}}' "$image" | awk '{printf "%.0f MB", $1 / 1e6}')"
done
