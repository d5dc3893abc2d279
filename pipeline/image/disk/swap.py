"""Swap disks."""

from pathlib import Path
from uuid import UUID

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image.files import blkid, sparse
from pipeline.image.files.publish import publish, replace

RECIPE = 1
"""Raise it when the same settings give another swap disk: what was made by an older recipe is stale."""

_PAGE = 4096
"""Bytes of a guest's pages, and so of the header, which is all that mkswap(8) writes."""

_UUID = slice(1036, 1052)
"""Where the header has the UUID: sws_uuid in union swap_header of linux/swap.h."""

_MAGIC = b"SWAPSPACE2"
"""The end of the first page: union swap_header of linux/swap.h."""

_headers: dict[int, bytes] = {}
"""What mkswap wrote into disks of each size. It takes longer than all else about a swap disk, and in a run all of one
size differ by their UUID alone."""


def build(target: Path, size: int, uuid: UUID) -> None:
    """Make a swap disk of `size` bytes for guests with pages of 4 KiB. Raises ImageError or ProcessError."""
    with publish(target) as draft:
        sparse.create(draft, size)
        _format(draft, uuid)


def rebuild(image: Path, size: int, *, allocate: bool) -> None:
    """Make the swap disk `image` anew with `size` bytes; UUID, label, owner and mode stay what they are.

    Raises ImageError, also if it holds a guest that sleeps, or ProcessError.
    """
    found = check(image)
    with replace(image, room=size if allocate else 0, allocated=allocate) as draft:
        sparse.create(draft, size)
        if allocate:
            sparse.allocate(draft)
        _format(draft, UUID(found.uuid), found.label)


def check(image: Path) -> blkid.Probe:
    """What is on `image`. Raises ImageError unless it is a swap disk, also if it holds a guest that sleeps."""
    found = blkid.probe(image)
    if found.kind != "swap" or found.uuid is None:
        raise ImageError(f"{image}: is no swap disk: it has {found}", "a guest's memory may be on it")
    return found


def read_uuid(image: Path) -> UUID | None:
    """The UUID of the swap area in `image`; None if it has none, or one of another size of pages. Raises OSError."""
    with image.open("rb") as file:
        header = file.read(_PAGE)
    return UUID(bytes=header[_UUID]) if len(header) == _PAGE and header.endswith(_MAGIC) else None


def _format(image: Path, uuid: UUID, label: str | None = None) -> None:
    size = image.stat().st_size
    if label is None and size in _headers:
        header = bytearray(_headers[size])
        header[_UUID] = uuid.bytes
        with image.open("r+b") as file:
            file.write(header)
        return
    named = [] if label is None else ["--label", label]
    process.run(["mkswap", "--pagesize", str(_PAGE), "--uuid", str(uuid), *named, image])
    if label is None:
        with image.open("rb") as file:
            _headers[size] = file.read(_PAGE)


def version() -> str:
    """The version of mkswap, as "mkswap from util-linux 2.38.1"."""
    return process.version("mkswap", "--version")
