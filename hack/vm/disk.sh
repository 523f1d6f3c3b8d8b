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
  install -m 0755 $files/vm-setup $files/vm-devices "$root/usr/local/sbin/"
  for name in vm-setup vm-devices qemu-guest-agent; do
    install -m 0644 "$files/$name.service" "$root/etc/systemd/system/"
    ln -sf "../$name.service" "$root/etc/systemd/system/multi-user.target.wants/"
  done
  install -D -m 0644 $files/modules.conf "$root/etc/modules-load.d/vm.conf"
  install -D -m 0644 $files/10-cluster.link "$root/etc/systemd/network/10-cluster.link"
  cp -a /usr/lib/modules "$root/usr/lib/"
  # A machine has every capability: no need to take any away, and the shell that does it is slow here.
  sed -i 's#/usr/local/sbin/runc-bounded#/usr/bin/runc#' "$root/etc/containerd/config.toml"
  # The kernel mounts the root; to name it here would make systemd wait until udev has found its disk.
  echo 'exchange /exchange 9p trans=virtio,version=9p2000.L,msize=524288,ro,nofail 0 0' >"$root/etc/fstab"
  mkdir -p "$root/exchange"
  # Nothing is to be updated here, nobody logs in, and each of them costs a second.
  for name in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer dbus.service dbus.socket systemd-logind.service systemd-update-utmp.service \
    modprobe@dm_mod.service modprobe@efi_pstore.service modprobe@loop.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$name"
  done
  install -D -m 0644 $files/no-modules.conf "$root/etc/modprobe.d/vm.conf"
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
