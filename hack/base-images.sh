#!/usr/bin/env bash
# Makes sure that the two base images are there: pulled where a registry can be reached, else made from Debian's
# packages under the same names, so that the same Dockerfiles and samples serve everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

# image NAME MAKER: DP_IMAGES=pull or =build takes one way only.
image() {
  local name=$1 maker=$2
  image_exists "$name" && return
  if [ "${DP_IMAGES:-pull}" = pull ] && timeout 60 docker pull --quiet "$name" >/dev/null 2>&1; then
    say "$name: pulled"
    return
  fi
  [ "${DP_IMAGES:-build}" = build ] || fail "$name could not be pulled: is its registry reachable? DP_IMAGES=build makes it from Debian's packages"
  step "$name from Debian's packages" "$maker" "$name"
}

make_python() {
  local root="$DP_CACHE/python-root"
  hack/debian-root.sh "$PYTHON_SUITE" "$root" python3,python3-venv,python3-pip,ca-certificates
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
  ln -sf python3 "$root/usr/bin/python"
  tar -C "$root" -c . | docker import --change 'CMD ["python3"]' --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin' - "$1" >/dev/null
  rm -rf "$root"
}

make_busybox() {
  local work
  work="$(mktemp -d)"
  apt_packages debootstrap=debootstrap
  (cd "$work" && quietly_here apt-get download busybox-static && dpkg -x busybox-static_*.deb .)
  mkdir -p "$work/image/bin" "$work/image/tmp"
  cp "$work"/*bin/busybox "$work/image/bin/busybox" 2>/dev/null || cp "$work"/usr/bin/busybox "$work/image/bin/busybox"
  local applet
  for applet in $("$work/image/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$work/image/bin/$applet"
  done
  tar -C "$work/image" -c . | docker import --change 'CMD ["sh"]' --change 'ENV PATH=/bin' - "$1" >/dev/null
  rm -rf "$work"
}

quietly_here() { "$@" >"$DP_CACHE/log/busybox.log" 2>&1 || fail "$* failed: see $DP_CACHE/log/busybox.log"; }

alone base-images
image "$PYTHON_IMAGE" make_python
image "$BUSYBOX_IMAGE" make_busybox
