#!/usr/bin/env bash
# binaries.sh NAME...: builds kubernetes, etcd, containerd or pause from Go modules, unless built before from the same
# sources. Prints a folder for each.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh
go="$PWD/hack/go.sh"

# What a program says of itself; kubeadm goes by it to name the images.
kubernetes_flags() {
  local package flags="-s -w"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$KUBERNETES_VERSION -X $package.gitTreeState=clean"
    flags+=" -X $package.gitMajor=${KUBERNETES_VERSION%%.*} -X $package.gitMinor=$(cut -d . -f 2 <<<"$KUBERNETES_VERSION")"
  done
  printf '%s' "$flags"
}

# pinned MODULE VERSION: versions.env and go.mod must say the same.
pinned() {
  grep -qE "^[[:space:]]*(require )?$1 v$2( |\$)" go.mod ||
    fail "hack/versions.env wants $1 $2 and $PWD/go.mod does not: run 'go get $1@v$2 && go mod tidy' there"
}

build() { # NAME DIRECTORY, in a process of its own
  cd "hack/binaries/$1"
  case $1 in
  kubernetes)
    pinned k8s.io/kubernetes "$KUBERNETES_VERSION"
    "$go" build -trimpath -ldflags "$(kubernetes_flags)" -o "$2/kubernetes" .
    local name
    for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl kubeadm; do
      ln -s kubernetes "$2/$name"
    done
    ;;
  etcd)
    pinned go.etcd.io/etcd/server/v3 "$ETCD_VERSION"
    "$go" build -trimpath -ldflags "-s -w" -o "$2/etcd" .
    ;;
  containerd)
    pinned github.com/containerd/containerd/v2 "$CONTAINERD_VERSION"
    local command=github.com/containerd/containerd/v2/cmd
    "$go" build -trimpath -tags "no_btrfs no_zfs no_devmapper" \
      -ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=v$CONTAINERD_VERSION" \
      -o "$2/" "$command/containerd" "$command/containerd-shim-runc-v2" "$command/ctr"
    ;;
  pause) "$go" build -trimpath -ldflags "-s -w" -o "$2/pause" . ;;
  *) fail "binaries.sh knows kubernetes, etcd, containerd and pause, not '$1'" ;;
  esac
}

if [ "$1" = --build ]; then
  build "$2" "$3"
  exit
fi

alone binaries "$@"
versions="$KUBERNETES_VERSION $ETCD_VERSION $CONTAINERD_VERSION"
for name in "$@"; do
  place="$DP_CACHE/binaries/$name-$(key "$versions" hack/binaries.sh "hack/binaries/$name"/*)"
  if [ ! -d "$place" ]; then
    rm -rf "$DP_CACHE/binaries/$name"-* # also those of older sources
    mkdir -p "$place.part"
    started=$SECONDS
    quietly "go-build-$name" hack/binaries.sh --build "$name" "$place.part"
    mv "$place.part" "$place"
    say "$name built in $((SECONDS - started)) s"
  fi
  echo "$place"
done
