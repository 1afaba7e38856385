#!/bin/sh
# The suites that start containers (isolation, limits, hostile, leaks, mounts, seccomp, ...) on Debian 12's own kernel, 6.1,
# with cgroup v2. That kernel has none of the newer calls, so the fallbacks of docs/kernels.md run here. Those that start
# whole programs, each of which takes seconds in there, are run-programs.sh's; those of detached life run-detached.sh's.
# Arguments are suites to run instead: `test/vm/run-suites.sh test/sdk/leaks.test.ts`.
# CORACLE_TEST_LONG=1 makes long rounds of those that have them. CORACLE_VM_TIMEOUT is in seconds. VM_OPTIONS goes to vm-run: VM_OPTIONS="--cgroup v1".
set -eu
cd "$(dirname "$0")/../.."
kernel=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image-6\.1\./ {print $2; exit}')
if [ -z "$kernel" ]; then
  echo "skipped: apt knows no linux-image-6.1 package (needs Debian 12's package lists: apt-get update)"
  exit 77
fi
# A kernel of its own beside the one that the other scripts boot.
cache=${VM_RUN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vm-run}-6.1
[ $# -gt 0 ] || set -- $(grep -l own-runtime.js test/sdk/*.test.ts |
  xargs grep -L -e report-inside -e busy-program -e ordinary-user -e journal-program -e own-network | grep -vxFf test/vm/detached-suites.txt)
# Stores lie on ext4, as on most hosts: tmpfs takes no user.* attributes before Linux 6.6.
exec test/vm/boot --cache "$cache" --kernel-package "$kernel" --timeout "${CORACLE_VM_TIMEOUT:-5400}" --disk 2048 --env TMPDIR=/mnt/disk --modules "loop fuse" \
  ${CORACLE_TEST_LONG:+--env CORACLE_TEST_LONG=1} ${VM_OPTIONS:-} -- \
  node_modules/.bin/ava --timeout=20m --concurrency=1 --serial "$@"
