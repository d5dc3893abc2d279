"""Digests of contents: that of a clone follows from its base, and from where it was written to."""

import os
import random
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.image.disk import base, root
from pipeline.image.files.content import CHUNK, Chunks
from pipeline.image.layer.entries import Content, File, Metadata

pytestmark = pytest.mark.unit

SIZE = 40 * CHUNK + 100
CHANCES = 60


def sparse(path: Path, chance: random.Random) -> None:
    """A file with data here and there."""
    with path.open("wb") as file:
        file.truncate(SIZE)
        for _ in range(chance.randrange(8)):
            file.seek(chance.randrange(SIZE - 1))
            file.write(chance.randbytes(chance.randrange(1, 2 * CHUNK))[: SIZE - file.tell()])


@pytest.mark.parametrize("seed", range(CHANCES))
def test_the_digest_of_a_clone_is_derived(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = tmp_path / "image"
    sparse(path, chance)
    before = Chunks.of(path)
    written = []
    with path.open("r+b") as file:
        for _ in range(chance.randrange(6)):
            start = chance.randrange(SIZE - 1)
            length = min(chance.randrange(1, 3 * CHUNK), SIZE - start)
            data = bytes(length) if chance.random() < 0.5 else chance.randbytes(length)
            file.seek(start)
            file.write(data)
            written.append((start, start + len(data)))
    assert before.of_clone(path, written).digest() == Chunks.of(path).digest()


def test_holes_are_zeros(tmp_path: Path) -> None:
    sparse_file, full = tmp_path / "sparse", tmp_path / "full"
    sparse(sparse_file, random.Random(1))
    full.write_bytes(sparse_file.read_bytes())
    assert sparse_file.stat().st_blocks < full.stat().st_blocks
    assert Chunks.of(sparse_file).digest() == Chunks.of(full).digest()


@pytest.mark.parametrize("place", [0, CHUNK - 1, SIZE - 1])
def test_a_bit_is_enough(tmp_path: Path, place: int) -> None:
    path = tmp_path / "image"
    sparse(path, random.Random(2))
    before = Chunks.of(path).digest()
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    assert Chunks.of(path).digest() != before
    os.truncate(path, SIZE + 1)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([byte]))
    assert Chunks.of(path).digest() != before


def test_they_can_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "image"
    sparse(path, random.Random(3))
    chunks = Chunks.of(path)
    assert Chunks.unpack(chunks.pack()).digest() == chunks.digest()
    for odd in (b"", b"x", chunks.pack()[:-1], chunks.pack() + b"x"):
        with pytest.raises(ValueError, match="no digests of chunks"):
            Chunks.unpack(odd)


@pytest.mark.parametrize("filesystem", ["ext2", "ext3", "ext4"])
@pytest.mark.parametrize("allocate", [False, True])
def test_of_a_guests_disk_it_is_known_where_it_was_written_to(tmp_path: Path, filesystem: str, allocate: bool) -> None:
    zero, formatted, guest = (tmp_path / name for name in ("zero.img", "format.img", "root.img"))
    base.zero(zero, 16 << 20, allocate=allocate)
    base.format(zero, formatted, filesystem, UUID(int=1), allocate=allocate)
    layer = [File(f"file{number}", Metadata(mode=0o644), Content.of(b"x" * 9000)) for number in range(40)]
    clone = root.build(formatted, guest, lambda _: layer, UUID(int=7), allocate=allocate)
    assert clone is not None
    assert clone.image == guest
    assert clone.base == formatted
    written = list(clone.written)
    assert written
    assert Chunks.of(formatted).of_clone(guest, written).digest() == Chunks.of(guest).digest()
