#!/usr/bin/env bash
# cluster.sh up|down|status: a kind cluster of three nodes, with real kubelets. `up` leaves a healthy one alone and
# replaces a broken one, and one that was made in another way than this script makes it.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

nodes=("$DP_CLUSTER-control-plane" "$DP_CLUSTER-worker" "$DP_CLUSTER-worker2")

# Lives in the nodes' memory: a node that was started again, or never set up to the end, has none. Routes of pods are gone
# from such a node, while the API server may still call it ready.
mark=/run/device-plugins-cluster-is-up

made_from="$DP_CACHE/kind-$DP_CLUSTER.yaml"

# The name changes with the content: an API server reads it once.
audit_policy="audit-$(key "" hack/audit-policy.yaml).yaml"

# What an older checkout made may lack what this one needs.
made_like_this() {
  local image
  for image in "$NODE_IMAGE" "our own"; do
    if config "$image" | cmp -s - "$made_from"; then return; fi
  done
  return 1
}

# The three nodes run since they were set up.
whole() {
  local node
  made_like_this || return
  for node in "${nodes[@]}"; do docker exec "$node" test -e "$mark" 2>/dev/null || return; done
}

# The virtual machine of hack/vm.sh is not looked at.
ready() {
  local ready
  ready="$(kubectl --request-timeout 3s get nodes "${nodes[@]}" -o jsonpath='{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' 2>/dev/null)"
  [ "$ready" = $'True\nTrue\nTrue' ]
}

config() { # NODE-IMAGE
  # hack/load.sh hands images over there: through the engine it takes far longer.
  local role mounts="extraMounts: [{hostPath: $DP_CACHE/exchange, containerPath: /exchange, readOnly: true}]"
  printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n'
  for role in control-plane worker worker; do printf -- '- role: %s\n  %s\n' "$role" "$mounts"; done
  # Not refusing cgroup v1 changes nothing where there is v2.
  cat <<END
kubeadmConfigPatches:
- |
  kind: ClusterConfiguration
  apiVersion: kubeadm.k8s.io/v1beta4
  apiServer:
    extraArgs:
    - {name: audit-policy-file, value: /exchange/$audit_policy}
    - {name: audit-log-path, value: /var/log/kubernetes/audit.log}
    - {name: audit-log-maxsize, value: "100"}
    - {name: audit-log-maxbackup, value: "2"}
    extraVolumes:
    - {name: exchange, hostPath: /exchange, mountPath: /exchange, readOnly: true, pathType: Directory}
    - {name: audit, hostPath: /var/log/kubernetes, mountPath: /var/log/kubernetes, pathType: DirectoryOrCreate}
- |
  kind: KubeletConfiguration
  apiVersion: kubelet.config.k8s.io/v1beta1
  failCgroupV1: false
END
  [ "$1" != "$NODE_IMAGE" ] || return 0
  # What our own node image lacks or does in its own way: see hack/README.md.
  cat <<'END'
  cgroupDriver: cgroupfs
- |
  kind: ClusterConfiguration
  apiVersion: kubeadm.k8s.io/v1beta4
  dns:
    disabled: true
networking:
  disableDefaultCNI: true
  kubeProxyMode: nftables
END
}

# When kube-proxy goes over all its rules, at its start and it seems once an hour, it takes out the services that it finds there
# (seen with nft 1.0.6): connections last, and new ones are refused. So it has to find nothing.
services_answer() {
  local node
  for node in "${nodes[@]}"; do
    docker exec "$node" timeout 3 bash -c 'exec 3<>/dev/tcp/10.96.0.1/443' 2>/dev/null || return
  done
}

mend_services() {
  local node
  for node in "${nodes[@]}"; do docker exec "$node" nft delete table ip kube-proxy; done
  quietly kube-proxy kubectl --namespace kube-system delete pod --selector k8s-app=kube-proxy
  until_within 60 "the API server's service on every node" services_answer
}

remove() { quietly kind-delete kind delete cluster --name "$DP_CLUSTER" --kubeconfig "$KUBECONFIG"; }

create() { # NODE-IMAGE
  mkdir -p "$DP_CACHE/exchange"
  cp hack/audit-policy.yaml "$DP_CACHE/exchange/$audit_policy"
  config "$1" >"$made_from"
  quietly kind-create kind create cluster --name "$DP_CLUSTER" --image "$1" --kubeconfig "$KUBECONFIG" \
    --config "$made_from" --retain
}

up() {
  [ -x "$DP_CACHE/bin/kubectl" ] || hack/tools.sh
  # A node that was away a moment ago comes back by itself.
  if whole && { ready || step "nodes of $DP_CLUSTER ready again" until_within 60 "its nodes" ready; }; then
    say "cluster $DP_CLUSTER: runs"
    services_answer || step "services of $DP_CLUSTER" mend_services
    return
  fi
  hack/engine.sh
  hack/tools.sh
  local image
  image="$(hack/node-image.sh)"
  if [ -n "$(docker ps --all --quiet --filter "label=io.x-k8s.kind.cluster=$DP_CLUSTER")" ]; then
    step "removing the cluster $DP_CLUSTER, which is broken or made in another way" remove
  fi
  step "cluster $DP_CLUSTER" create "$image"
  if [ "$image" != "$NODE_IMAGE" ]; then step "pod network" hack/pod-network.sh "${nodes[@]}"; fi
  step "nodes ready" quietly nodes-ready kubectl wait --for=condition=Ready --timeout=120s node "${nodes[@]}"
  local node
  for node in "${nodes[@]}"; do docker exec "$node" touch "$mark"; done
}

case ${1:-} in
up)
  alone "cluster-$DP_CLUSTER" up
  up
  say "cluster $DP_CLUSTER is up after $SECONDS s: export KUBECONFIG=$KUBECONFIG PATH=$DP_CACHE/bin:\$PATH"
  ;;
down)
  alone "cluster-$DP_CLUSTER" down
  docker info >/dev/null 2>&1 || fail "no Docker engine answers, so no cluster runs; hack/engine.sh starts one, hack/clean.sh removes all that is left"
  hack/tools.sh
  step "removing the cluster $DP_CLUSTER" remove
  ;;
status)
  if whole && ready; then kubectl get nodes -o wide; else fail "cluster $DP_CLUSTER does not run or is not healthy: hack/cluster.sh up mends it"; fi
  ;;
*) fail "say hack/cluster.sh up, down or status" ;;
esac
