#!/usr/bin/env bash
# pod-network.sh NODE...: a bridge for pods on each of these nodes, and on each a route to the pods of the others. For
# clusters of our own node image; kind's own brings kindnet. Safe to repeat.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

nodes=("$@")

# A line for each node: its name, its address, its pods' addresses.
addresses() {
  kubectl get nodes "${nodes[@]}" -o jsonpath='{range .items[*]}{.metadata.name} {.status.addresses[0].address} {.spec.podCIDR}{"\n"}{end}'
}

all_have_addresses() { [ "$(addresses | awk 'NF == 3' | wc -l)" = ${#nodes[@]} ]; }

# What a node runs for it.
script() { # NODE
  local other address range
  while read -r other address range; do
    [ "$other" = "$1" ] || echo "ip route replace $range via $address"
  done <<<"$lines"
  cat <<END
cat >/etc/cni/net.d/10-bridge.conflist <<'CONFLIST'
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(awk -v name="$1" '$1 == name {print $3}' <<<"$lines")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONFLIST
END
}

# The controller manager hands the ranges out a moment after a node joins.
until_within 120 "a range of pod addresses for every node" all_have_addresses
lines="$(addresses)"
for node in "${nodes[@]}"; do
  # Kept in the node: routes do not outlive a restart of a machine.
  # shellcheck disable=SC2016 # $1 is the node's own
  on_node "$node" sh -ec 'printf "%s\n" "$1" >/kind/pod-network; exec sh -e /kind/pod-network' -- "$(script "$node")" ||
    fail "the pod network of $node could not be set up: its answer stands above"
done
