"""File system images for the tests, and what e2fsprogs' own tools say about them."""

import re
import subprocess
from array import array
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from pipeline.image.disk import base
from pipeline.image.layer.entries import Digest, Entry
from tests.machine import PATH, run

MIB = 1 << 20
UUID_OF_BASES = UUID("11111111-2222-4333-8444-555555555555")
LONG_AGO = {"E2FSPROGS_FAKE_TIME": "1000000000"}
FILE_SYSTEMS = ["ext2", "ext3", "ext4"]


def sparse(path: Path, size: int) -> Path:
    with path.open("xb") as file:
        file.truncate(size)
    return path


def formatted(folder: Path, filesystem: str = "ext4", size: int = 16 * MIB, *, allocate: bool = False) -> Path:
    """An empty file system as Guestfarm makes it."""
    zeros, image = folder / f"{filesystem}.zero", folder / f"{filesystem}.format"
    base.zero(zeros, size, allocate=allocate)
    base.format(zeros, image, filesystem, UUID_OF_BASES, allocate=allocate)
    return image


def populated(
    folder: Path, layer: Sequence[Entry], filesystem: str = "ext4", size: int = 16 * MIB, *, allocate: bool = False
) -> Path:
    """A base with the files of `layer`."""
    image = folder / f"{filesystem}.root"
    empty = formatted(folder, filesystem, size, allocate=allocate)
    base.populate(empty, image, layer, Digest().read(layer), allocate=allocate)
    return image


def handmade(path: Path, *options: str, size: int = 16 * MIB) -> Path:
    """What mke2fs makes by the host's rules; and so long ago that it is not fresh from a check when it is mounted."""
    run("mke2fs", "-q", "-F", *options, sparse(path, size), env=LONG_AGO)
    return path


def check(image: Path) -> None:
    """Assert that e2fsck finds nothing to say."""
    run("e2fsck", "-f", "-n", image)


def header(image: Path) -> dict[str, str]:
    """The superblock as dumpe2fs shows it."""
    lines = run("dumpe2fs", "-h", image).splitlines()
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def blkid(image: Path) -> dict[str, str]:
    lines = run("blkid", "--probe", "--output", "export", image).splitlines()
    return dict(line.split("=", 1) for line in lines)


def is_sparse(path: Path) -> bool:
    """Whether a file has holes."""
    status = path.stat()
    return status.st_blocks * 512 < status.st_size


def times_in(image: Path, moments: range) -> set[int]:
    """Which of these seconds since 1970 are in an image: in superblocks and inodes, they are numbers of 32 bits."""
    return set(array("I", image.read_bytes())) & set(moments)


def debugfs(image: Path, request: str) -> bytes:
    """What debugfs prints; its exit code is 0 even after errors, but then it says so on the other output."""
    completed = subprocess.run(
        ["debugfs", "-R", request, image], env={"PATH": PATH, "LC_ALL": "C"}, capture_output=True, check=True
    )
    assert len(completed.stderr.splitlines()) == 1, completed.stderr  # its version
    return completed.stdout


def cat(image: Path, path: str) -> str:
    """The text of a file; it must be one, since of a symlink debugfs would print nothing."""
    assert "Type: regular" in stat(image, path)
    return debugfs(image, f'cat "/{path}"').decode()


def stat(image: Path, path: str) -> str:
    return debugfs(image, f'stat "/{path}"').decode(errors="surrogateescape")


def mode(image: Path, path: str) -> str:
    """Type and permissions, as in `regular 0644`."""
    match = re.search(r"Type: (.+?) +Mode: +(\d+)", stat(image, path))
    assert match
    return f"{match[1]} {match[2]}"


def leads_to(image: Path, path: str) -> str:
    """Where a symlink leads."""
    match = re.search(r'Fast link dest: "(.*)"', stat(image, path))
    return match[1] if match else debugfs(image, f'cat "/{path}"').decode()


def names(image: Path, path: str) -> list[str]:
    """The names in a directory, sorted, without its own two."""
    lines = debugfs(image, f'ls -p "/{path}"').decode(errors="surrogateescape").split("\n")
    return sorted({line.split("/")[5] for line in lines if line.startswith("/")} - {".", "..", ""})


def is_indexed(image: Path, path: str) -> bool:
    """Whether a directory has an htree, by EXT2_INDEX_FL of ext2_fs.h."""
    match = re.search(r"Flags: 0x([0-9a-f]+)", stat(image, path))
    assert match
    return bool(int(match[1], 16) & 0x1000)
