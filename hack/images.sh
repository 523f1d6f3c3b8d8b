#!/usr/bin/env bash
# Every image that is not our own: the base of our images, the samples' and kind's node.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

hack/engine.sh
hack/base-images.sh
hack/node-image.sh >/dev/null
