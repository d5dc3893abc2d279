"""Swap disks."""

from pathlib import Path
from uuid import UUID

from pipeline import process
from pipeline.image import blank
from pipeline.image.publish import publish

RECIPE = 1
"""Raise it when the same settings give another swap disk: what was made by an older recipe is stale."""


def build(target: Path, size: int, uuid: UUID) -> None:
    """Make a swap disk of `size` bytes for guests with pages of 4 KiB. Raises ImageError or ProcessError."""
    with publish(target) as draft:
        blank.create(draft, size)
        process.run(["mkswap", "--pagesize", "4096", "--uuid", str(uuid), draft])


def version() -> str:
    """The version of mkswap, as "mkswap from util-linux 2.38.1"."""
    return process.version("mkswap", "--version")
