"""OCI image layouts made by hand, by the letter of the specification."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

Member = tarfile.TarInfo | tuple[str, bytes | None]


def layer(*members: Member) -> bytes:
    """A tar file with these members: headers, or files and directories (None) by their names."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for each in members:
            if isinstance(each, tarfile.TarInfo):
                archive.addfile(each)
                continue
            name, data = each
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            member.mode = 0o755 if data is None else 0o644
            member.mtime = 1_600_000_000
            member.size = len(data or b"")
            archive.addfile(member, io.BytesIO(data or b""))
    return file.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """The header of a link."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


class Layout:
    """A layout in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.manifests: list[dict[str, Any]] = []

    def blob(self, data: bytes, kind: str, **more: object) -> dict[str, Any]:
        """The descriptor of a new blob."""
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data), **more}

    def image(
        self, layers: Iterable[bytes], pack: Mapping[str, Callable[[bytes], bytes]] | None = None, **more: object
    ) -> dict[str, Any]:
        """The descriptor of a new image; `pack` has how to pack its layers, by what their media type ends with."""
        (suffix, packed), *_ = (pack or {"": bytes}).items()
        document = {
            "schemaVersion": 2,
            "config": self.blob(b"{}", "application/vnd.oci.image.config.v1+json"),
            "layers": [self.blob(packed(data), LAYER + suffix) for data in layers],
        }
        return self.blob(json.dumps(document).encode(), MANIFEST, **more)

    def index(self, descriptors: Iterable[dict[str, Any]], **more: object) -> dict[str, Any]:
        """The descriptor of a new index."""
        return self.blob(json.dumps({"schemaVersion": 2, "manifests": [*descriptors]}).encode(), INDEX, **more)

    def write(self, *descriptors: dict[str, Any]) -> Path:
        """Write the index of the layout, and give its folder."""
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": descriptors}))
        return self.folder


def tag(name: str) -> dict[str, str]:
    """The annotation of a descriptor that gives it a tag."""
    return {"org.opencontainers.image.ref.name": name}
