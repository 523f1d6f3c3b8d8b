#!/usr/bin/env bash
# Makes sure of the kind node image and prints its name: kind's own where it can be pulled, else one made here of
# Debian's packages and Go modules, with what the control plane runs inside.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

built="deviceplugins.dev/kind-node:v$KUBERNETES_VERSION-$(key "$(cat hack/versions.env)" hack/node-image.sh hack/debian-root.sh hack/node/* hack/binaries.sh hack/binaries/*/*)"
packages=systemd,systemd-sysv,dbus,ca-certificates,conntrack,containernetworking-plugins,ethtool,hostname,iproute2
packages+=,iptables,jq,kmod,mount,nftables,procps,runc,socat,util-linux
root="$DP_CACHE/node-root"

# The system without our programs changes seldom: kept as one archive.
base_archive="$DP_CACHE/node-root-$(key "$NODE_SUITE $packages" hack/debian-root.sh).tar"

make_base() {
  hack/debian-root.sh "$NODE_SUITE" "$root" "$packages"
  tar -C "$root" -cf "$base_archive.part" .
  rm -f "$DP_CACHE"/node-root-*.tar
  mv "$base_archive.part" "$base_archive"
}

# Everything that a node has beyond Debian.
add_programs() {
  local kubernetes etcd containerd
  kubernetes="$(hack/binaries.sh kubernetes)"
  containerd="$(hack/binaries.sh containerd)"
  cp "$kubernetes/kubernetes" "$root/usr/bin/kubernetes"
  for name in kubeadm kubectl kubelet; do ln -sf kubernetes "$root/usr/bin/$name"; done
  cp "$containerd"/* "$root/usr/local/bin/"
  install -m 0755 hack/node/entrypoint "$root/usr/local/bin/entrypoint"
  install -D -m 0755 hack/node/runc-bounded "$root/usr/local/sbin/runc-bounded"
  install -D -m 0644 hack/node/containerd.toml "$root/etc/containerd/config.toml"
  sed -i "s/PAUSE_VERSION/$PAUSE_VERSION/" "$root/etc/containerd/config.toml"
  local wants="$root/etc/systemd/system/multi-user.target.wants"
  mkdir -p "$wants" "$root/opt/cni" "$root/kind" "$root/etc/cni/net.d"
  for name in containerd kubelet; do
    install -m 0644 "hack/node/$name.service" "$root/etc/systemd/system/$name.service"
    ln -sf "../$name.service" "$wants/$name.service"
  done
  ln -sfn /usr/lib/cni "$root/opt/cni/bin"
  ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
  # Nobody logs in at a container's console.
  ln -sf /dev/null "$root/etc/systemd/system/getty.target"
  echo "v$KUBERNETES_VERSION" >"$root/kind/version"
}

# One image for every part of the control plane and for kube-proxy: all are the same file, so each node unpacks it once.
make_control_plane() {
  local work=$1 etcd name library
  etcd="$(hack/binaries.sh etcd)"
  mkdir -p "$work/usr/local/bin" "$work/usr/sbin" "$work/tmp" "$work/etc" "$work/run"
  cp "$(hack/binaries.sh kubernetes)/kubernetes" "$work/usr/local/bin/kubernetes"
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
    ln -s kubernetes "$work/usr/local/bin/$name"
  done
  cp "$etcd/etcd" "$work/usr/local/bin/etcd"
  # kube-proxy calls nft.
  cp "$root/usr/sbin/nft" "$work/usr/sbin/nft"
  chroot "$root" ldd /usr/sbin/nft | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$work$(dirname "$library")"
    cp -L "$root$library" "$work$library"
  done
  tar -C "$work" -c . | docker import --change 'ENV PATH=/usr/local/bin:/usr/sbin' - deviceplugins.dev/kubernetes:build >/dev/null
}

make_pause() {
  local work=$1
  mkdir -p "$work"
  cp "$(hack/binaries.sh pause)/pause" "$work/pause"
  tar -C "$work" -c . | docker import --change 'ENTRYPOINT ["/pause"]' --change 'USER 65535:65535' - "registry.k8s.io/pause:$PAUSE_VERSION" >/dev/null
}

import_images() { # CONTAINER
  local name images=("registry.k8s.io/pause:$PAUSE_VERSION")
  for name in $(docker exec "$1" kubeadm config images list --kubernetes-version "v$KUBERNETES_VERSION" 2>/dev/null); do
    case $name in
    */pause:* | */coredns*) ;;
    *)
      docker tag deviceplugins.dev/kubernetes:build "$name"
      images+=("$name")
      ;;
    esac
  done
  [ ${#images[@]} = 6 ] || fail "kubeadm names other images than expected: ${images[*]}"
  docker exec -d "$1" containerd
  until_within 60 "containerd in the node image to answer" docker exec "$1" ctr version
  docker save "${images[@]}" | docker exec -i "$1" ctr -n k8s.io images import --no-unpack - >/dev/null
  docker exec "$1" sh -c 'kill "$(pidof containerd)"; while pidof containerd; do sleep 0.1; done; rm -rf /run/containerd' >/dev/null
  docker rmi "${images[@]}" deviceplugins.dev/kubernetes:build >/dev/null
}

make_image() {
  local work container
  docker images -q deviceplugins.dev/kind-node | sort -u | xargs -r docker rmi -f >/dev/null 2>&1 || true
  rm -rf "$root"
  mkdir -p "$root"
  tar -C "$root" -xf "$base_archive"
  add_programs
  work="$(mktemp -d)"
  make_control_plane "$work/control-plane"
  make_pause "$work/pause"
  tar -C "$root" -c . | docker import - deviceplugins.dev/kind-node:base >/dev/null
  rm -rf "$root" "$work"
  container="$(docker run -d --rm --privileged --network none deviceplugins.dev/kind-node:base sleep 600)"
  # shellcheck disable=SC2064 # its value is known now
  trap "docker rm -f $container >/dev/null 2>&1" EXIT
  import_images "$container"
  docker commit --change 'ENV container=docker PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' \
    --change 'CMD []' "$container" "$built" >/dev/null
}

case ${1:-} in
--name)
  echo "$built"
  exit
  ;;
--base)
  make_base
  exit
  ;;
--image)
  make_image
  exit
  ;;
esac

alone node-image "$@"
hack/engine.sh
if image_exists "$built" && [ "${DP_IMAGES:-build}" = build ]; then
  echo "$built"
  exit
fi
if can_pull "$NODE_IMAGE"; then
  echo "$NODE_IMAGE"
  exit
fi

[ "$(id -u)" = 0 ] || fail "no registry of images can be reached, and making the node image here needs root"
# Packages come over the network while the processors compile.
base_pid=
if [ ! -e "$base_archive" ]; then
  step "node's Debian" hack/node-image.sh --base >&2 &
  base_pid=$!
fi
step "Kubernetes, etcd, containerd" hack/binaries.sh kubernetes containerd etcd pause >/dev/null
[ -z "$base_pid" ] || wait "$base_pid" || fail "the node's Debian could not be made: its reason stands above"
step "node image" quietly node-image hack/node-image.sh --image
echo "$built"
