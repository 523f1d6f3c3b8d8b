#!/usr/bin/env bash
# Builds both of our images from this checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

hack/engine.sh
# Without the plug-in buildx, newer clients still know the older builder, and say that it is old.
if docker buildx version >/dev/null 2>&1; then export DOCKER_BUILDKIT=1; else export DOCKER_BUILDKIT=0; fi

revision="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
for part in operator agent; do
  image="deviceplugins.dev/$part:dev"
  step "$image" quietly "build-$part" docker build --file "Dockerfile.$part" --build-arg "REVISION=$revision" --tag "$image" .
  say "$image: $(docker image inspect --format '{{.Size}}' "$image" | awk '{printf "%.0f MB", $1 / 1e6}')"
done
