#!/bin/sh
# Containers under systemd, as most servers have it: a virtual machine with Debian 12, its own kernel and systemd as pid 1.
# systemd/facts.mjs runs in it, before and after a reboot, and writes TAP. The machine's root is made once, by debootstrap, and
# kept in the cache with the kernel (CORACLE_VM_CACHE); each run has a copy of its own, and is given up after
# CORACLE_VM_TIMEOUT seconds. CORACLE_VM_CGROUP=v1 has systemd use cgroup v1, as older distributions do. Ends with 77, which
# means skipped, where something is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
cache=${CORACLE_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/coracle-vm}
timeout=${CORACLE_VM_TIMEOUT:-5400}
case ${CORACLE_VM_CGROUP:-v2} in
  v2) hierarchy=1 ;;
  v1) hierarchy=0 ;;
  *) echo "CORACLE_VM_CGROUP is v1 or v2" >&2; exit 2 ;;
esac

skip() { echo "skipped: needs $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip root
[ "$(uname -m)" = x86_64 ] || skip "an x86-64 machine"
# program:Debian package
for need in qemu-system-x86_64:qemu-system-x86 debootstrap:debootstrap mkfs.ext4:e2fsprogs busybox:busybox-static \
  modprobe:kmod apt-get:apt; do
  command -v "${need%:*}" >/dev/null || skip "the Debian package ${need#*:}"
done
kernel=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image-6\.1\./ {print $2; exit}')
[ -n "$kernel" ] || skip "Debian 12's package lists: apt-get update"

"$here/systemd/make-root" "$cache" "$kernel" >&2
version=$(cat "$cache/version")

run=$(mktemp -d "${TMPDIR:-/tmp}/coracle-systemd.XXXXXX")
qemu=
trap '[ -z "$qemu" ] || kill -9 "$qemu" 2>/dev/null || true; rm -rf "$run"' EXIT
trap 'exit 130' INT TERM HUP
: >"$run/console"
cp --sparse=always "$cache/root.ext4" "$run/disk"
mkdir "$run/results"

# What the guest sees of this machine, read-only but for the results: tag=folder.
shares=
for share in "modules=$cache/kernel/lib/modules" "project=$project" "node=$(dirname "$(node -p process.execPath)")"; do
  shares="$shares -fsdev local,id=${share%%=*},path=${share#*=},security_model=passthrough,readonly=on,multidevs=remap"
  shares="$shares -device virtio-9p-pci,fsdev=${share%%=*},mount_tag=${share%%=*}"
done
accel=tcg,thread=single # with several threads QEMU 7.2 now and then trips over the kernel's self-modifying code
[ ! -w /dev/kvm ] || accel=kvm:tcg,thread=single
# shellcheck disable=SC2086
qemu-system-x86_64 -nodefaults -no-user-config -display none -M q35 -cpu max -accel "$accel" -m 2048 -smp 2 \
  -kernel "$cache/kernel/boot/vmlinuz-$version" -initrd "$cache/initramfs" \
  -append "console=ttyS0 quiet mitigations=off tsc=reliable no_timer_check systemd.show_status=false systemd.unified_cgroup_hierarchy=$hierarchy" \
  -device virtio-rng-pci -drive "file=$run/disk,if=virtio,format=raw,cache=unsafe" $shares \
  -fsdev "local,id=results,path=$run/results,security_model=passthrough,multidevs=remap" \
  -device virtio-9p-pci,fsdev=results,mount_tag=results \
  -serial "file:$run/console" </dev/null &
qemu=$!

# The guest switches itself off after the last fact.
waited=0
while kill -0 "$qemu" 2>/dev/null && [ "$waited" -lt "$timeout" ] && ! grep -q 'Kernel panic' "$run/console"; do
  sleep 1
  waited=$((waited + 1))
done
cat "$run/results/tap" 2>/dev/null || true
if [ ! -f "$run/results/done" ]; then
  echo "the machine did not come to its last fact; the end of its console:" >&2
  tail -n 40 "$run/console" >&2
  exit 1
fi
kill "$qemu" 2>/dev/null || true
qemu=
! grep -q '^not ok' "$run/results/tap"
