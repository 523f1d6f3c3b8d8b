#!/usr/bin/env bash
# debian-root.sh SUITE DIRECTORY PACKAGE,PACKAGE: a Debian root file system from the mirror that this machine itself
# uses, trusting the certificate authorities that this machine trusts.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

suite=$1 root=$2 packages=$3
[ "$(id -u)" = 0 ] || fail "making a Debian root file system needs root: run this as root, or on a machine that can pull images"
apt_packages debootstrap=debootstrap
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || quietly apt-keyring apt-get install -y --no-install-recommends debian-archive-keyring
# shellcheck disable=SC2016 # $(REPO_URI) is for apt-get
mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u | grep -v -i security | head -n 1)"
[ -n "$mirror" ] || fail "apt knows no mirror: is /etc/apt/sources.list.d empty, or 'apt-get update' still to be run?"

mkdir -p "$DP_CACHE/packages-$suite"
rm -rf "$root"
quietly "debootstrap-$suite" debootstrap --variant=minbase --keyring "$keyring" \
  --cache-dir "$DP_CACHE/packages-$suite" --include "$packages" "$suite" "$root" "$mirror"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin \
  "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
  mkdir -p "$root/etc/ssl/certs"
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi
