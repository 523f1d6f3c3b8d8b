#!/usr/bin/env bash
# Shows the whole of it on a kind cluster: devices become a resource, pods use them, one is pulled out and put back.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

resource=example.com/custom-device
workers=(dp-worker dp-worker2)
per_node=3
begin=$SECONDS

bold='' dim='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' dim=$'\033[2m' plain=$'\033[0m'; fi

title() { printf '\n%s  (%s s)\n' "$bold$*$plain" "$((SECONDS - begin))"; }

show() { # COMMAND...: the command, then what it says
  printf '%s\n' "$dim\$ $*$plain"
  "$@"
}

# until_is SECONDS WANTED WHAT-TO-DO COMMAND...: waits until the command prints WANTED.
until_is() {
  local limit=$1 wanted=$2 advice=$3 from=$SECONDS got
  shift 3
  while got="$("$@" 2>/dev/null)" || true; [ "$got" != "$wanted" ]; do
    [ $((SECONDS - from)) -lt "$limit" ] ||
      fail "after $limit s '$*' says '${got:-nothing}' and not '$wanted': $advice"
    sleep 0.2
  done
}

allocatable() { kubectl get node "$1" -o jsonpath="{.status.allocatable.example\.com/custom-device}"; }
config() { kubectl get dpc custom-device -o jsonpath="$1"; }
is_ready='{.status.conditions[?(@.type=="Ready")].reason}'

step "Python environment" hack/venv.sh
step "cluster" hack/cluster.sh up
step "base images" hack/images.sh
step "our images" hack/build.sh
step "images into the nodes" hack/load.sh deviceplugins.dev/operator:dev deviceplugins.dev/agent:dev busybox:1.37
step "operator" hack/deploy.sh

title "Devices: $per_node character devices on each of ${workers[*]}"
kubectl delete --ignore-not-found --filename manifests/samples/custom-device-pods.yaml >/dev/null
for node in "${workers[@]}"; do
  docker exec "$node" sh -c "
    rm -f /dev/custom-device-*
    for i in \$(seq 0 $((per_node - 1))); do mknod -m 0666 /dev/custom-device-\$i c 1 5; done
    mkdir -p /opt/custom-device && echo gain=1.0 >/opt/custom-device/calibration" ||
    fail "no devices could be made in $node: does 'docker exec $node true' work?"
  kubectl label node "$node" --overwrite example.com/custom-device=true >/dev/null
done

title "The configuration"
applied=$SECONDS
show kubectl apply --filename manifests/samples/custom-device.yaml
until_is 60 AllNodesReady "kubectl describe dpc custom-device; kubectl -n device-plugin-agents get pods" config "$is_ready"
echo "every node's agent has registered after $((SECONDS - applied)) s; the kubelet tells the API server every 10 s:"
for node in "${workers[@]}"; do
  until_is 60 "$per_node" "kubectl get ndp custom-device.$node -o yaml says what its agent found" allocatable "$node"
  echo "  $node offers $(allocatable "$node") $resource after $((SECONDS - applied)) s"
done

title "Pods that use them"
show kubectl apply --filename manifests/samples/custom-device-pods.yaml
kubectl wait --for=condition=Ready --timeout=60s pod --selector app=custom-device-sample >/dev/null ||
  fail "the sample pods do not run: 'kubectl describe pod one-device three-devices' says why"
show kubectl logs one-device
show kubectl logs three-devices --all-containers --prefix

node="$(kubectl get pod one-device -o jsonpath='{.spec.nodeName}')"
until_is 30 4 "kubectl get ndp -o yaml says who has what" config '{.status.devices.allocated}'

title "A device is pulled out of $node"
free="$(kubectl get ndp "custom-device.$node" -o go-template='{{range .status.resources}}{{range .devices}}{{if .allocatedTo}}{{else}}{{.path}}{{"\n"}}{{end}}{{end}}{{end}}' | sort | tail -n 1)"
[ -n "$free" ] || free="/dev/custom-device-$((per_node - 1))"
echo "\$ docker exec $node rm $free"
docker exec "$node" rm "$free"
until_is 30 SomeUnhealthy "kubectl get ndp custom-device.$node -o yaml says what its agent sees" config "$is_ready"
show kubectl get dpc,ndp
problem='{range .status.problems[*]}{.node}  {.resource}  {.device}  {.state}  {.reason}  since {.since}{"\n"}{end}'
show kubectl get dpc custom-device -o "jsonpath=$problem"

title "It is put back"
echo "\$ docker exec $node mknod -m 0666 $free c 1 5"
docker exec "$node" mknod -m 0666 "$free" c 1 5
until_is 30 AllNodesReady "kubectl get ndp custom-device.$node -o yaml says what its agent sees" config "$is_ready"

title "What there is now"
show kubectl get dpc
echo
show kubectl get ndp
echo
# shellcheck disable=SC2016 # $node is the template's own
devices='{{range .items}}{{$node := .spec.nodeName}}{{range .status.resources}}{{range .devices}}{{$node}} {{.id}} {{.state}} {{if .allocatedTo}}{{range .allocatedTo}}{{.namespace}}/{{.pod}}/{{.container}} {{end}}{{else}}-{{end}}{{"\n"}}{{end}}{{end}}{{end}}'
{
  echo "NODE DEVICE STATE USED-BY"
  kubectl get ndp --selector deviceplugins.dev/config=custom-device -o "go-template=$devices"
} | column -t
echo
show kubectl logs one-device

cat <<END

Done in $((SECONDS - begin)) s. Try next (export KUBECONFIG=$KUBECONFIG):
  kubectl get dpc,ndp --watch                                and in another shell: docker exec dp-worker rm /dev/custom-device-0
  kubectl apply --filename manifests/samples/simulated.yaml  eight more devices on every node, without hardware
  kubectl delete dpc custom-device                           agents, reports and the resource go; running pods stay
END
