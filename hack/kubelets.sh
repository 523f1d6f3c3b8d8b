#!/usr/bin/env bash
# kubelets.sh PERIOD [NODE...]: how soon (1s, 10s) the workers' kubelets tell the API server when their Node's status
# changes. By default that is 10 s, for which tests would wait again and again. A kubelet that does so already is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

period="${1:?say how soon: hack/kubelets.sh 1s}"
shift
[ $# -gt 0 ] || set -- "$DP_CLUSTER-worker" "$DP_CLUSTER-worker2"

# The other period is how often an unchanged status is written: unless set, it would become the same.
# shellcheck disable=SC2016 # the node's shell fills it in
script='
file=/var/lib/kubelet/config.yaml
! grep -qx "nodeStatusUpdateFrequency: $1" $file || exit 0
sed -i "/^nodeStatus\(Update\|Report\)Frequency:/d" $file
printf "nodeStatusUpdateFrequency: %s\nnodeStatusReportFrequency: 5m\n" "$1" >>$file
systemctl restart kubelet'
for node in "$@"; do
  on_node "$node" sh -ec "$script" -- "$period" || fail "$node did not take the setting: its answer stands above"
done
