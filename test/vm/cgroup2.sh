#!/bin/sh
# The cgroup room on a real cgroup v2 tree with every controller: this host's own layout is tested by `npm test`. A
# scratch disk is there to be throttled.
# Arguments go to vm-run: `--kernel-package linux-image-6.1…` for another kernel, `--cgroup v1` for another layout.
set -eu
# Everything runs 20 to 40 times slower in there, so the tests get time; two at once would only be slower still.
exec "$(dirname "$0")/boot" "$@" --disk 64 --timeout 900 -- \
  node_modules/.bin/ava --timeout=10m --concurrency=1 --serial test/cgroup/kernel.test.ts
