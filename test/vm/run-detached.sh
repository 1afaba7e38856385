#!/bin/sh
# On Debian 12's own kernel with cgroup v2, as run-suites.sh: the life of containers without a daemon, that is monitors, exec,
# attach, logs, pause, stats, cp, restart policies, events, prune.
set -eu
cd "$(dirname "$0")/../.."
exec test/vm/run-suites.sh $(cat test/vm/detached-suites.txt)
