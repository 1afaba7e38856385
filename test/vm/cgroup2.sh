#!/bin/sh
# The cgroup tests on a real cgroup v2 tree with every controller, in a throw-away virtual machine: this host's own
# layout is tested by `npm test`. The project is visible inside read-only; a scratch disk is there to be throttled.
# Needs vm-run, a program that boots a Debian kernel in QEMU over this machine's files: VM_RUN=path, or on the PATH.
# Arguments go to vm-run: `--kernel-package linux-image-6.1…` for another kernel, `--cgroup v1` for another layout.
set -eu
cd "$(dirname "$0")/../.."
vm_run=${VM_RUN:-$(command -v vm-run || true)}
if [ -z "$vm_run" ]; then
  echo "skipped: cgroup v2 in a virtual machine (needs vm-run: set VM_RUN to its path)"
  exit 0
fi
# Everything runs 20 to 40 times slower in there, so the tests get time; two at once would only be slower still.
exec "$vm_run" "$@" --quiet --disk 64 --timeout 900 -- \
  node_modules/.bin/ava --timeout=10m --concurrency=1 --serial test/cgroup/kernel.test.ts
