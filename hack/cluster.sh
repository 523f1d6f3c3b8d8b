#!/usr/bin/env bash
# cluster.sh up|down|status: a kind cluster of three nodes, with real kubelets. `up` leaves a healthy one alone and
# replaces a broken one.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

nodes=("$DP_CLUSTER-control-plane" "$DP_CLUSTER-worker" "$DP_CLUSTER-worker2")

# The three nodes run and say of themselves that they are ready.
healthy() {
  [ "$(docker inspect --format '{{.State.Running}}' "${nodes[@]}" 2>/dev/null | sort -u)" = true ] || return
  local ready
  ready="$(kubectl --request-timeout 3s get nodes -o jsonpath='{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' 2>/dev/null)"
  [ "$ready" = $'True\nTrue\nTrue' ]
}

config() { # NODE-IMAGE
  cat <<'END2'
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
- role: worker
- role: worker
END2
  [ "$1" != "$NODE_IMAGE" ] || return 0
  # What our own node image lacks or does in its own way: see hack/README.md.
  cat <<'END2'
networking:
  disableDefaultCNI: true
  kubeProxyMode: nftables
kubeadmConfigPatches:
- |
  kind: ClusterConfiguration
  apiVersion: kubeadm.k8s.io/v1beta4
  dns:
    disabled: true
- |
  kind: KubeletConfiguration
  apiVersion: kubelet.config.k8s.io/v1beta1
  cgroupDriver: cgroupfs
  failCgroupV1: false
END2
}

# A bridge on each node, and on each a route to the pods of the others.
connect_pods() {
  local lines name address pods other
  # The controller manager hands the ranges out a moment after a node joins.
  local waited=0
  until lines="$(kubectl get nodes -o jsonpath='{range .items[*]}{.metadata.name} {.status.addresses[0].address} {.spec.podCIDR}{"\n"}{end}')" &&
    [ "$(awk 'NF == 3' <<<"$lines" | wc -l)" = ${#nodes[@]} ]; do
    waited=$((waited + 1))
    [ "$waited" -lt 150 ] || fail "not every node got a range of pod addresses within 30 s: 'kubectl get nodes -o yaml' and the controller manager's log say why"
    sleep 0.2
  done
  for name in "${nodes[@]}"; do
    pods="$(awk -v name="$name" '$1 == name {print $3}' <<<"$lines")"
    {
      while read -r other address range; do
        [ "$other" = "$name" ] || echo "ip route replace $range via $address"
      done <<<"$lines"
      cat <<END2
cat >/etc/cni/net.d/10-bridge.conflist <<'END3'
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END3
END2
    } | docker exec -i "$name" sh -e || fail "the pod network of $name could not be set up: its answer stands above"
  done
}

remove() { quietly kind-delete kind delete cluster --name "$DP_CLUSTER" --kubeconfig "$KUBECONFIG"; }

create() { # NODE-IMAGE
  config "$1" >"$DP_CACHE/kind-$DP_CLUSTER.yaml"
  quietly kind-create kind create cluster --name "$DP_CLUSTER" --image "$1" --kubeconfig "$KUBECONFIG" \
    --config "$DP_CACHE/kind-$DP_CLUSTER.yaml" --retain
}

up() {
  if healthy; then
    say "cluster $DP_CLUSTER: runs"
    return
  fi
  hack/engine.sh
  if healthy; then
    say "cluster $DP_CLUSTER: runs"
    return
  fi
  hack/tools.sh
  local image
  image="$(hack/node-image.sh)"
  if [ -n "$(docker ps -aq --filter "label=io.x-k8s.kind.cluster=$DP_CLUSTER")" ]; then
    step "removing the broken cluster $DP_CLUSTER" remove
  fi
  step "cluster $DP_CLUSTER" create "$image"
  if [ "$image" != "$NODE_IMAGE" ]; then step "pod network" connect_pods; fi
  step "nodes ready" quietly nodes-ready kubectl wait --for=condition=Ready --timeout=120s node --all
}

case ${1:-} in
up)
  up
  say "cluster $DP_CLUSTER is up after $SECONDS s: export KUBECONFIG=$KUBECONFIG PATH=$DP_CACHE/bin:\$PATH"
  ;;
down)
  docker info >/dev/null 2>&1 || fail "no Docker engine answers, so no cluster runs; hack/engine.sh starts one, hack/clean.sh removes all that is left"
  hack/tools.sh
  step "removing the cluster $DP_CLUSTER" remove
  ;;
status)
  if healthy; then kubectl get nodes -o wide; else fail "cluster $DP_CLUSTER does not run or is not healthy: hack/cluster.sh up mends it"; fi
  ;;
*) fail "say hack/cluster.sh up, down or status" ;;
esac
