#!/usr/bin/env bash
# Runs the rungs it is given (all when none), each after its own set-up, and ends with one count.
# A rung that fails, or whose set-up fails, does not keep the later ones from running.
# shellcheck disable=SC2317 # the rungs are called by name, through step
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. hack/lib.sh

[ $# -gt 0 ] || set -- unit contract apiserver e2e e2e_chaos e2e_hardware e2e_vm
reports="$PWD/build/reports"
mkdir -p "$reports"

run_pytest() { # RUNG ARGUMENT...
  local rung=$1
  shift
  .venv/bin/python -m pytest "tests/$rung" --junitxml "$reports/$rung.xml" --durations 5 "$@"
  local code=$?
  [ "$code" != 5 ] || say "tests/$rung holds no tests"
  return "$code"
}

rung_unit() { run_pytest unit docs/examples -q -n 2; }

rung_contract() { run_pytest contract -q -n 2; }

rung_apiserver() {
  KUBEBUILDER_ASSETS="$(hack/assets.sh | tail -n 1)" || return
  export KUBEBUILDER_ASSETS
  # It waits more than it works. Each worker has an API server of its own, whose start is part of its first test's time.
  run_pytest apiserver -q -n 2 --dist loadgroup --no-loadscope-reorder --timeout 120
}

deployed() {
  step "cluster" hack/cluster.sh up &&
    step "kubelets" hack/kubelets.sh 1s &&
    step "images" hack/images.sh &&
    step "build" hack/build.sh &&
    step "load" hack/load.sh deviceplugins.dev/operator:dev deviceplugins.dev/agent:dev busybox:1.37 &&
    step "operator" hack/deploy.sh
}

# -s: the tests print the times they saw.
rung_e2e() {
  deployed &&
    step "build: the next version" hack/next-version.sh &&
    step "load: the next version" hack/load.sh deviceplugins.dev/operator:next deviceplugins.dev/agent:next &&
    run_pytest e2e -v -s
}

rung_e2e_chaos() {
  # The same each time; another seed is a deeper look: make test-chaos.
  deployed && CHAOS_SEED="${CHAOS_SEED:-47}" run_pytest e2e_chaos -v
}

rung_e2e_hardware() {
  step "cluster" hack/cluster.sh up &&
    step "kubelets" hack/kubelets.sh 1s &&
    step "images" hack/images.sh &&
    step "build" hack/build.sh &&
    step "build: agents that look at recorded machines" quietly agents-recorded recorded_agents &&
    step "load" hack/load.sh deviceplugins.dev/operator:dev deviceplugins.dev/agent:recorded \
      deviceplugins.dev/agent-iio:recorded busybox:1.37 &&
    step "operator" hack/deploy.sh recorded &&
    run_pytest e2e_hardware -v
}

recorded_agents() {
  choose_builder
  docker build --tag deviceplugins.dev/agent:recorded --file tests/e2e_hardware/Dockerfile tests &&
    docker build --tag deviceplugins.dev/agent-iio:recorded --build-arg AGENT_IMAGE=deviceplugins.dev/agent:recorded \
      docs/examples/iio-source
}

rung_e2e_vm() {
  local code ran=false
  if hack/vm.sh status >/dev/null 2>&1; then ran=true; fi
  e2e_vm
  code=$?
  # Even at rest it takes most of a processor.
  $ran || hack/vm.sh down || code=1
  return "$code"
}

e2e_vm() {
  # On an emulated processor some take minutes, and more when the machine is busy: make test-vm runs them too.
  local chosen=(-m "not slow")
  [ -z "${SLOW:-}" ] || chosen=()
  step "the vm node" hack/vm.sh up &&
    step "build" hack/build.sh &&
    step "load" hack/load.sh deviceplugins.dev/operator:dev &&
    step "load into the vm node" hack/load.sh --nodes "$DP_CLUSTER-vm" deviceplugins.dev/agent:dev busybox:1.37 &&
    step "operator" hack/deploy.sh &&
    run_pytest e2e_vm -v "${chosen[@]}"
}

# Not among those that run when none is named: it needs a GPU. Where there is no network either: hack/real-gpu.sh.
rung_gpu() { run_pytest gpu -v -s; }

arguments=()
failed=()
step "Python environment" hack/venv.sh || fail "without .venv nothing can be tested"
for rung in "$@"; do
  # A report of an earlier run must not stand in for one that never came.
  rm -f "$reports/$rung.xml"
  arguments+=("$rung=$reports/$rung.xml")
done
for rung in "$@"; do
  step "tests: $rung" "rung_$rung" || failed+=("$rung")
done

echo
.venv/bin/python hack/count.py "${arguments[@]}"
counted=$?
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[*]}" >&2
  exit 1
fi
exit "$counted"
