# shellcheck shell=bash
# Shared by the scripts in hack/: where things are, how steps are told, how a failure is.

# shellcheck source=hack/versions.env
. hack/versions.env

DP_CACHE="${DP_CACHE:-$HOME/.cache/device-plugins}"
DP_CLUSTER="${DP_CLUSTER:-dp}"
mkdir -p "$DP_CACHE/bin" "$DP_CACHE/log"
export PATH="$DP_CACHE/bin:$PATH:/usr/local/go/bin:/usr/sbin:/sbin"
# One file for each cluster, and never the user's own.
export KUBECONFIG="$DP_CACHE/kubeconfig"
[ "$DP_CLUSTER" = dp ] || KUBECONFIG="$DP_CACHE/kubeconfig-$DP_CLUSTER"

say() { printf '==> %s\n' "$*" >&2; }

fail() {
  printf 'hack: %s\n' "$*" >&2
  exit 1
}

# step NAME COMMAND...: tells what is done, and how long it took.
step() {
  local name=$1 from=$SECONDS code=0 options=$-
  shift
  say "$name …"
  # Not "$@" || code=$?: that would switch -e off inside of it.
  set +e
  (set -e && "$@")
  code=$?
  case $options in *e*) set -e ;; esac
  if [ "$code" = 0 ]; then
    say "$name: $((SECONDS - from)) s"
  else
    say "$name: failed after $((SECONDS - from)) s"
  fi
  return "$code"
}

# quietly NAME COMMAND...: a command whose words matter only when it fails.
quietly() {
  local name=$1 log
  shift
  log="$DP_CACHE/log/${name//[^a-z0-9-]/-}.log"
  "$@" >"$log" 2>&1 </dev/null && return
  tail -n 25 "$log" >&2
  fail "$name failed: the end of its log stands above, all of it is in $log"
}

# key WORDS FILE...: a short hash of what something is made from.
key() {
  local words=$1
  shift
  { printf '%s' "$words" && cat "$@"; } | sha256sum | cut -c 1-12
}

# apt_packages COMMAND=PACKAGE...: installs what is missing, on Debian as root.
apt_packages() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "these programs are missing: ${missing[*]}. Install them (they are named as Debian's packages), then run this again"
  fi
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-update apt-get update
  quietly apt-install apt-get install -y --no-install-recommends "${missing[@]}"
}

# image_exists NAME
image_exists() { docker image inspect "$1" >/dev/null 2>&1; }

# Without the plug-in buildx, newer clients still know the older builder, and say that it is old.
choose_builder() {
  if docker buildx version >/dev/null 2>&1; then export DOCKER_BUILDKIT=1; else export DOCKER_BUILDKIT=0; fi
}

# can_pull NAME: makes sure of an image from a registry, unless DP_IMAGES=build forbids to ask. A registry that cannot
# be reached shows within seconds; the node image may take minutes, hence the small one as a question first.
can_pull() {
  [ "${DP_IMAGES:-pull}" = pull ] || return 1
  image_exists "$1" && return
  timeout 20 docker pull --quiet "$BUSYBOX_IMAGE" >/dev/null 2>&1 && step "$1" docker pull --quiet "$1" >/dev/null && return
  [ "${DP_IMAGES:-}" != pull ] || fail "$1 could not be pulled: is its registry reachable? DP_IMAGES=build makes it here instead"
  return 1
}

# on_node NODE COMMAND...: a command in a node. The virtual machine of hack/vm.sh has a container of its own around it.
on_node() {
  local node=$1
  shift
  if [ "$node" = "$DP_CLUSTER-vm" ]; then set -- machine guest "$@"; fi
  docker exec "$node" "$@"
}

# until_within SECONDS WHAT COMMAND...: waits for WHAT, which is when COMMAND succeeds.
until_within() {
  local limit=$1 what=$2 from=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $((SECONDS - from)) -lt "$limit" ] || fail "waited $limit s in vain for $what: '$*' says why"
    sleep 0.2
  done
}

# alone NAME ARGUMENT...: starts the calling script again, with these arguments, as the only one that holds the lock
# NAME; returns where it is held already. flock keeps the lock to itself, so that an engine started here does not.
alone() {
  local name=$1
  shift
  case ":${DP_LOCKS:-}:" in *":$name:"*) return ;; esac
  command -v flock >/dev/null || return 0
  DP_LOCKS="${DP_LOCKS:-}:$name" exec flock --close "$DP_CACHE/$name.lock" "hack/${0##*/}" "$@"
}
