#!/usr/bin/env bash
# Makes sure of the image that hack/vm.sh runs, and prints its name: QEMU, a kernel, and the disk of a machine whose
# kubelet and containerd are those of the node image that the cluster runs.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

# make_image NODE-IMAGE IMAGE: the disk is made inside of the container that becomes the image.
make_image() {
  local guest container options=(--build-arg "NODE_IMAGE=$1" --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" hack/vm)
  docker build --target guest --tag deviceplugins.dev/vm:guest "${options[@]}"
  docker build --target machine --tag deviceplugins.dev/vm:machine "${options[@]}"
  container="$(docker run --detach --rm --privileged --network none --volume /guest --entrypoint sleep deviceplugins.dev/vm:machine 1200)"
  guest="$(docker create deviceplugins.dev/vm:guest)"
  # shellcheck disable=SC2064 # their values are known now
  trap "docker rm --force --volumes $container $guest >/dev/null 2>&1" EXIT
  docker export "$guest" | docker exec --interactive "$container" tar -C /guest -x
  # What pods there are made of: unpacked in the machine it would take a minute.
  docker save "$PYTHON_IMAGE" "$BUSYBOX_IMAGE" | docker exec --interactive "$container" /machine/disk.sh images
  docker exec "$container" /machine/disk.sh disk
  docker commit --change 'ENTRYPOINT ["machine"]' --change 'CMD ["start"]' "$container" "$2"
}

if [ "${1:-}" = --image ]; then
  choose_builder
  make_image "$2" "$3"
  exit
fi

alone vm-image
hack/base-images.sh
node_image="$(docker inspect --format '{{.Config.Image}}' "$DP_CLUSTER-control-plane")"
bases="$(docker image inspect --format '{{.Id}}' "$PYTHON_IMAGE" "$BUSYBOX_IMAGE")"
image="deviceplugins.dev/vm:$(key "$node_image $bases" hack/vm-image.sh hack/vm/Dockerfile hack/vm/*.py hack/vm/*.sh hack/vm/guest/*)"
if ! image_exists "$image"; then
  # The two targets stay: their layers come over the network.
  docker images --format '{{.Repository}}:{{.Tag}}' deviceplugins.dev/vm | grep -vE ':(guest|machine)$' |
    xargs --no-run-if-empty docker rmi --force >/dev/null 2>&1 || true
  step "the machine's image" quietly vm-image hack/vm-image.sh --image "$node_image" "$image"
fi
echo "$image"
