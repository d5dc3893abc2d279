"""A disk that becomes full at any point of any step: one clear error and nothing left, or the whole artifact."""

from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.errors import GuestfarmError
from pipeline.image.disk import base, root, swap
from pipeline.image.layer.entries import Digest, Entry, text
from tests.image import images
from tests.image.images import FILE_SYSTEMS, MIB, UUID_OF_BASES

PAGE = 4096  # what tmpfs hands out
PAGES = 8 * MIB // PAGE  # of `small_disk`
SIZE = 16 * MIB
MASTER: list[Entry] = [text(f"etc/{number}", "x" * 70 * number) for number in range(100)]
IDENTITY: list[Entry] = [text("etc/hostname", "guest\n"), text("etc/3", "changed"), text("new/file", "y" * 9000)]


def build_format(folder: Path, target: Path, filesystem: str) -> None:
    base.format(folder / f"{filesystem}.zero", target, filesystem, UUID_OF_BASES, allocate=False)


def build_populate(folder: Path, target: Path, filesystem: str) -> None:
    empty = folder / f"{filesystem}.format"
    base.populate(empty, target, MASTER, Digest().read(MASTER), allocate=False)


def build_adopt(folder: Path, target: Path, filesystem: str) -> None:
    image = folder / f"{filesystem}.root"
    base.adopt(image, target, 2 * SIZE, filesystem, base.of_image(image), allocate=False)


def build_root(folder: Path, target: Path, filesystem: str) -> None:
    root.build(folder / f"{filesystem}.root", target, lambda _: IDENTITY, UUID(int=7), allocate=False)


def build_swap(_folder: Path, target: Path, _filesystem: str) -> None:
    swap.build(target, MIB, UUID(int=8))


STEPS: Mapping[str, Callable[[Path, Path, str], None]] = {
    "format": build_format,
    "populate": build_populate,
    "adopt": build_adopt,
    "root": build_root,
    "swap": build_swap,
}


def attempt(build: Callable[[], None]) -> str | None:
    """What the user is told, if it fails."""
    try:
        build()
    except GuestfarmError as error:
        return error.message
    return None


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
@pytest.mark.parametrize("build", STEPS.values(), ids=STEPS)
def test_full_at_any_point(
    build: Callable[[Path, Path, str], None], filesystem: str, tmp_path: Path, small_disk: Path
) -> None:
    images.populated(tmp_path, MASTER, filesystem, SIZE)
    target, filler = small_disk / "target.img", small_disk / "filler"
    build(tmp_path, target, filesystem)
    whole, needed = target.read_bytes(), target.stat().st_blocks * 512 // PAGE
    target.unlink()
    messages = []
    for free in range(0, needed + 4, max(1, needed // 20)):
        filler.write_bytes(bytes((PAGES - free) * PAGE))
        message = attempt(lambda: build(tmp_path, target, filesystem))
        if message is None:
            assert target.read_bytes() == whole, f"{free} pages were free"
            target.unlink()
        else:
            messages.append(message)
        assert [path.name for path in small_disk.iterdir()] == ["filler"]
        filler.unlink()
    assert messages
    assert [message for message in messages if not message.startswith(f"{target}: the disk is full: ")] == []


def test_allocated_disks_are_refused_before_anything_is_written(tmp_path: Path, small_disk: Path) -> None:
    zeros, target = images.sparse(tmp_path / "zeros", SIZE), small_disk / "target.img"
    expected = f"{target}: the disk is full: about 8.0M more is needed, and 8.0M is free"
    assert attempt(lambda: base.zero(target, SIZE, allocate=True)) == expected
    assert attempt(lambda: base.format(zeros, target, "ext4", UUID(int=1), allocate=True)) == expected
    assert not list(small_disk.iterdir())


def test_what_was_there_stays(tmp_path: Path, small_disk: Path) -> None:
    images.populated(tmp_path, MASTER, "ext4", SIZE)
    target = small_disk / "target.img"
    build_root(tmp_path, target, "ext4")
    before = target.read_bytes()
    (small_disk / "filler").write_bytes(bytes(PAGES * PAGE - target.stat().st_blocks * 512 - 10 * PAGE))
    assert "the disk is full" in (attempt(lambda: build_root(tmp_path, target, "ext4")) or "")
    assert target.read_bytes() == before
