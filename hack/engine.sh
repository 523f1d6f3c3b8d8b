#!/usr/bin/env bash
# Makes sure that a Docker engine answers: the one that runs, or else one that we start.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

pid_file="$DP_CACHE/dockerd.pid"
log="$DP_CACHE/log/dockerd.log"

if docker info >/dev/null 2>&1; then exit; fi
alone engine
[ "$(id -u)" = 0 ] || fail "no Docker engine answers: start Docker (or be in the group docker), then run this again; as root this script starts one itself"

apt_packages dockerd=docker.io containerd=containerd runc=runc iptables=iptables jq=jq
command -v docker >/dev/null || fail "dockerd is there but no docker client: install Docker's command line, then run this again"

# forget_unless FILE NAME: a file with a process's number is of no use when that process is another program by now, as
# after a machine was cut off; dockerd would take it for itself and refuse to start.
forget_unless() {
  local pid
  pid="$(cat "$1" 2>/dev/null)" || return 0
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] || rm -f "$1"
}

start_engine() {
  forget_unless "$pid_file" dockerd
  forget_unless /run/docker/containerd/containerd.pid containerd
  if [ -e "$pid_file" ]; then
    local pid
    pid="$(cat "$pid_file")"
    say "dockerd (process $pid) runs but does not answer: stopping it"
    kill "$pid"
    until_within 60 "dockerd (process $pid) to stop" ended "$pid"
    rm -f "$pid_file"
  fi
  mkdir -p /lib/modules
  install -m 0755 hack/node/runc-bounded "$DP_CACHE/bin/runc-bounded"
  local arguments=(--pidfile "$pid_file")
  # Containers ask for every capability when privileged; a bounding set without some makes runc refuse them all.
  if ! capsh_has_all; then
    arguments+=(--add-runtime "bounded=$DP_CACHE/bin/runc-bounded" --default-runtime bounded)
  fi
  # Detached and without our descriptors: it outlives this script and holds no lock or pipe of the caller.
  setsid dockerd "${arguments[@]}" >"$log" 2>&1 </dev/null &
  until_within 60 "dockerd to answer or to end; its log is $log" answers_or_ended $!
  kill -0 $! 2>/dev/null || {
    tail -n 20 "$log" >&2
    fail "dockerd ended: its last words stand above, all of them are in $log"
  }
}

answers_or_ended() { docker info || ! kill -0 "$1"; }

ended() { ! kill -0 "$1"; }

# Whether the bounding set holds every capability that the kernel knows.
capsh_has_all() {
  local last bounding
  last="$(cat /proc/sys/kernel/cap_last_cap)"
  bounding="$(awk '/^CapBnd/ {print $2}' /proc/self/status)"
  [ $((16#$bounding)) = $(((1 << (last + 1)) - 1)) ]
}

step "Docker engine" start_engine
