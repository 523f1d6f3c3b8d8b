#!/usr/bin/env bash
# Inside of the machine's container: makes the guest's disk of what lies in /guest. `images` takes an archive of
# images and unpacks it and the node image's own there, where it is quick; `disk` writes /disk.qcow2.
set -euo pipefail
root=/guest

guest() { chroot "$root" "$@"; }

take_images() {
  local folder digest
  for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder"; done
  mount -t tmpfs tmpfs "$root/run"
  guest containerd >/tmp/containerd.log 2>&1 &
  local containerd=$! patience=300
  until guest ctr version >/dev/null 2>&1; do
    patience=$((patience - 1))
    if [ $patience = 0 ]; then
      tail -n 20 /tmp/containerd.log >&2
      exit 1
    fi
    sleep 0.1
  done
  guest ctr -n k8s.io images import -
  guest ctr -n k8s.io images ls | awk '$1 ~ /pause|kube-proxy|kindnetd/ {print $3}' | sort -u | while read -r digest; do
    guest ctr -n k8s.io snapshots unpack "$digest"
  done
  kill $containerd
  wait $containerd || true
}

make_disk() {
  local name files=/machine/guest
  install -m 0755 $files/vm-setup "$root/usr/local/sbin/vm-setup"
  install -m 0644 $files/vm-setup.service "$root/etc/systemd/system/vm-setup.service"
  ln -sf ../vm-setup.service "$root/etc/systemd/system/multi-user.target.wants/vm-setup.service"
  install -D -m 0644 $files/modules.conf "$root/etc/modules-load.d/vm.conf"
  cp -a /usr/lib/modules "$root/usr/lib/"
  # A machine has every capability: no need to take any away, and the shell that does it is slow here.
  sed -i 's#/usr/local/sbin/runc-bounded#/usr/bin/runc#' "$root/etc/containerd/config.toml"
  printf '%s\n' '/dev/vda / ext4 defaults 0 0' \
    'exchange /exchange 9p trans=virtio,version=9p2000.L,msize=524288,ro,nofail 0 0' >"$root/etc/fstab"
  mkdir -p "$root/exchange"
  # Nothing is to be updated here.
  for name in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
    ln -sf /dev/null "$root/etc/systemd/system/$name.timer"
  done
  ln -sf /dev/null "$root/etc/systemd/system/e2scrub_reap.service"
  # Without it no pod's sandbox starts.
  : >"$root/etc/resolv.conf"
  : >"$root/etc/machine-id"
  mkfs.ext4 -q -F -E lazy_itable_init=1 -d "$root" /tmp/disk.img 8G
  qemu-img convert -O qcow2 /tmp/disk.img /disk.qcow2
  rm /tmp/disk.img
}

case ${1:-} in
images) exec unshare --mount "$0" --unpack ;; # mounts that end with it
--unpack) take_images ;;
disk) make_disk ;;
*) echo "disk.sh: say images or disk" >&2 && exit 1 ;;
esac
