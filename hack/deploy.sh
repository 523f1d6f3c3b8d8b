#!/usr/bin/env bash
# deploy.sh [OVERLAY]: puts the operator of this checkout into the cluster, as manifests/overlays/OVERLAY (dev) has it,
# and waits until it is ready. Safe to repeat: pods are replaced only when their image is another one (its tag stays the
# same, so Kubernetes alone would not see it).
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

overlay="manifests/overlays/${1:-dev}"
system=device-plugin-system
agents=device-plugin-agents

image_id() { docker image inspect --format '{{.Id}}' "$1"; }

kubectl apply --kustomize "$overlay" >/dev/null ||
  fail "$overlay could not be applied: kubectl's answer stands above"
kubectl wait --for=condition=Established --timeout=60s \
  crd/devicepluginconfigs.deviceplugins.dev crd/nodedeviceplugins.deviceplugins.dev >/dev/null ||
  fail "the API server did not take the CRDs within 60 s: kubectl describe crd devicepluginconfigs.deviceplugins.dev"

# An annotation of the pod template: another image, another template, a new pod.
settings="$(kubectl -n "$system" get configmap device-plugin-settings -o jsonpath='{.data}' | sha256sum | cut -c 1-16)"
kubectl -n "$system" patch deployment device-plugin-operator --type merge --patch \
  "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"deviceplugins.dev/image-id\":\"$(image_id deviceplugins.dev/operator:dev)\",\"deviceplugins.dev/settings\":\"$settings\"}}}}}" >/dev/null

agent_id="$(image_id "$(kubectl -n "$system" get configmap device-plugin-settings -o jsonpath='{.data.agentImage}')")"
seen="$(kubectl get namespace "$agents" -o jsonpath='{.metadata.annotations.deviceplugins\.dev/agent-image-id}')"
if [ "$seen" != "$agent_id" ]; then
  kubectl -n "$agents" delete pods --all --wait=false >/dev/null
  kubectl annotate namespace "$agents" --overwrite "deviceplugins.dev/agent-image-id=$agent_id" >/dev/null
fi

kubectl -n "$system" rollout status deployment/device-plugin-operator --timeout=120s >/dev/null || {
  kubectl -n "$system" get pods >&2
  kubectl -n "$system" logs deployment/device-plugin-operator --tail=20 >&2 || true
  fail "the operator was not ready within 120 s: its pods and its last words stand above"
}
say "the operator is ready"
