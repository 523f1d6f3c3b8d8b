"""An archive without the layers that its receiver has: `layers.py SAVED WRITTEN <digests`.

SAVED is what `docker save` wrote. WRITTEN is an OCI archive of the same images; the digests of the blobs that the
receiver has come one per line. Image and layers keep their digests, so a layer left out is found there.
"""

import hashlib
import io
import json
import sys
import tarfile
from typing import Any, Literal, TypedDict

GZIP = b"\x1f\x8b"
OCI = "application/vnd.oci.image"


class Descriptor(TypedDict):
    """How OCI points at a blob."""

    mediaType: str
    digest: str
    size: int


class Writer:
    """An OCI archive in the making."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._written: set[str] = set()

    def blob(self, media_type: str, content: bytes) -> Descriptor:
        """Adds a small blob."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self._once(digest, len(content), io.BytesIO(content))
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def layer(self, digest: str, saved: tarfile.TarFile, member: tarfile.TarInfo, have: set[str]) -> Descriptor:
        """Points at a layer, and adds it where it is not there yet."""
        content = saved.extractfile(member)
        if content is None:
            raise SystemExit(f"{member.name} in the saved images is no file: was this written by `docker save`?")
        packed: Literal["+gzip", ""] = "+gzip" if content.read(2) == GZIP else ""
        content.seek(0)
        if digest not in have:
            self._once(digest, member.size, content)
        return {"mediaType": f"{OCI}.layer.v1.tar{packed}", "digest": digest, "size": member.size}

    def file(self, name: str, content: bytes) -> None:
        """Adds a file that is no blob."""
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self._archive.addfile(member, io.BytesIO(content))

    def _once(self, digest: str, size: int, content: Any) -> None:
        if digest not in self._written:
            self._written.add(digest)
            member = tarfile.TarInfo("blobs/" + digest.replace(":", "/"))
            member.size = size
            self._archive.addfile(member, content)


def full_name(tag: str) -> str:
    """The name that a container runtime knows an image by."""
    host, slash, _ = tag.partition("/")
    if not slash:
        return "docker.io/library/" + tag
    return tag if "." in host or ":" in host or host == "localhost" else "docker.io/" + tag


def digest_of(path: str, diff_id: str) -> str:
    """A layer's digest: its file's name in newer archives; older ones hold layers as they are, unpacked."""
    return "sha256:" + path.rpartition("/")[2] if path.startswith("blobs/") else diff_id


def rewrite(saved: tarfile.TarFile, writer: Writer, have: set[str]) -> None:
    """Writes every image of one archive into the other."""

    def read(name: str) -> bytes:
        content = saved.extractfile(name)
        return content.read() if content else b""

    def file_behind(name: str) -> tarfile.TarInfo:
        # Older archives hold a layer that two images share once, and links to it.
        member = saved.getmember(name)
        while member.issym():
            folder = name.rpartition("/")[0].split("/")
            for part in member.linkname.split("/"):
                folder = folder[:-1] if part == ".." else [*folder, part]
            name = "/".join(folder)
            member = saved.getmember(name)
        return member

    entries: list[dict[str, Any]] = []
    for image in json.loads(read("manifest.json")):
        config = read(image["Config"])
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        layers = [
            writer.layer(digest_of(path, diff_id), saved, file_behind(path), have)
            for path, diff_id in zip(image["Layers"], diff_ids, strict=True)
        ]
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": writer.blob(f"{OCI}.config.v1+json", config),
            "layers": layers,
        }
        pointer = writer.blob(f"{OCI}.manifest.v1+json", json.dumps(manifest).encode())
        entries.extend(
            {**pointer, "annotations": {"io.containerd.image.name": full_name(tag)}} for tag in image["RepoTags"] or ()
        )
    writer.file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    writer.file("index.json", json.dumps({"schemaVersion": 2, "manifests": entries}).encode())


if __name__ == "__main__":
    with tarfile.open(sys.argv[1]) as source, tarfile.open(sys.argv[2], "w") as target:
        rewrite(source, Writer(target), set(sys.stdin.read().split()))
