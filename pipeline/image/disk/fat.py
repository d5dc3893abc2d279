"""FAT file systems, by the programs of dosfstools and mtools: the same settings and files give the same bytes."""

from pathlib import Path

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image.files import sparse
from pipeline.image.layer.entries import EPOCH

_ENVIRONMENT = {"SOURCE_DATE_EPOCH": str(EPOCH), "MTOOLSRC": "/dev/null"}


def check_programs(purpose: str) -> None:
    """Raise ImageError if a program is missing that makes FAT file systems; `purpose` says who needs one."""
    for name, package in (("mkfs.vfat", "dosfstools"), ("mcopy", "mtools")):
        if not process.available(name):
            raise ImageError(f"{name} is not installed", f"{purpose} needs it; Debian has it in {package}")


def create(image: Path, size: int, label: str, volume_id: int | None = None) -> None:
    """Make `image`, a new file or an empty draft, of `size` bytes with an empty FAT12 file system.

    It has up to some megabytes, and its owner alone can read it. The label keeps its case; `volume_id` has 32 bits.
    Raises OSError or ProcessError.
    """
    sparse.create(image, size)
    named = ["-n", label, *(["-i", f"{volume_id:08x}"] if volume_id is not None else [])]
    process.run(["mkfs.vfat", "-F", "12", "--invariant", *named, image], environment=_ENVIRONMENT)


def make_directories(image: Path, *paths: str) -> None:
    """Make directories at absolute `paths`, each after those above it. Raises ProcessError."""
    process.run(["mmd", "-i", image, *(f"::{path}" for path in paths)], environment=_ENVIRONMENT)


def copy(image: Path, file: Path, path: str) -> None:
    """Copy `file`, with the time of its last change, to the absolute `path`. Raises ProcessError."""
    process.run(["mcopy", "-m", "-i", image, file, f"::{path}"], environment=_ENVIRONMENT)


def version() -> str:
    """The version of dosfstools, as "mkfs.fat 4.2 (2021-01-31)"; "none" where they are missing."""
    return process.version("mkfs.vfat", "--help") if process.available("mkfs.vfat") else "none"
