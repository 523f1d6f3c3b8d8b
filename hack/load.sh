#!/usr/bin/env bash
# load.sh [--nodes NODE,NODE] IMAGE...: puts images of this machine's engine into the cluster's nodes, all nodes at
# once. A node that has an image already is left alone, and layers that a node has do not travel again.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

alone "load-$DP_CLUSTER" "$@"
nodes=("$DP_CLUSTER-control-plane" "$DP_CLUSTER-worker" "$DP_CLUSTER-worker2")
if [ "${1:-}" = --nodes ]; then
  IFS=, read -r -a nodes <<<"${2:?--nodes wants names}"
  shift 2
fi
[ $# -gt 0 ] || fail "say which images: hack/load.sh [--nodes NODE,NODE] IMAGE..."

mkdir -p "$DP_CACHE/exchange"
work="$(mktemp -d "$DP_CACHE/exchange/XXXXXX")"
trap 'rm -rf "$work"' EXIT
started=$SECONDS
declare -A id=() wanted=() layers=() running=()

for image in "$@"; do
  id[$image]="$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null)" ||
    fail "there is no image $image here: hack/build.sh makes ours, hack/images.sh the others"
done

# A note in the node says what was put there; the kubelet may have removed it since.
for node in "${nodes[@]}"; do
  has="$(on_node "$node" sh -c 'ctr -n k8s.io images ls -q; ctr -n k8s.io content ls -q; cat /kind/loaded || true' 2>/dev/null)" ||
    fail "$node does not answer: hack/cluster.sh up mends the cluster"
  for image in "$@"; do
    if ! grep -qxF "$image ${id[$image]}" <<<"$has" || ! grep -qE "^(docker\.io/(library/)?)?$image\$" <<<"$has"; then
      wanted[$node]+="$image "
    fi
  done
  layers[$node]="$(grep -xE 'sha256:[0-9a-f]{64}' <<<"$has" | sort -u)"
done
if [ ${#wanted[@]} = 0 ]; then
  say "images: every node has them"
  exit
fi

put() { # NODE IMAGE...
  local node=$1 image
  shift
  local archive="/exchange/${work##*/}/needed.tar"
  # An engine on another machine does not see our files.
  if ! on_node "$node" test -e "$archive"; then
    archive=/kind/needed.tar
    docker cp "$work/needed.tar" "$node:$archive" || return
  fi
  # --local: the client reads the archive; sent on to the daemon, it takes twice as long.
  on_node "$node" ctr -n k8s.io images import --local "$archive" || return
  on_node "$node" rm -f /kind/needed.tar
  for image in "$@"; do
    on_node "$node" sh -c "sed -i '\\|^$image |d' /kind/loaded 2>/dev/null; echo '$image ${id[$image]}' >>/kind/loaded" || return
  done
}

# One archive for all: what the images share is in it once.
mapfile -t missing < <(printf '%s' "${wanted[@]}" | tr ' ' '\n' | sort -u)
docker save --output "$work/images.tar" "${missing[@]}" || fail "docker could not save ${missing[*]}: its answer stands above"
everywhere="$(for node in "${!wanted[@]}"; do echo "${layers[$node]}"; done | sort | uniq -c | awk -v nodes=${#wanted[@]} '$1 == nodes {print $2}')"
python3 hack/layers.py "$work/images.tar" "$work/needed.tar" <<<"$everywhere" || fail "the saved images could not be read: their reason stands above"
for node in "${!wanted[@]}"; do
  read -r -a list <<<"${wanted[$node]}"
  put "$node" "${list[@]}" >"$DP_CACHE/log/load-$node.log" 2>&1 &
  running[$node]=$!
done
for node in "${!running[@]}"; do
  wait "${running[$node]}" || {
    tail -n 10 "$DP_CACHE/log/load-$node.log" >&2
    fail "$node did not take the images: its words stand above. 'docker exec $node df -h /var' tells whether it is full"
  }
done
say "images into ${#wanted[@]} nodes: ${missing[*]}, $(($(stat -c %s "$work/needed.tar") / 1000000)) MB each ($((SECONDS - started)) s)"
