#!/bin/sh
# On Debian 12's own kernel with cgroup v2, as run-suites.sh: what a kernel decides below containers, that is seccomp
# programs, cgroups, hostile archives and confined files.
set -eu
cd "$(dirname "$0")/../.."
exec test/vm/run-suites.sh test/sdk/seccomp-compile.test.ts test/cgroup/kernel.test.ts \
  test/store/unpack-layer.test.ts test/binding/files.test.ts
