#!/usr/bin/env bash
# kind and kubectl in $DP_CACHE/bin, whatever else the machine has. kubectl comes from where the cluster's other parts
# come from: our own build, or the node image.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

get_kind() {
  GOBIN="$DP_CACHE/bin" quietly kind hack/go.sh install -trimpath -ldflags "-s -w" "sigs.k8s.io/kind@$KIND_VERSION"
}

# kubectl_from NODE-IMAGE
kubectl_from() {
  docker run --rm --entrypoint cat "$1" /usr/bin/kubectl >"$DP_CACHE/bin/kubectl.part" ||
    fail "kubectl could not be copied out of $1: see what docker says above"
  chmod 0755 "$DP_CACHE/bin/kubectl.part"
  mv "$DP_CACHE/bin/kubectl.part" "$DP_CACHE/bin/kubectl"
}

if [ "$("$DP_CACHE/bin/kind" version --quiet 2>/dev/null)" != "${KIND_VERSION#v}" ]; then step "kind $KIND_VERSION" get_kind; fi

image="$(hack/node-image.sh)"
if [ "$(cat "$DP_CACHE/kubectl-from" 2>/dev/null)" != "$image" ] || [ ! -x "$DP_CACHE/bin/kubectl" ]; then
  if [ "$image" = "$NODE_IMAGE" ]; then
    step "kubectl" kubectl_from "$image"
  else
    # A hard link: it stays when newer sources replace the folder.
    ln -f "$(hack/binaries.sh kubernetes)/kubernetes" "$DP_CACHE/bin/kubectl"
  fi
  echo "$image" >"$DP_CACHE/kubectl-from"
fi
