#!/usr/bin/env bash
# The rung `gpu`, and the agent's figures, on a machine with an NVIDIA GPU that has neither a network nor a .venv:
#   WHEELS=.whl hack/real-gpu.sh
# The folder holds, for that machine's Python, what the extras agent and nvidia need, pytest, pytest-asyncio,
# pytest-timeout, hypothesis, and what those need, in the versions of constraints.txt. `pip download` fills it elsewhere.
# No setting of the GPU is changed.
set -euo pipefail
cd "$(dirname "$0")/.."

wheels="${WHEELS:?names a folder of wheels: the head of this script says which}"
site="${SITE:-/tmp/site}"

python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$site" "$wheels"/*.whl
# Before what the machine has of the same packages.
export PYTHONPATH="$site:$PWD/api:$PWD/agent:$PWD/tests:$PWD" PYTHONUNBUFFERED=1 GRPC_VERBOSITY=ERROR
# Plugins of the machine's own pytest are not tried with ours.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1

show() {
  printf '\n==> %s\n' "$*"
  "$@" || printf '%s: exit status %s\n' "$1" "$?"
}

show uname -r
show nvidia-smi -L
show nvidia-smi --query-gpu=driver_version,pci.bus_id,mig.mode.current,persistence_mode --format=csv
show grep -il 0x10de /sys/bus/pci/devices/*/vendor
show cat /proc/driver/nvidia/version
show find /dev -name 'nvidia*' -exec ls -ld {} +
show python3 -c 'import sys, grpc, google.protobuf, pynvml, pytest
print(sys.version, *((each.__name__, each.__file__) for each in (grpc, google.protobuf, pynvml, pytest)), sep="\n")'

failed=0
show_or_fail() {
  printf '\n==> %s\n' "$*"
  "$@" || failed=1
}
show_or_fail python3 -m pytest tests/unit/agent/test_nvml.py tests/gpu -v -s -ra -p no:cacheprovider \
  -p pytest_asyncio.plugin -p pytest_timeout -p _hypothesis_pytestplugin
show_or_fail python3 -m bench.agent.gpu

show find /dev -name 'nvidia*' -exec ls -ld {} +
printf '\n==> what the kernel says of errors\n'
dmesg 2>/dev/null | grep -i xid | tail -n 20 || echo 'nothing, or its log cannot be read'
exit "$failed"
