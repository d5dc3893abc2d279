"""What is on a disk, as blkid recognises it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from pipeline import process
from pipeline.errors import ImageError

_NOTHING_FOUND, _AMBIVALENT = 2, 8
"""Of blkid(8)."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What blkid says of a disk; None for what it does not say."""

    kind: str | None = None
    """As ext4, swap, crypto_LUKS."""
    partitions: str | None = None
    """The kind of partition table: dos or gpt."""
    uuid: str | None = None
    label: str | None = None

    def __str__(self) -> str:
        if self.partitions:
            return f"a partition table ({self.partitions})"
        return self.kind or "nothing that blkid knows"


def probe(image: Path) -> Probe:
    """What is on the disk `image`. Raises ImageError if it has marks of more than one thing, or ProcessError."""
    return Probe(*(_tag(image, tag) for tag in ("TYPE", "PTTYPE", "UUID", "LABEL")))


def kind(image: Path) -> str | None:
    """What is on the disk `image`, as ext4, swap, crypto_LUKS; None for nothing known. Raises as `probe` does."""
    return _tag(image, "TYPE")


def _tag(image: Path, tag: str) -> str | None:
    # One at a time: a label can have line breaks, and so pass for other tags.
    argv: list[str | Path] = ["blkid", "--probe", "--match-tag", tag, "--output", "value", image]
    completed = process.run(argv, codes=(0, _NOTHING_FOUND, _AMBIVALENT))
    if completed.code == _AMBIVALENT:
        raise ImageError(
            f"{image} has marks of more than one thing on it", f"look with: wipefs {shlex.quote(str(image))}"
        )
    return completed.stdout.removesuffix("\n") or None
