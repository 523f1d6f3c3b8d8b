#!/usr/bin/env bash
# clean.sh [--cache]: removes the cluster, our images and the engine that we started; with --cache all that was
# downloaded and built too. An engine that was there before us stays.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

ended() { ! kill -0 "$1"; }

pid_file="$DP_CACHE/dockerd.pid"

if docker info >/dev/null 2>&1; then
  containers="$(docker ps -aq --filter "label=io.x-k8s.kind.cluster=$DP_CLUSTER")"
  if [ -n "$containers" ]; then
    say "removing the cluster $DP_CLUSTER"
    # shellcheck disable=SC2086 # one word each
    quietly remove-cluster docker rm --force --volumes $containers
  fi
  if [ "${1:-}" = --cache ]; then
    images="$(docker images --format '{{.Repository}}:{{.Tag}}' | grep '^deviceplugins\.dev/' || true)"
    # shellcheck disable=SC2086 # one word each
    [ -z "$images" ] || quietly remove-images docker rmi --force $images
  fi
fi
rm -f "$DP_CACHE/kubeconfig"

# Only the very process that engine.sh started: a number alone may be somebody else's by now.
if pid="$(cat "$pid_file" 2>/dev/null)" && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
  say "stopping the engine that hack/engine.sh started"
  kill "$pid"
  until_within 60 "dockerd (process $pid) to stop" ended "$pid"
fi
rm -f "$pid_file"

if [ "${1:-}" = --cache ]; then
  say "removing $DP_CACHE"
  chmod -R u+w "$DP_CACHE" && rm -rf "$DP_CACHE"
fi
