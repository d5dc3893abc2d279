"""Digests of files: equal for equal contents, however sparse the files are."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image.files import digest

pytestmark = pytest.mark.unit

KIB = 1 << 10
SIZES = st.sampled_from([0, 1, 4 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 200 * KIB, 256 * KIB])
PIECES = st.lists(
    st.tuples(st.integers(0, 255 * KIB), st.binary(min_size=1, max_size=3), st.sampled_from([1, 2 * KIB, 70 * KIB])),
    max_size=4,
)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Mostly zeros, with a few pieces of data that need not end where blocks do."""
    whole = bytearray(draw(SIZES))
    for offset, data, times in draw(PIECES):
        piece = (data * times)[: max(0, len(whole) - offset)]
        whole[offset : offset + len(piece)] = piece
    return bytes(whole)


def write_sparse(path: Path, data: bytes) -> Path:
    """A file with holes wherever there can be some."""
    with path.open("wb") as file:
        for offset in range(0, len(data), 4 * KIB):
            block = data[offset : offset + 4 * KIB]
            if any(block):
                file.seek(offset)
                file.write(block)
        file.truncate(len(data))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@given(data=contents())
def test_holes_count_as_zeros(folder: Path, data: bytes) -> None:
    (folder / "full").write_bytes(data)
    assert digest.of_file(write_sparse(folder / "sparse", data)) == digest.of_file(folder / "full")


@given(first=contents(), second=contents())
def test_other_contents_other_digest(folder: Path, first: bytes, second: bytes) -> None:
    digests = {digest.of_file(write_sparse(folder / "file", data)) for data in (first, second)}
    assert len(digests) == len({first, second})


@given(data=contents().filter(bool), position=st.integers(0, 256 * KIB), bit=st.integers(0, 7))
def test_every_bit_counts(folder: Path, data: bytes, position: int, bit: int) -> None:
    other = bytearray(data)
    other[position % len(data)] ^= 1 << bit
    (folder / "other").write_bytes(other)
    assert digest.of_file(write_sparse(folder / "file", data)) != digest.of_file(folder / "other")


def test_zeros_of_every_length_differ(folder: Path) -> None:
    sizes = [0, 1, 4 * KIB, 64 * KIB, 64 * KIB + 1, 1 << 40]
    assert len({digest.of_file(write_zeros(folder / "zeros", size)) for size in sizes}) == len(sizes)


def write_zeros(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path
