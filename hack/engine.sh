#!/usr/bin/env bash
# Makes sure that a Docker engine answers: the one that runs, or else one that we start.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

pid_file="$DP_CACHE/dockerd.pid"
log="$DP_CACHE/log/dockerd.log"

if docker info >/dev/null 2>&1; then
  say "Docker engine: runs"
  exit
fi
[ "$(id -u)" = 0 ] || fail "no Docker engine answers: start Docker (or be in the group docker), then run this again; as root this script starts one itself"

apt_packages dockerd=docker.io containerd=containerd runc=runc iptables=iptables jq=jq
command -v docker >/dev/null || fail "dockerd is there but no docker client: install Docker's command line, then run this again"

start_engine() {
  # A machine that was cut off leaves these behind, and dockerd then refuses to start.
  if [ -e /run/docker.pid ] && ! kill -0 "$(cat /run/docker.pid)" 2>/dev/null; then rm -f /run/docker.pid; fi
  mkdir -p /lib/modules
  install -m 0755 hack/node/runc-bounded "$DP_CACHE/bin/runc-bounded"
  local arguments=(--pidfile "$pid_file")
  # Containers ask for every capability when privileged; a bounding set without some makes runc refuse them all.
  if ! capsh_has_all; then
    arguments+=(--add-runtime "bounded=$DP_CACHE/bin/runc-bounded" --default-runtime bounded)
  fi
  # Detached and without our descriptors: it outlives this script and holds no lock or pipe of the caller.
  setsid dockerd "${arguments[@]}" >"$log" 2>&1 </dev/null &
  local waited=0
  until docker info >/dev/null 2>&1; do
    kill -0 $! 2>/dev/null || { tail -n 20 "$log" >&2; fail "dockerd ended: its last words stand above, all of them are in $log"; }
    waited=$((waited + 1))
    [ "$waited" -lt 300 ] || fail "dockerd did not answer within 60 s: see $log"
    sleep 0.2
  done
}

# Whether the bounding set holds every capability that the kernel knows.
capsh_has_all() {
  local last bounding
  last="$(cat /proc/sys/kernel/cap_last_cap)"
  bounding="$(awk '/^CapBnd/ {print $2}' /proc/self/status)"
  [ $((16#$bounding)) = $(((1 << (last + 1)) - 1)) ]
}

step "Docker engine" start_engine
