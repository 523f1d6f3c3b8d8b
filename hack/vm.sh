#!/usr/bin/env bash
# vm.sh up|down|status: a fourth node of the kind cluster that is a virtual machine, with a kernel of its own and devices
# that its drivers take for real ones. `up` leaves a healthy one alone and replaces any other. See hack/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

vm="$DP_CLUSTER-vm"
nodes=("$DP_CLUSTER-control-plane" "$DP_CLUSTER-worker" "$DP_CLUSTER-worker2")

# runs_from IMAGE NODE
runs_from() { [ "$(docker inspect --format '{{.Config.Image}} {{.State.Running}}' "$2" 2>/dev/null)" = "$1 true" ]; }

address_of() { docker inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' "$1"; }

node_ready() {
  [ "$(kubectl --request-timeout 3s get node "$vm" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}

# The agent in the guest answers; an end of the container is not waited for.
guest_answers() {
  on_node "$vm" true || ! docker inspect --format '{{.State.Running}}' "$vm" | grep -q true
}

remove() {
  docker rm --force --volumes "$vm"
  kubectl --request-timeout 10s delete node "$vm" --ignore-not-found
}

power_on() { # IMAGE
  # The label makes it part of the cluster for `kind delete` and for hack/clean.sh.
  quietly vm-start docker run --detach --privileged --name "$vm" --hostname "$vm" --network kind \
    --label "io.x-k8s.kind.cluster=$DP_CLUSTER" --volume "$DP_CACHE/exchange:/exchange:ro" "$1"
  quietly vm-announce announce
  until_within 240 "the machine to start; 'docker logs $vm' shows its console" guest_answers
  runs_from "$1" "$vm" || {
    docker logs --tail 20 "$vm" >&2
    fail "the machine ended: its last words stand above"
  }
}

# Its Node, while it starts: so its pods' addresses are given out, and no kubelet under emulation has to be waited for.
announce() {
  kubectl create --filename - <<END
apiVersion: v1
kind: Node
metadata: {name: $vm, labels: {kubernetes.io/hostname: $vm, deviceplugins.dev/vm: "true"}}
spec: {taints: [{key: deviceplugins.dev/vm, value: "true", effect: NoSchedule}]}
END
  kubectl patch node "$vm" --subresource status --type merge \
    --patch "{\"status\": {\"addresses\": [{\"type\": \"InternalIP\", \"address\": \"$(address_of "$vm")\"}]}}"
}

# The files that `kubeadm join` would leave there, made where the processor is not emulated.
join_cluster() {
  local address host credentials authority settings
  address="$(address_of "$vm")"
  host="${nodes[0]}"
  credentials="$(docker exec "$host" kubeadm kubeconfig user --client-name "system:node:$vm" --org system:nodes 2>/dev/null)" ||
    fail "the control plane gives no credentials: 'docker exec $host kubeadm kubeconfig user' says why"
  authority="$(docker exec "$host" cat /etc/kubernetes/pki/ca.crt)"
  settings="$(kubectl --namespace kube-system get configmap kubelet-config --output jsonpath='{.data.kubelet}')"
  docker exec --interactive "$vm" machine guest bash -e <<END || fail "the machine did not take its settings: its answer stands above"
hostname $vm
echo $vm >/etc/hostname
mkdir -p /etc/kubernetes/pki /var/lib/kubelet
cat >/etc/hosts <<'FILE'
127.0.0.1 localhost
$address $vm
$(address_of "$host") $host
FILE
cat >/etc/kubernetes/pki/ca.crt <<'FILE'
$authority
FILE
cat >/etc/kubernetes/kubelet.conf <<'FILE'
$credentials
FILE
cat >/var/lib/kubelet/config.yaml <<'FILE'
$settings
FILE
cat >/var/lib/kubelet/kubeadm-flags.env <<'FILE'
KUBELET_KUBEADM_ARGS="--node-ip=$address"
FILE
systemctl restart --no-block kubelet
END
}

up() {
  hack/cluster.sh up
  local image
  image="$(hack/vm-image.sh)"
  if runs_from "$image" "$vm" && node_ready; then
    say "node $vm: runs"
    return
  fi
  quietly vm-remove remove
  step "$vm switched on" power_on "$image"
  step "$vm joins the cluster" join_cluster
  # kind's own node image brings a network for pods.
  if ! runs_from "$NODE_IMAGE" "${nodes[0]}"; then step "pod network" hack/pod-network.sh "${nodes[@]}" "$vm"; fi
  step "$vm ready" quietly vm-ready kubectl wait --for=condition=Ready --timeout=180s node "$vm"
  step "$vm's devices" quietly vm-devices on_node "$vm" systemctl start vm-devices
}

case ${1:-} in
up)
  alone "vm-$DP_CLUSTER" up
  up
  say "node $vm is up after $SECONDS s"
  ;;
down)
  alone "vm-$DP_CLUSTER" down
  docker info >/dev/null 2>&1 || fail "no Docker engine answers, so no machine runs"
  step "removing the node $vm" quietly vm-remove remove
  ;;
status)
  node_ready || fail "the node $vm does not run or is not ready: hack/vm.sh up mends it"
  kubectl get node "$vm" -o wide
  ;;
*) fail "say hack/vm.sh up, down or status" ;;
esac
