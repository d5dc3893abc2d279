"""OCI image layouts, such as skopeo and umoci write: their layers put together to one root file system.

See image-layout.md, manifest.md and layer.md of the OCI Image Format Specification.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final
from uuid import UUID

from pipeline import input_file
from pipeline.errors import ImageError, MasterError, quoted
from pipeline.image import ext
from pipeline.image.ext import e2fsprogs
from pipeline.image.files import sparse
from pipeline.image.layer import tar
from pipeline.image.layer.entries import CHUNK, Directory, Entry, File, Layer, Removal, limited

RECIPE = 1
"""Raise it when the same layout gives another root file system: what was made by an older recipe is stale."""

_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LAYER: Final = re.compile(
    r"application/vnd\.oci\.image\.layer(\.nondistributable)?\.v1\.tar(\+gzip|\+zstd)?"
    r"|application/vnd\.docker\.image\.rootfs\.diff\.tar(\.gzip)?"
)
_DIGEST: Final = re.compile("sha256:([0-9a-f]{64})")
_LARGEST_DOCUMENT: Final = 4 << 20
"""Bytes of an index or a manifest; registries refuse larger ones."""
_DEPTH: Final = 5
"""How many indexes lead to a manifest at most; one or two do."""
_MOST_SHOWN: Final = 20
"""Tags in a message."""
_PLAIN: Final = re.compile(r"[\w .:/@+-]{1,80}", re.ASCII)
_TAG: Final = "org.opencontainers.image.ref.name"
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_SCRATCH: Final = UUID("6b4dd0a4-8b0e-4c0e-9d0c-0c1b6d8e9a01")
"""Of a file system that nobody ever sees."""


@dataclass(frozen=True, slots=True)
class Layout:
    """An image of a layout: its tag, None for the only one, and the processor it is for, as Go calls it."""

    folder: Path
    tag: str | None = None
    architecture: str = "amd64"


def fingerprint(layout: Layout) -> str:
    """The digest of the image's manifest, on which all of its contents depend. Raises MasterError."""
    with _errors(layout.folder):
        return str(_manifest(layout)["digest"])


@contextmanager
def opened(layout: Layout, beside: Path, limit: int | None = None) -> Iterator[Layer]:
    """The root file system of an image, put together in a scratch file system beside the file `beside`.

    Raises MasterError for a layout that is damaged, or has no such image, or that is changed while it is read, or whose
    layers hold more than the Allowance of a file system of `limit` bytes.
    """
    with _errors(layout.folder):
        manifest = _document(layout.folder, _manifest(layout))
        layers = [_checked_layer(layout.folder, layer) for layer in _list(manifest, "layers")]
        size = _room(layout.folder, layers, limit) + (64 << 20)
    # Named like the file, so that what a killed run leaves is found by publish.sweep().
    with NamedTemporaryFile(dir=beside.parent, prefix=f"{beside.name}-scratch-") as file:
        scratch = Path(file.name)
        sparse.extend(scratch, size)
        e2fsprogs.format(scratch, "ext4", _SCRATCH)
        with ext.open(scratch) as filesystem:
            for layer in layers:
                filesystem.apply(_applied(layout.folder, layer, filesystem))
        with ext.open(scratch, write=False) as filesystem:
            yield filesystem.entries()


def _applied(folder: Path, path: Path, filesystem: ext.FileSystem) -> Layer:
    """What one layer changes: first what it takes away from those below it, then what it brings."""
    for entry in tar.entries(path, inside=folder):
        above, _, name = entry.path.rpartition("/")
        if name == _OPAQUE:
            yield from [Removal(_join(above, child)) for child in filesystem.names(above)]
        elif name.startswith(_WHITEOUT):
            if name.removeprefix(_WHITEOUT) in ("", ".", "..", ".wh..opq"):
                raise MasterError(f"{path.name}: {quoted(entry.path)} takes away nothing that can be")
            yield Removal(_join(above, name.removeprefix(_WHITEOUT)))
    for entry in tar.entries(path, inside=folder):
        if entry.path.rpartition("/")[2].startswith(_WHITEOUT):
            continue
        if not isinstance(entry, Directory) and _is_directory(filesystem, entry.path):
            yield Removal(entry.path)
        yield entry


def _is_directory(filesystem: ext.FileSystem, path: str) -> bool:
    return stat.S_ISDIR(filesystem.mode(path) or 0)


def _room(folder: Path, layers: Iterable[Path], limit: int | None) -> int:
    """The bytes of a file system with room for all layers; mke2fs makes an inode for 16 KiB each."""
    entries = chain.from_iterable(tar.entries(layer, limit, inside=folder) for layer in layers)
    return sum(map(_size, limited(entries, limit)))


def _size(entry: Entry) -> int:
    return (20 << 10) + (entry.content.size + entry.content.size // 50 if isinstance(entry, File) else 0)


def _manifest(layout: Layout) -> dict[str, Any]:
    """The descriptor of the image's manifest."""
    version = _parsed(layout.folder, layout.folder / "oci-layout")
    if not isinstance(version, dict) or version.get("imageLayoutVersion") != "1.0.0":
        raise MasterError("it is not an image layout of version 1.0.0")
    index = _parsed(layout.folder, layout.folder / "index.json")
    descriptors = _list(index, "manifests")
    if layout.tag is not None:
        tags = [str(_mapping(each, "annotations").get(_TAG)) for each in descriptors]
        descriptors = [each for each, tag in zip(descriptors, tags, strict=True) if tag == layout.tag]
        if not descriptors:
            raise MasterError(f"there is no image with the tag {quoted(layout.tag)}", f"there are: {_listed(tags)}")
    for _ in range(_DEPTH):
        descriptor = _chosen(descriptors, layout)
        if descriptor.get("mediaType") in _MANIFESTS:
            return descriptor
        if descriptor.get("mediaType") not in _INDEXES:
            raise MasterError(f"{quoted(str(descriptor.get('mediaType')))} is not an image")
        descriptors = _list(_document(layout.folder, descriptor), "manifests")
    raise MasterError("its indexes are nested too deeply")


def _chosen(descriptors: list[dict[str, Any]], layout: Layout) -> dict[str, Any]:
    fitting = [each for each in descriptors if _fits(each, layout.architecture)]
    if not fitting:
        raise MasterError(f"there is no image for linux/{layout.architecture} in it")
    if len(fitting) > 1:
        tags = sorted(str(_mapping(each, "annotations").get(_TAG, "one without")) for each in fitting)
        raise MasterError("there are several images in it", f"choose one with `tag:` of {_listed(tags)}")
    return fitting[0]


def _listed(tags: list[str]) -> str:
    return ", ".join([*map(_shown, tags[:_MOST_SHOWN]), *(["…"] if len(tags) > _MOST_SHOWN else [])])


def _shown(tag: str) -> str:
    return tag if _PLAIN.fullmatch(tag) else quoted(tag)


def _fits(descriptor: dict[str, Any], architecture: str) -> bool:
    platform = _mapping(descriptor, "platform")
    return not platform or (platform.get("os"), platform.get("architecture")) == ("linux", architecture)


def _checked_layer(folder: Path, descriptor: dict[str, Any]) -> Path:
    kind = descriptor.get("mediaType")
    if not isinstance(kind, str) or not _LAYER.fullmatch(kind):
        raise MasterError(f"a layer is of the unknown kind {quoted(str(kind))}")
    return _blob(folder, descriptor)


def _document(folder: Path, descriptor: dict[str, Any]) -> dict[str, Any]:
    """The JSON object that a descriptor stands for."""
    document = _parsed(folder, _blob(folder, descriptor))
    if not isinstance(document, dict):
        raise MasterError(f"{descriptor['digest']} is not what it should be")
    return document


def _blob(folder: Path, descriptor: dict[str, Any]) -> Path:
    """The file that a descriptor stands for, with its digest and size verified."""
    digest = descriptor.get("digest")
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None:
        raise MasterError(f"{quoted(str(digest))} is not a digest by SHA-256")
    path = folder / "blobs" / "sha256" / match[1]
    seen = hashlib.sha256()
    with input_file.open_regular(path, inside=folder) as file:
        # Nothing is read that cannot be right: a file of holes may have any size.
        size = os.fstat(file.fileno()).st_size
        while size == descriptor.get("size") and (data := file.read(CHUNK)):
            seen.update(data)
    if seen.hexdigest() != match[1] or size != descriptor.get("size"):
        raise MasterError(f"{path} is damaged: it is not what its digest and size say", "copy the image again")
    return path


def _parsed(folder: Path, path: Path) -> Any:  # noqa: ANN401  # whatever JSON has
    """What the JSON document at `path` in the layout `folder` has. Raises OSError, ValueError and RecursionError."""
    return json.loads(input_file.read(path, _LARGEST_DOCUMENT, inside=folder))


def _list(document: object, key: str) -> list[dict[str, Any]]:
    found = document.get(key) if isinstance(document, dict) else None
    if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
        raise MasterError(f"it has no {key}")
    return found


def _mapping(document: dict[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _join(above: str, name: str) -> str:
    return f"{above}/{name}" if above else name


@contextmanager
def _errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MasterError(f"{folder}: not an OCI image layout: {error.filename}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise MasterError(f"{folder}: not an OCI image layout: {error}") from error
    except (ImageError, MasterError) as error:
        raise MasterError(f"{folder}: {error.message}", error.hint) from error
