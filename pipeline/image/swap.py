"""Swap disks."""

from pathlib import Path
from uuid import UUID

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image import blank, probe
from pipeline.image.publish import publish, replace

RECIPE = 1
"""Raise it when the same settings give another swap disk: what was made by an older recipe is stale."""


def build(target: Path, size: int, uuid: UUID) -> None:
    """Make a swap disk of `size` bytes for guests with pages of 4 KiB. Raises ImageError or ProcessError."""
    with publish(target) as draft:
        blank.create(draft, size)
        _format(draft, uuid)


def rebuild(image: Path, size: int, *, allocate: bool) -> None:
    """Make the swap disk `image` anew with `size` bytes; UUID, label, owner and mode stay what they are.

    Raises ImageError, also if it holds a guest that sleeps, or ProcessError.
    """
    found = probe.probe(image)
    if found.kind != "swap" or found.uuid is None:
        raise ImageError(f"{image} is no swap disk: it has {found}", "a guest's memory may be on it")
    with replace(image, room=size if allocate else 0, allocated=allocate) as draft:
        blank.create(draft, size)
        if allocate:
            blank.allocate(draft)
        _format(draft, UUID(found.uuid), found.label)


def _format(image: Path, uuid: UUID, label: str | None = None) -> None:
    named = [] if label is None else ["--label", label]
    process.run(["mkswap", "--pagesize", "4096", "--uuid", str(uuid), *named, image])


def version() -> str:
    """The version of mkswap, as "mkswap from util-linux 2.38.1"."""
    return process.version("mkswap", "--version")
