#!/bin/sh
# Records what a real dockerd gives its containers and tells its users, into test/fixtures/docker (see the README
# written there). Run it as root: scripts/record-docker.sh [OUTPUT DIRECTORY]
#
# Needs the Debian packages docker.io, busybox-static and iproute2, a docker client and node on the PATH, and no
# internet. The dockerd is private: own network, mount and UTS namespace, own store, no environment of the caller's,
# a name server that does not exist. Everything it makes lies below one fixed directory, removed at the end; the
# directory's name is fixed because it shows up in what is recorded.
set -eu

out=$(readlink -f "${1:-$(dirname "$0")/../test/fixtures/docker}")
work=/tmp/coracle-record
image=record/busybox:1.35
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/client
unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH 2>/dev/null || true

mkdir $work # fails when another recording is under way
mkdir $work/client
trap stop EXIT
trap 'exit 1' INT TERM

# Stands before runc on dockerd's PATH. dockerd 20.10 asks for every capability there is (--privileged, --cap-add ALL);
# on a host whose own bounding set is smaller runc refuses that. Later engines leave out what the host has not, and so
# does this. The OCI config as dockerd wrote it is kept beside the bundle.
write_runc() {
  mkdir $work/bin
  cat >$work/bin/runc <<'RUNC'
#!/bin/sh
PATH=${PATH#*:}
previous=
for argument; do
  [ "$previous" != --bundle ] || bundle=$argument
  previous=$argument
done
case " $* " in
*' create '*) cp "$bundle/config.json" "$bundle/config.dockerd.json" && node -e '
  const [file] = process.argv.slice(1);
  const config = JSON.parse(fs.readFileSync(file));
  const bounding = BigInt("0x" + /^CapBnd:\s*(\w+)/m.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]);
  const names = NAMES.split(" ");
  const has = name => (bounding >> BigInt(names.indexOf(name.slice(4).toLowerCase()))) & 1n;
  const sets = config.process.capabilities ?? {};
  for (const set of Object.keys(sets)) sets[set] = sets[set].filter(has);
  fs.writeFileSync(file, JSON.stringify(config));' "$bundle/config.json" ;;
esac
exec runc "$@"
RUNC
  sed -i "s/NAMES/\"$capability_names\"/" $work/bin/runc
  chmod 755 $work/bin/runc
}

# In the order of their numbers: linux/capability.h.
capability_names='chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'

start() {
  write_runc
  printf 'nameserver 192.0.2.53\nsearch example.test\noptions ndots:1\n' >$work/resolv.conf
  printf '127.0.0.1\tlocalhost recorder\n' >$work/hosts
  env -i PATH="$work/bin:$PATH" WORK=$work unshare --net --mount --uts --propagation private sh -c '
    hostname recorder
    mount --bind $WORK/resolv.conf "$(readlink -f /etc/resolv.conf)"
    mount --bind $WORK/hosts /etc/hosts
    ip link set lo up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    exec dockerd --data-root $WORK/root --exec-root $WORK/exec -H unix://$WORK/docker.sock --pidfile $WORK/docker.pid
  ' >$work/dockerd.log 2>&1 </dev/null &
  daemon=$!
  for _ in $(seq 100); do
    docker version >/dev/null 2>&1 && return
    sleep 0.1
  done
  tail -5 $work/dockerd.log >&2
  return 1
}

stop() {
  if docker version >/dev/null 2>&1; then
    containers=$(docker ps --all --quiet)
    [ -z "$containers" ] || docker rm --force --volumes $containers >/dev/null
  fi
  if [ -n "${daemon:-}" ]; then
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" || true
  fi
  rm -rf $work
  # dockerd leaves the parents of its containers' cgroups; rmdir spares one that another dockerd uses.
  rmdir /sys/fs/cgroup/docker /sys/fs/cgroup/*/docker 2>/dev/null || true
}

# What a process sees; run by the container itself as pid 1. Sections are cut into files by cut_sections.
probe_script() {
  cat <<'PROBE'
#!/bin/sh
section() { echo "=== $1"; shift; "$@" 2>&1; }
each() { verb=$1; shift; for path; do $verb "$path"; done; }
show() { [ ! -r "$1" ] || echo "$1 $(cat "$1" 2>&1)"; }
status() { stat -c '%n %F mode=%a uid=%u gid=%g device=%t,%T size=%s' "$1"; }
section mountinfo cat /proc/1/mountinfo
section limits cat /proc/1/limits
section cgroup cat /proc/1/cgroup
section namespaces ls -l /proc/1/ns
section dev ls -la /dev /dev/pts /dev/shm /dev/mqueue
section root ls -la / /etc
section masked each status /proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats \
  /proc/sched_debug /proc/scsi /proc/timer_list /proc/timer_stats /sys/devices/virtual/powercap /sys/firmware
section env env
section id id
section umask umask
section stat cat /proc/1/stat
section process each show /proc/1/oom_score_adj /proc/1/oom_adj /proc/1/coredump_filter /proc/1/loginuid \
  /proc/1/personality /proc/1/timerslack_ns /proc/1/attr/current /proc/1/uid_map /proc/1/gid_map /proc/1/setgroups
section sysctls each show /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range \
  /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/net/ipv6/conf/default/disable_ipv6 \
  /proc/sys/net/ipv6/conf/lo/disable_ipv6 /proc/sys/net/ipv4/conf/all/route_localnet /proc/sys/net/core/somaxconn \
  /proc/sys/kernel/hostname /proc/sys/kernel/domainname /proc/sys/kernel/shmmax /proc/sys/kernel/msgmnb \
  /proc/sys/fs/mqueue/msg_max
section devices cat /sys/fs/cgroup/devices/devices.list
section hosts cat /etc/hosts
section hostname cat /etc/hostname
section resolv.conf cat /etc/resolv.conf
section mtab ls -l /etc/mtab
section working-directory pwd
section links ip link
section addresses ip addr
section routes ip route
echo "=== end"
[ "$1" != stay ] || exec sleep 1000
PROBE
}

build_image() {
  mkdir -p $work/tree/bin $work/tree/etc $work/tree/tmp $work/tree/root $work/tree/data
  cp "$(command -v busybox)" $work/tree/bin/busybox
  for applet in $($work/tree/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox $work/tree/bin/"$applet"
  done
  chmod 1777 $work/tree/tmp
  printf 'root:x:0:0:root:/root:/bin/sh\nworker:x:1000:1000::/home/worker:/bin/sh\n' >$work/tree/etc/passwd
  printf 'root:x:0:\nworker:x:1000:\naudio:x:29:worker\n' >$work/tree/etc/group
  echo 'not a program' >$work/tree/etc/not-a-program
  printf 'first\n' >$work/tree/data/copied-up
  probe_script >$work/tree/bin/probe
  chmod 755 $work/tree/bin/probe
  tar -C $work/tree --sort=name --owner=0 --group=0 --mtime=@1700000000 -cf - . |
    docker import --change 'CMD ["sh"]' --change 'LABEL org.example.purpose=recording' - $image >/dev/null
}

cut_sections() { # DIRECTORY <OUTPUT
  awk -v dir="$1" '/^=== / { if (file) close(file); file = dir "/" $2 ".txt"; if ($2 == "end") exit; printf "" >file; next }
    { print >file }'
}

# A container of one kind: what its pid 1 sees, the OCI config.json that runc got, docker inspect, open descriptors.
record_container() { # NAME FLAGS...
  name=$1
  shift
  echo "container $name: $*" >&2
  mkdir -p "$out/containers/$name"
  id=$(docker run --detach --name "$name" "$@" $image probe stay)
  for _ in $(seq 100); do
    docker logs "$name" 2>&1 | grep -q '^=== end' && break
    sleep 0.1
  done
  docker logs "$name" 2>&1 | tr -d '\r' | cut_sections "$out/containers/$name"
  printf '%s\n' "docker run --detach --name $name $* $image probe stay" >"$out/containers/$name/command.txt"
  node -p 'JSON.stringify(JSON.parse(fs.readFileSync(process.argv[1])), null, 2)' \
    "$(find $work/exec -path "*/$id/config.dockerd.json")" >"$out/containers/$name/config.json"
  docker inspect "$name" >"$out/containers/$name/inspect.json"
  docker rm --force "$name" >/dev/null
  # These two as pid 1 themselves: a shell ignores signals and opens descriptors of its own.
  docker run --rm "$@" $image cat /proc/self/status </dev/null | tr -d '\r' >"$out/containers/$name/status.txt"
  docker run --rm "$@" $image ls -la /proc/self/fd </dev/null 2>&1 | tr -d '\r' >"$out/containers/$name/descriptors.txt"
}

record_containers() {
  rm -rf "$out/containers"
  record_container default
  record_container privileged --privileged
  record_container user-1000 --user 1000:1000
  record_container user-named --user worker
  record_container user-unknown --user 4321
  record_container read-only --read-only
  record_container cap-drop-all --cap-drop ALL
  record_container cap-add-sys-admin --cap-add SYS_ADMIN
  record_container cap-add-all --cap-add ALL
  record_container network-none --network none
  record_container network-host --network host
  record_container tty --tty
  record_container init --init
  record_container no-new-privileges --security-opt no-new-privileges
  record_container seccomp-unconfined --security-opt seccomp=unconfined
  record_container pid-host --pid host
  record_container ipc-private --ipc private
  record_container limits --memory 64m --memory-swap 96m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 \
    --cpuset-cpus 0 --pids-limit 50 --ulimit nofile=512:1024 --ulimit nproc=100 --oom-score-adj 300 --shm-size 8m
  record_container mounts --volume named:/data --volume /anonymous --tmpfs /scratch:size=1m,mode=1777 \
    --mount type=bind,source=$work/resolv.conf,target=/bound,readonly
  record_container settings --hostname box.example.test --domainname example.test --env ONE=1 --env TWO --workdir /data \
    --label color=blue --dns 192.0.2.1 --dns-search corp.test --add-host db:192.0.2.7 --device /dev/null:/dev/zilch:rw \
    --sysctl net.core.somaxconn=77 --group-add audio --group-add 55 --stop-signal USR1 --stop-timeout 3 \
    --publish 127.0.0.1:8080:80 --expose 9/udp
}

# docker inspect of everything in every state that one can be in.
record_inspect() {
  rm -rf "$out/inspect"
  mkdir -p "$out/inspect"
  docker create --name created --volume data:/data $image true >/dev/null
  docker run --name exited $image sh -c 'echo out; echo err >&2; exit 3' >/dev/null 2>&1 || true
  docker run --name killed --detach $image sleep 1000 >/dev/null && docker kill killed >/dev/null
  docker run --name oom --memory 6m $image sh -c 'x=1234567890; while :; do x=$x$x; done' >/dev/null 2>&1 || true
  docker run --name no-such-command $image nope >/dev/null 2>&1 || true
  docker run --name paused --detach $image sleep 1000 >/dev/null && docker pause paused >/dev/null
  docker run --name running --detach --restart on-failure:3 --health-cmd 'true' --health-interval 1s $image sleep 1000 >/dev/null
  sleep 2
  docker volume create --label color=blue named-volume >/dev/null
  for name in created exited killed oom no-such-command paused running; do
    docker inspect $name >"$out/inspect/container-$name.json"
  done
  docker inspect --size exited >"$out/inspect/container-exited-size.json"
  docker image inspect $image >"$out/inspect/image.json"
  docker volume inspect named-volume >"$out/inspect/volume.json"
  docker volume inspect data >"$out/inspect/volume-plain.json"
  docker network inspect bridge >"$out/inspect/network-bridge.json"
  docker network inspect none >"$out/inspect/network-none.json"
  docker network inspect host >"$out/inspect/network-host.json"
  docker version --format json >"$out/versions.json"
}

# What `docker events` tells of an everyday life; networks of their own say nothing here.
record_events() {
  echo events >&2
  since=$(date +%s.%N)
  docker run --rm --name passing --label color=blue --network none $image sh -c 'exit 3' || true
  docker create --name staying --network none --volume kept:/data $image sleep 1000 >/dev/null
  docker start --attach staying >/dev/null &
  until [ "$(docker inspect --format '{{.State.Running}}' staying)" = true ]; do sleep 0.1; done
  docker stop --timeout 1 staying >/dev/null
  docker rename staying renamed
  docker rm renamed >/dev/null
  docker volume rm kept >/dev/null
  docker run --name out-of-memory --network none --memory 6m $image sh -c 'x=1234567890; while :; do x=$x$x; done' || true
  docker rm --volumes out-of-memory >/dev/null
  docker create --name unused --network none --volume /anonymous $image true >/dev/null
  docker rm --volumes unused >/dev/null
  tar -C $work/tree -cf - etc | docker import --change 'LABEL purpose=events' - imported:1 >/dev/null
  docker tag imported:1 imported:2
  docker rmi imported:1 imported:2 >/dev/null
  docker container prune --force >/dev/null
  docker volume prune --force >/dev/null
  docker image prune --force >/dev/null
  docker events --since "$since" --until "$(date +%s.%N)" --format json >"$out/events.jsonl"
}

# Commands in a container, and what else is done to one that runs. script(1) gives a client a terminal of 24 rows.
record_exec_events() {
  echo 'events of exec' >&2
  since=$(date +%s.%N)
  docker run --detach --name box --label color=blue --network none $image sh -c 'while :; do sleep 1; done' >/dev/null
  docker exec box sh -c 'exit 3' || true
  docker exec --detach box true
  until docker events --since "$since" --until "$(date +%s.%N)" --format json --filter event=exec_die | grep -q '"exitCode":"0"'; do sleep 0.1; done
  docker exec box nope || true
  docker exec --workdir relative box true || true
  docker exec --user nobody-here box true || true
  docker exec box sh -c 'kill -9 $$' || true
  docker exec box with\ spaces 'a "b"' || true
  docker top box >/dev/null
  docker top box -zz || true
  docker update --cpu-shares 300 box >/dev/null
  docker update --memory 1m box || true
  docker cp box:/etc/passwd $work/passwd
  docker cp $work/passwd box:/tmp/passwd
  docker cp box:/nope $work/passwd || true
  docker pause box >/dev/null
  docker exec box true || true
  docker unpause box >/dev/null
  docker rename box renamed
  docker exec renamed true
  docker kill --signal HUP renamed >/dev/null
  docker rm --force renamed >/dev/null
  docker exec renamed true || true
  docker run --detach --name eats --network none --memory 8m $image \
    sh -c '(x=1234567890; while :; do x=$x$x; done); exit 4' >/dev/null
  docker wait eats >/dev/null
  docker rm eats >/dev/null
  docker run --detach --tty --interactive --name tty --network none $image sh >/dev/null
  (sleep 1; printf '\020\021'; sleep 1) | script -qec 'stty rows 24 cols 80; docker attach tty' /dev/null >/dev/null || true
  (sleep 1; printf '\020\021'; sleep 1) | script -qec 'stty rows 24 cols 80; docker exec -it tty sleep 100' /dev/null >/dev/null || true
  docker rm --force tty >/dev/null
  (sleep 1; printf '\020\021'; sleep 1) | script -qec "stty rows 24 cols 80; docker run -it --name tty --network none $image" /dev/null >/dev/null || true
  docker rm --force tty >/dev/null
  docker events --since "$since" --until "$(date +%s.%N)" --format json >"$out/events-exec.jsonl"
}

# `docker update` of containers that run and of one that does not, and what is refused.
record_update() {
  echo update >&2
  record_commands >"$out/update.jsonl" <<'CASES'
["run", "--detach", "--name", "web", "--network", "none", "record/busybox:1.35", "sleep", "1000"]
["run", "--detach", "--name", "mem", "--network", "none", "--memory", "64m", "record/busybox:1.35", "sleep", "1000"]
["create", "--name", "made", "--network", "none", "record/busybox:1.35", "sleep", "1000"]
["run", "--detach", "--rm", "--name", "gone", "--network", "none", "record/busybox:1.35", "sleep", "1000"]
["update"]
["update", "web"]
["update", "--memory"]
["update", "--nope", "web"]
["update", "--memory", "nope", "web"]
["update", "--memory", "", "web"]
["update", "--memory", "0", "web"]
["update", "--memory", "1m", "web"]
["update", "--memory", "1m", "web", "made"]
["update", "--memory", "64m", "web"]
["update", "--memory", "64m", "--memory-swap", "128m", "web"]
["update", "--memory", "128m", "web"]
["update", "--memory", "256m", "--memory-swap", "32m", "web"]
["update", "--memory-swap", "10m", "web"]
["update", "--memory-swap", "-1", "web"]
["update", "--memory", "300m", "web"]
["update", "--memory", "32m", "web"]
["update", "--memory-reservation", "100m", "web"]
["update", "--memory-reservation", "16m", "web"]
["update", "--memory-reservation", "1m", "web"]
["update", "--memory", "128m", "mem"]
["update", "--memory", "256m", "mem"]
["update", "--memory", "256m", "--memory-swap", "256m", "mem"]
["update", "--memory", "6m", "--memory-swap", "512m", "mem"]
["update", "--memory-swap", "64m", "made"]
["update", "--memory", "64m", "made"]
["update", "--memory", "256m", "made"]
["update", "--cpus", "1", "web"]
["update", "--cpus", "nope", "web"]
["update", "--cpus", "-1", "web"]
["update", "--cpus", "1000", "web"]
["update", "--cpu-quota", "50000", "web"]
["update", "--cpu-period", "100000", "web"]
["update", "--cpus", "0.5", "mem"]
["update", "--cpu-quota", "50000", "--cpu-period", "100000", "mem"]
["update", "--cpu-quota", "50000", "--cpus", "1", "mem"]
["update", "--cpu-quota", "10", "made"]
["update", "--cpu-period", "10", "made"]
["update", "--cpu-shares", "1", "web"]
["update", "--cpu-shares", "512", "web"]
["update", "--cpu-shares", "-1", "web"]
["update", "--cpu-shares", "nope", "web"]
["update", "--cpu-shares", "262145", "web"]
["update", "--cpuset-cpus", "99", "web"]
["update", "--cpuset-cpus", "0", "web"]
["update", "--cpuset-cpus", "nope", "web"]
["update", "--cpuset-mems", "0", "web"]
["update", "--cpuset-mems", "9", "web"]
["update", "--pids-limit", "20", "web"]
["update", "--pids-limit", "-1", "web"]
["update", "--pids-limit", "0", "web"]
["update", "--pids-limit", "nope", "web"]
["update", "--blkio-weight", "5", "web"]
["update", "--blkio-weight", "nope", "web"]
["update", "--restart", "nope", "web"]
["update", "--restart", "always", "web"]
["update", "--restart", "always:3", "web"]
["update", "--restart", "on-failure:3", "web"]
["update", "--restart", "on-failure:-1", "web"]
["update", "--restart", "on-failure:x", "web"]
["update", "--restart", ":3", "web"]
["update", "--restart", "no", "web"]
["update", "--restart", "always", "gone"]
["update", "--restart", "no", "gone"]
["update", "--memory", "64m", "nope"]
["update", "--cpu-shares", "300", "web", "nope", "made"]
["inspect", "--format", "{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.MemoryReservation}} {{.NanoCpus}} {{.CpuShares}} {{.CpusetCpus}} {{.CpusetMems}} {{.RestartPolicy.Name}}{{end}}", "web", "mem", "made", "gone"]
["stop", "--timeout", "0", "mem"]
["update", "--memory", "512m", "--memory-swap", "-1", "mem"]
["update", "--cpus", "1000", "mem"]
["update", "--cpuset-cpus", "99", "mem"]
["update", "--pids-limit", "5", "mem"]
["update", "--restart", "always", "mem"]
["pause", "web"]
["update", "--cpu-shares", "700", "web"]
["unpause", "web"]
["container", "update", "--pids-limit", "9", "web"]
["inspect", "--format", "{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.MemoryReservation}} {{.NanoCpus}} {{.CpuShares}} {{.PidsLimit}} {{.RestartPolicy.Name}}{{end}}", "web", "mem", "made"]
CASES
  docker rm --force web mem made gone >/dev/null
}

# Runs each command line that it reads from standard input (a JSON array of arguments per line) and writes
# {args, exitCode, stdout, stderr} per line. Uses the containers that record_inspect leaves.
record_commands() {
  node --input-type=module -e '
    import {spawnSync} from "node:child_process";
    import {readFileSync} from "node:fs";
    for (const line of readFileSync(0, "utf8").split("\n").filter(line => line.startsWith("["))) {
      const args = JSON.parse(line);
      const {status, stdout, stderr} = spawnSync("docker", args, {input: "", encoding: "utf8"});
      console.log(JSON.stringify({args, exitCode: status, stdout, stderr}));
    }'
}

record_command_line() {
  echo 'command line' >&2
  record_commands >"$out/cli-errors.jsonl" <<'CASES'
["run", "nope"]
["run", "nope:3.1"]
["run", "--pull", "never", "nope"]
["run"]
["run", "--rm"]
["run", "--nope", "record/busybox:1.35"]
["run", "-q", "--memory"]
["run", "record/busybox:1.35", "nope"]
["run", "record/busybox:1.35", "/bin/nope"]
["run", "record/busybox:1.35", "./nope"]
["run", "record/busybox:1.35", "/etc/not-a-program"]
["run", "record/busybox:1.35", "/etc"]
["run", "record/busybox:1.35", ""]
["run", "record/busybox:1.35", "sh", "-c", "exit 7"]
["run", "record/busybox:1.35", "sh", "-c", "kill -9 $$"]
["run", "--init", "record/busybox:1.35", "sh", "-c", "kill -9 $$"]
["run", "--init", "record/busybox:1.35", "sh", "-c", "kill -TERM $$"]
["run", "--init", "record/busybox:1.35", "sh", "-c", "kill -SEGV $$"]
["run", "--detach", "record/busybox:1.35", "nope"]
["run", "--entrypoint", "nope", "record/busybox:1.35"]
["run", "--name", "running", "record/busybox:1.35"]
["run", "--name", "bad name", "record/busybox:1.35"]
["run", "--name", "a", "record/busybox:1.35"]
["run", "--name", "-dash", "record/busybox:1.35"]
["run", "--name", "", "record/busybox:1.35", "true"]
["run", "Upper/Case"]
["run", "busybox:bad:tag"]
["run", "busybox:"]
["run", ""]
["run", ":tag"]
["run", "busybox@sha256:beef"]
["run", "--memory", "nope", "record/busybox:1.35"]
["run", "--memory", "-1", "record/busybox:1.35"]
["run", "--memory", "1m", "record/busybox:1.35"]
["run", "--memory", "6m", "--memory-swap", "5m", "record/busybox:1.35"]
["run", "--memory-swap", "64m", "record/busybox:1.35"]
["run", "--memory", "8m", "--memory-reservation", "16m", "record/busybox:1.35"]
["run", "--memory", "64m", "--memory-swappiness", "101", "record/busybox:1.35"]
["run", "--memory", "64m", "--kernel-memory", "1m", "record/busybox:1.35"]
["run", "--cpus", "nope", "record/busybox:1.35"]
["run", "--cpus", "-1", "record/busybox:1.35"]
["run", "--cpus", "1000", "record/busybox:1.35"]
["run", "--cpus", "0.001", "record/busybox:1.35"]
["run", "--cpus", "1", "--cpu-quota", "50000", "record/busybox:1.35"]
["run", "--cpu-shares", "-1", "record/busybox:1.35"]
["run", "--cpu-shares", "1", "record/busybox:1.35", "true"]
["run", "--cpu-period", "10", "record/busybox:1.35"]
["run", "--cpu-quota", "10", "record/busybox:1.35"]
["run", "--cpuset-cpus", "99", "record/busybox:1.35"]
["run", "--cpuset-cpus", "nope", "record/busybox:1.35"]
["run", "--cpuset-mems", "99", "record/busybox:1.35"]
["run", "--pids-limit", "nope", "record/busybox:1.35"]
["run", "--blkio-weight", "5", "record/busybox:1.35"]
["run", "--blkio-weight-device", "nope", "record/busybox:1.35"]
["run", "--device-read-bps", "/dev/nope:1mb", "record/busybox:1.35"]
["run", "--shm-size", "nope", "record/busybox:1.35"]
["run", "--shm-size", "-1", "record/busybox:1.35"]
["run", "--oom-score-adj", "2000", "record/busybox:1.35"]
["run", "--oom-score-adj", "nope", "record/busybox:1.35"]
["run", "--ulimit", "nofile", "record/busybox:1.35"]
["run", "--ulimit", "nope=1", "record/busybox:1.35"]
["run", "--ulimit", "nofile=20:10", "record/busybox:1.35"]
["run", "--ulimit", "nofile=nope", "record/busybox:1.35"]
["run", "--user", "nope", "record/busybox:1.35"]
["run", "--user", "1000:nope", "record/busybox:1.35"]
["run", "--user", "4294967296", "record/busybox:1.35"]
["run", "--user", "-1", "record/busybox:1.35"]
["run", "--user", "2147483648", "record/busybox:1.35"]
["run", "--group-add", "nope", "record/busybox:1.35"]
["run", "--workdir", "relative", "record/busybox:1.35"]
["run", "--workdir", "/etc/passwd", "record/busybox:1.35"]
["run", "--workdir", "/made/on/demand", "record/busybox:1.35", "pwd"]
["run", "--hostname", "bad_host!", "record/busybox:1.35"]
["run", "--hostname", "a-name-that-is-much-too-long-for-a-host-name-because-linux-takes-sixty-four", "record/busybox:1.35"]
["run", "--env", "=x", "record/busybox:1.35"]
["run", "--env", "", "record/busybox:1.35"]
["run", "--env-file", "/nope", "record/busybox:1.35"]
["run", "--label", "", "record/busybox:1.35"]
["run", "--label", "=x", "record/busybox:1.35"]
["run", "--label-file", "/nope", "record/busybox:1.35"]
["run", "--volume", "relative/path:/x", "record/busybox:1.35"]
["run", "--volume", "bad/name:/x", "record/busybox:1.35"]
["run", "--volume", "v:relative", "record/busybox:1.35"]
["run", "--volume", "v:/", "record/busybox:1.35"]
["run", "--volume", "v:/x:nope", "record/busybox:1.35"]
["run", "--volume", "v:/x:ro:rw", "record/busybox:1.35"]
["run", "--volume", "a:/x", "record/busybox:1.35"]
["run", "--volume", ":/x", "record/busybox:1.35"]
["run", "--volume", "v1:/x", "--volume", "v2:/x", "record/busybox:1.35"]
["run", "--volume", "", "record/busybox:1.35"]
["run", "--volume", "/etc/passwd:/etc", "record/busybox:1.35"]
["run", "--mount", "type=bind,source=/nope,target=/x", "record/busybox:1.35"]
["run", "--mount", "type=bind,source=relative,target=/x", "record/busybox:1.35"]
["run", "--mount", "type=bind,target=/x", "record/busybox:1.35"]
["run", "--mount", "type=bind,source=/etc", "record/busybox:1.35"]
["run", "--mount", "type=nope,target=/x", "record/busybox:1.35"]
["run", "--mount", "type=volume,source=v,target=/x,bind-propagation=rslave", "record/busybox:1.35"]
["run", "--mount", "type=volume,source=v,target=/x,nope=1", "record/busybox:1.35"]
["run", "--mount", "nope", "record/busybox:1.35"]
["run", "--mount", "", "record/busybox:1.35"]
["run", "--mount", "type=tmpfs,source=v,target=/x", "record/busybox:1.35"]
["run", "--mount", "type=tmpfs,target=/x,tmpfs-size=nope", "record/busybox:1.35"]
["run", "--mount", "type=tmpfs,target=/x,tmpfs-mode=999", "record/busybox:1.35"]
["run", "--mount", "type=volume,source=v,target=/x,readonly=nope", "record/busybox:1.35"]
["run", "--tmpfs", "relative", "record/busybox:1.35"]
["run", "--tmpfs", "/x:nope", "record/busybox:1.35"]
["run", "--device", "/dev/nope", "record/busybox:1.35"]
["run", "--device", "/dev/null:/x:q", "record/busybox:1.35"]
["run", "--device", "", "record/busybox:1.35"]
["run", "--device-cgroup-rule", "nope", "record/busybox:1.35"]
["run", "--cap-add", "FOO", "record/busybox:1.35"]
["run", "--cap-add", "CAP_FOO", "record/busybox:1.35"]
["run", "--cap-add", "cap_foo", "record/busybox:1.35"]
["run", "--cap-add", "", "record/busybox:1.35"]
["run", "--cap-add", " SYS_ADMIN", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--cap-add", "net_admin", "--cap-drop", "cap_chown", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--cap-add", "CAP_ALL", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--cap-add", "all", "--cap-drop", "net_raw", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--cap-drop", "all", "--cap-add", "chown", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--cap-drop", "all", "--cap-add", "all", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--cap-add", "chown", "--cap-drop", "chown", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--cap-drop", "all", "--cap-add", "chown", "--user", "1000", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--privileged", "--cap-drop", "chown", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--privileged", "--cap-drop", "foo", "record/busybox:1.35", "true"]
["run", "--cap-drop", "FOO", "record/busybox:1.35"]
["run", "--cap-drop", "CAP_FOO", "--cap-add", "CAP_BAR", "record/busybox:1.35"]
["run", "--cap-add", "BPF", "--cap-add", "PERFMON", "--cap-add", "CHECKPOINT_RESTORE", "record/busybox:1.35", "grep", "Cap", "/proc/self/status"]
["run", "--security-opt", "nope", "record/busybox:1.35"]
["run", "--security-opt", "nope=1", "record/busybox:1.35"]
["run", "--security-opt", "seccomp=/nope", "record/busybox:1.35"]
["run", "--security-opt", "seccomp=/etc/passwd", "record/busybox:1.35"]
["run", "--security-opt", "seccomp=", "record/busybox:1.35"]
["run", "--security-opt", "no-new-privileges=nope", "record/busybox:1.35"]
["run", "--security-opt", "apparmor=nope", "record/busybox:1.35"]
["run", "--sysctl", "nope", "record/busybox:1.35"]
["run", "--sysctl", "kernel.nope=1", "record/busybox:1.35"]
["run", "--sysctl", "kernel.shmmax=nope", "record/busybox:1.35"]
["run", "--sysctl", "net.nope=1", "record/busybox:1.35"]
["run", "--network", "nope", "record/busybox:1.35"]
["run", "--network", "container:nope", "record/busybox:1.35"]
["run", "--network", "host", "--hostname", "x", "record/busybox:1.35", "hostname"]
["run", "--network", "none", "--publish", "80:80", "record/busybox:1.35", "true"]
["run", "--network", "host", "--network-alias", "x", "record/busybox:1.35"]
["run", "--pid", "nope", "record/busybox:1.35"]
["run", "--pid", "container:nope", "record/busybox:1.35"]
["run", "--ipc", "nope", "record/busybox:1.35"]
["run", "--ipc", "container:nope", "record/busybox:1.35"]
["run", "--uts", "nope", "record/busybox:1.35"]
["run", "--userns", "nope", "record/busybox:1.35"]
["run", "--cgroupns", "nope", "record/busybox:1.35"]
["run", "--cgroup-parent", "relative/../x", "record/busybox:1.35", "true"]
["run", "--restart", "nope", "record/busybox:1.35"]
["run", "--restart", "always", "--rm", "record/busybox:1.35"]
["run", "--restart", "on-failure:nope", "record/busybox:1.35"]
["run", "--restart", "always:3", "record/busybox:1.35"]
["run", "--restart", "on-failure:-1", "record/busybox:1.35"]
["run", "--stop-signal", "nope", "record/busybox:1.35"]
["run", "--stop-timeout", "nope", "record/busybox:1.35"]
["run", "--publish", "nope", "record/busybox:1.35"]
["run", "--publish", "80:99999", "record/busybox:1.35"]
["run", "--publish", "80-81:80", "record/busybox:1.35"]
["run", "--expose", "nope", "record/busybox:1.35"]
["run", "--dns", "nope", "record/busybox:1.35"]
["run", "--add-host", "nope", "record/busybox:1.35"]
["run", "--add-host", "x:nope", "record/busybox:1.35"]
["run", "--link", "nope", "record/busybox:1.35"]
["run", "--ip", "1.2.3.4", "record/busybox:1.35"]
["run", "--mac-address", "nope", "record/busybox:1.35"]
["run", "--log-driver", "nope", "record/busybox:1.35"]
["run", "--log-opt", "nope=1", "record/busybox:1.35"]
["run", "--log-opt", "max-size=nope", "record/busybox:1.35"]
["run", "--health-interval", "1us", "record/busybox:1.35"]
["run", "--health-interval", "nope", "record/busybox:1.35"]
["run", "--no-healthcheck", "--health-cmd", "x", "record/busybox:1.35"]
["run", "--runtime", "nope", "record/busybox:1.35"]
["run", "--platform", "nope", "record/busybox:1.35"]
["run", "--isolation", "nope", "record/busybox:1.35"]
["run", "--storage-opt", "size=1G", "record/busybox:1.35"]
["run", "--gpus", "all", "record/busybox:1.35"]
["run", "--volumes-from", "nope", "record/busybox:1.35"]
["run", "--volumes-from", "created:nope", "record/busybox:1.35"]
["run", "--volume-driver", "nope", "--volume", "w:/x", "record/busybox:1.35"]
["run", "--cidfile", "/etc/passwd", "record/busybox:1.35"]
["run", "--attach", "nope", "record/busybox:1.35"]
["run", "--detach", "--attach", "stdout", "record/busybox:1.35"]
["run", "--detach", "--rm", "--restart", "always", "record/busybox:1.35"]
["run", "--tty", "--interactive", "record/busybox:1.35", "true"]
["run", "--detach-keys", "nope-nope", "record/busybox:1.35"]
["run", "--pull", "nope", "record/busybox:1.35"]
["run", "--init", "record/busybox:1.35", "nope"]
["create"]
["create", "nope"]
["create", "--name", "running", "record/busybox:1.35"]
["start", "nope"]
["start"]
["start", "no-such-command"]
["start", "running"]
["start", "paused"]
["start", "exited", "nope"]
["start", "--attach", "exited"]
["start", "--attach", "exited", "created"]
["stop", "nope"]
["stop"]
["stop", "exited"]
["stop", "--time", "nope", "running"]
["stop", "exited", "nope"]
["kill", "nope"]
["kill"]
["kill", "exited"]
["kill", "created"]
["kill", "--signal", "nope", "running"]
["kill", "--signal", "99", "running"]
["restart", "nope"]
["pause", "nope"]
["pause", "exited"]
["pause", "paused"]
["unpause", "nope"]
["unpause", "running"]
["wait", "nope"]
["wait", "exited"]
["wait", "exited", "nope"]
["wait"]
["rm", "running"]
["rm", "paused"]
["rm", "nope"]
["rm"]
["rm", "--force", "nope"]
["rm", "nope", "nope2"]
["rename", "exited", "running"]
["rename", "nope", "other"]
["rename", "exited"]
["inspect", "nope"]
["inspect"]
["inspect", "nope", "exited", "--format", "{{.Name}}"]
["inspect", "--type", "nope", "exited"]
["inspect", "--type", "container", "nope"]
["inspect", "--type", "image", "nope"]
["inspect", "--type", "volume", "nope"]
["inspect", "--type", "network", "nope"]
["inspect", "--format", "{{.Nope}}", "exited"]
["inspect", "--format", "{{", "exited"]
["container", "inspect", "nope"]
["image", "inspect", "nope"]
["volume", "inspect", "nope"]
["network", "inspect", "nope"]
["exec", "nope", "true"]
["exec", "exited", "true"]
["exec", "paused", "true"]
["exec", "running", "nope"]
["exec", "running", "/etc/not-a-program"]
["exec", "running", "sh", "-c", "exit 7"]
["exec", "running"]
["exec", "--workdir", "relative", "running", "true"]
["exec", "--workdir", "/nope", "running", "true"]
["exec", "--user", "nope", "running", "true"]
["exec", "--env", "=x", "running", "true"]
["exec", "--tty", "--interactive", "running", "true"]
["logs", "nope"]
["logs", "exited"]
["logs", "created"]
["logs"]
["logs", "--tail", "nope", "exited"]
["logs", "--since", "nope", "exited"]
["attach", "nope"]
["attach", "exited"]
["attach", "paused"]
["top", "nope"]
["top", "exited"]
["cp", "nope:/x", "/tmp/coracle-record/x"]
["cp", "exited:/nope", "/tmp/coracle-record/x"]
["cp", "/nope", "exited:/x"]
["cp", "/nope", "/nope2"]
["diff", "nope"]
["port", "nope"]
["port", "running", "80"]
["stats", "--no-stream", "nope"]
["update", "--memory", "1m", "running"]
["update", "--memory", "nope", "running"]
["update", "nope", "--memory", "64m"]
["update"]
["update", "--restart", "nope", "running"]
["commit", "nope"]
["commit", "exited", "Bad Name"]
["export", "nope"]
["images", "nope"]
["images", "--filter", "nope=1"]
["rmi", "nope"]
["rmi", "record/busybox:1.35"]
["rmi"]
["tag", "nope", "x"]
["tag", "record/busybox:1.35", "Bad Name"]
["image", "tag", "record/busybox:1.35", "record/busybox:"]
["save", "nope", "-o", "/tmp/coracle-record/x"]
["load", "-i", "/nope"]
["load"]
["import", "/nope"]
["history", "nope"]
["pull", "nope"]
["pull", "Bad Name"]
["push", "nope"]
["volume", "create", "bad/name"]
["volume", "create", "a"]
["volume", "create", "named-volume"]
["volume", "create", "--driver", "nope", "x1"]
["volume", "create", "--opt", "nope=1", "x2"]
["volume", "create", "--name", "one", "two"]
["volume", "rm", "nope"]
["volume", "rm", "data"]
["volume", "rm"]
["volume", "rm", "--force", "nope"]
["volume", "ls", "--filter", "nope=1"]
["network", "create", "bridge"]
["network", "create", "bad name"]
["network", "create", "--subnet", "nope", "n"]
["network", "create", "--driver", "nope", "n"]
["network", "rm", "nope"]
["network", "rm", "bridge"]
["network", "connect", "nope", "running"]
["network", "connect", "bridge", "nope"]
["network", "connect", "bridge", "running"]
["network", "connect", "none", "running"]
["network", "disconnect", "bridge", "nope"]
["ps", "--filter", "nope=1"]
["ps", "--filter", "status=nope"]
["ps", "--filter", "name"]
["ps", "--format", "{{.Nope}}"]
["ps", "--format", "{{"]
["ps", "nope"]
["ps", "--last", "nope"]
["nope"]
["container", "nope"]
["--nope"]
["events", "--until", "nope"]
["version", "--format", "{{.Nope}}"]
["info", "--format", "{{.Nope}}"]
["rename", "created", "created"]
["rename", "created", "bad name"]
CASES
  # The failed runs above left containers; only the named ones are wanted in the lists below.
  docker ps --all --format '{{.Names}}' |
    grep -vxE 'created|exited|killed|oom|no-such-command|paused|running' | xargs -r docker rm --force --volumes >/dev/null
  record_commands >"$out/cli-output.jsonl" <<'CASES'
["ps"]
["ps", "--all"]
["ps", "--all", "--no-trunc"]
["ps", "--all", "--quiet"]
["ps", "--all", "--size"]
["ps", "--all", "--format", "json"]
["ps", "--all", "--format", "table {{.Names}}\t{{.Status}}\t{{.Ports}}"]
["ps", "--all", "--format", "{{.Names}}\t{{.State}}\t{{.Status}}\t{{.Command}}"]
["ps", "--filter", "name=^nothing$"]
["ps", "--last", "1"]
["images"]
["images", "--no-trunc"]
["images", "--quiet"]
["images", "--digests"]
["images", "--format", "json"]
["volume", "ls"]
["volume", "ls", "--quiet"]
["volume", "ls", "--format", "json"]
["network", "ls"]
["history", "record/busybox:1.35"]
["logs", "exited"]
["logs", "--timestamps", "exited"]
["port", "running"]
["top", "running"]
["diff", "exited"]
["version"]
["inspect", "--format", "{{.State.ExitCode}}", "exited", "created"]
["pause", "running"]
["unpause", "running"]
["rename", "exited", "renamed"]
["rename", "renamed", "exited"]
["wait", "exited", "created"]
["start", "created"]
["stop", "created"]
["kill", "--signal", "CONT", "running"]
["restart", "--time", "0", "running"]
["rm", "created"]
["rm", "--force", "running", "exited"]
["volume", "rm", "named-volume"]
["volume", "create", "fresh"]
["volume", "create", "--label", "a=b"]
["volume", "prune", "--force"]
["tag", "record/busybox:1.35", "record/other:latest"]
["rmi", "record/other:latest"]
["container", "prune", "--force"]
CASES
  record_commands >"$out/cli-help.jsonl" <<'CASES'
["--help"]
["run", "--help"]
["create", "--help"]
["start", "--help"]
["stop", "--help"]
["kill", "--help"]
["wait", "--help"]
["ps", "--help"]
["rm", "--help"]
["inspect", "--help"]
["exec", "--help"]
["update", "--help"]
["logs", "--help"]
["attach", "--help"]
["image", "--help"]
["images", "--help"]
["import", "--help"]
["load", "--help"]
["rmi", "--help"]
["volume", "--help"]
["volume", "create", "--help"]
["volume", "ls", "--help"]
["volume", "rm", "--help"]
["volume", "inspect", "--help"]
["info", "--help"]
["version", "--help"]
CASES
}

write_readme() {
  cat >"$out/README.md" <<README
# What a real dockerd gives and says

Written by \`scripts/record-docker.sh\`; do not edit. Client $(docker version --format '{{.Client.Version}}'), engine
$(docker version --format '{{.Server.Version}}'), Linux $(uname -r | cut -d- -f1), cgroup $(docker info --format 'v{{.CgroupVersion}} ({{.CgroupDriver}})').
The engine had no network beyond its own bridge, the name server 192.0.2.53 (which does not exist) and the host name
\`recorder\`. Ids, times and addresses are as they were: compare them by pattern.

- \`containers/KIND/\`: one container per kind; \`command.txt\` is how it was started. \`config.json\` is the OCI config as
  dockerd wrote it, \`inspect.json\` is \`docker inspect\` while it ran, the text files are what its pid 1 saw
  (\`status.txt\` and \`descriptors.txt\` come from a second container with the same flags). The host's bounding set was
  $(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status): with \`--privileged\` and \`--cap-add ALL\` dockerd 20.10 asks for the 38
  capabilities that it knows (up to CAP_AUDIT_READ); what the host lacks was left out on the way to runc, as later
  engines do themselves (they also know PERFMON, BPF and CHECKPOINT_RESTORE).
- \`inspect/\`: \`docker inspect\` of a container in each state, an image, volumes and networks.
- \`events.jsonl\`: what \`docker events --format json\` told of the commands in \`record_events\`.
- \`events-exec.jsonl\`: the same of \`record_exec_events\`. \`update.jsonl\`: the command lines of \`record_update\`, in order.
- \`cli-errors.jsonl\`, \`cli-output.jsonl\`, \`cli-help.jsonl\`: one command line per line: args, exitCode, stdout, stderr.
  Run in order, on the containers created, exited (code 3), killed, oom, no-such-command, paused and running.
README
}

mkdir -p "$out"
start
write_readme
build_image
record_events
record_exec_events
record_update
record_containers
record_inspect
record_command_line
