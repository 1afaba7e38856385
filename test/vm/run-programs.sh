#!/bin/sh
# On Debian 12's own kernel with cgroup v2, as run-suites.sh: the suites that start Node programs of their own (what they hand
# down, their sudden deaths, ordinary users), and whole commands.
set -eu
cd "$(dirname "$0")/../.."
exec test/vm/run-suites.sh $(grep -l -e report-inside -e busy-program -e ordinary-user test/sdk/*.test.ts) \
  $(grep -l -e own-runtime -e own-root test/cli/*.test.ts)
