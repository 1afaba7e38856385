#!/bin/sh
# Runs a command beside a systemd-journald of its own, which nobody else on this host notices:
#     unshare --mount sh with-journal.sh COMMAND [ARGUMENT...]
set -eu
mount --make-rprivate /
for place in /run/systemd /run/log /var/log; do
  mkdir -p $place
  mount -t tmpfs tmpfs $place
done
mkdir -p /run/systemd/journal
/lib/systemd/systemd-journald >/dev/null 2>&1 &
journal=$!
trap 'kill $journal 2>/dev/null || true' EXIT
for _ in $(seq 400); do
  [ ! -S /run/systemd/journal/socket ] || break
  sleep 0.05
done
JOURNAL_PID=$journal "$@"
