#!/usr/bin/env bash
# Makes Python of the kubelet's .proto files: messages, services and the types of both.
# Writes beside the .proto files, or below the folder given as the only argument.
set -euo pipefail
cd "$(dirname "$0")/.."

bin="${VENV:-.venv}/bin"
out="${1:-agent}"
# From agent/, so that the generated imports read `from device_plugin_agent.kubelet_api import …` and the files'
# names in protobuf's pool are our own.
"$bin/python" -m grpc_tools.protoc \
  --proto_path=agent \
  --plugin="protoc-gen-mypy=$bin/protoc-gen-mypy" \
  --plugin="protoc-gen-mypy_grpc=$bin/protoc-gen-mypy_grpc" \
  --python_out="$out" \
  --mypy_out=quiet:"$out" \
  --grpc_python_out="$out" \
  --mypy_grpc_out=quiet:"$out" \
  agent/device_plugin_agent/kubelet_api/deviceplugin.proto \
  agent/device_plugin_agent/kubelet_api/podresources.proto
