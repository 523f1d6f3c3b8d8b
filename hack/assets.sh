#!/usr/bin/env bash
# A folder for KUBEBUILDER_ASSETS: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl. Prints its
# path. Needs no cluster, and no Docker engine either where the programs are built here.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

programs=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl)

# from_build FOLDER
from_build() {
  local kubernetes etcd name
  kubernetes="$(hack/binaries.sh kubernetes)"
  etcd="$(hack/binaries.sh etcd)"
  # Hard links: tests that run go on when newer sources replace those folders.
  ln "$etcd/etcd" "$1/etcd"
  for name in "${programs[@]:1}"; do ln "$kubernetes/kubernetes" "$1/$name"; done
}

# from_node_image IMAGE FOLDER: the node image carries the control plane's images in its own containerd.
from_node_image() {
  local container name
  container="$(docker run --detach --rm --privileged --network none --volume /var --entrypoint containerd "$1")"
  # shellcheck disable=SC2064 # its value is known now
  trap "docker rm --force $container >/dev/null 2>&1" EXIT
  until_within 60 "containerd in $1 to answer" docker exec "$container" ctr version
  for name in "${programs[@]}"; do
    docker exec "$container" sh -ec '
      case $1 in kubectl) cat /usr/bin/kubectl; exit ;; esac
      image=$(ctr -n k8s.io images ls -q | grep "/$1" | grep -v "^sha256" | head -n 1)
      mkdir -p "/tmp/$1"
      ctr -n k8s.io images mount "$image" "/tmp/$1" >&2
      cat "/tmp/$1/usr/local/bin/$1"' -- "$name" >"$2/$name"
    [ -s "$2/$name" ] || fail "$name was not found in the images inside of $1"
    chmod 0755 "$2/$name"
  done
}

case ${1:-} in
--from-build)
  from_build "$2"
  exit
  ;;
--from-node-image)
  from_node_image "$2" "$3"
  exit
  ;;
esac

alone assets
if docker info >/dev/null 2>&1 && ! image_exists "$(hack/node-image.sh --name)" && can_pull "$NODE_IMAGE"; then
  key="$(key "$NODE_IMAGE" hack/assets.sh)-pulled"
  from=(--from-node-image "$NODE_IMAGE")
else
  key="$(key "$ETCD_VERSION" hack/assets.sh hack/binaries.sh hack/binaries/kubernetes/* hack/binaries/etcd/*)"
  from=(--from-build)
fi
place="$DP_CACHE/assets-$KUBERNETES_VERSION-$key"
if [ ! -d "$place" ]; then
  rm -rf "$DP_CACHE"/assets-*
  mkdir -p "$place.part"
  step "etcd and kube-apiserver for tests" quietly assets hack/assets.sh "${from[@]}" "$place.part"
  mv "$place.part" "$place"
fi
echo "$place"
