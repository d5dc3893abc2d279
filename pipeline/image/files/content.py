"""Digests of contents, from which that of a clone can be derived: a guest's disk is a base with a few other blocks.

The digest of a file is one over the digests of its chunks. Who knows those of a base, and which bytes of a clone were
written to, has to read no more than these to know the digest of the clone: a millisecond, where to read all of it takes
half a second.
"""

import hashlib
import os
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.image.files.clone import data_runs

CHUNK = 1 << 15
"""Bytes. Smaller ones make more digests, larger ones have more to read around a block that was written."""

_ZEROS = bytes(CHUNK)
_DIGEST = 16
"""Bytes of a SHA-256, which processors have instructions for, unlike for others."""

_NUMBERS = 8


class Chunks:
    """The digests of those chunks of a file that are not all zeros."""

    __slots__ = ("_digests", "_numbers", "size")

    def __init__(self, size: int, numbers: Sequence[int], digests: bytes) -> None:
        self.size = size
        self._numbers = numbers
        self._digests = digests

    @classmethod
    def of(cls, path: Path) -> "Chunks":
        """Those of the file at `path`; holes are not read. Raises OSError."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return cls(size, *_digested(file.fileno(), _with_data(file.fileno(), size)))

    @classmethod
    def unpack(cls, packed: bytes) -> "Chunks":
        """What was packed. Raises ValueError if `packed` is something else."""
        count, odd = divmod(len(packed) - _NUMBERS, _NUMBERS + _DIGEST)
        if odd or count < 0:
            raise ValueError("these are no digests of chunks")
        size, *numbers = struct.unpack_from(f"<{count + 1}Q", packed)
        return cls(size, numbers, packed[_NUMBERS * (count + 1) :])

    def pack(self) -> bytes:
        """All of it, as bytes."""
        return struct.pack(f"<{len(self._numbers) + 1}Q", self.size, *self._numbers) + self._digests

    def of_clone(self, path: Path, written: Iterable[tuple[int, int]]) -> "Chunks":
        """Those of a clone at `path`, to which nothing was written outside of `written`, as (start, end) in bytes.

        It has the size of what it was cloned from. Raises OSError.
        """
        touched = sorted({number for start, end in written for number in range(start // CHUNK, -(-end // CHUNK))})
        with path.open("rb") as file:
            # All that is not zeros is listed, so what became zeros has to leave the list.
            now, digests = _digested(file.fileno(), touched)
        found = {number: digests[at * _DIGEST : (at + 1) * _DIGEST] for at, number in enumerate(now)}
        numbers: list[int] = []
        pieces: list[bytes] = []
        done = 0
        for number in touched:
            at = bisect_left(self._numbers, number, done)
            numbers += self._numbers[done:at]
            pieces.append(self._digests[done * _DIGEST : at * _DIGEST])
            if number in found:
                numbers.append(number)
                pieces.append(found[number])
            done = at + 1 if at < len(self._numbers) and self._numbers[at] == number else at
        numbers += self._numbers[done:]
        pieces.append(self._digests[done * _DIGEST :])
        return Chunks(self.size, numbers, b"".join(pieces))

    def digest(self) -> str:
        """The digest of the file, as hexadecimal digits; equal for equal contents, however sparse the file is."""
        return hashlib.sha256(self.pack()).hexdigest()


def _digested(descriptor: int, chunks: Iterable[int]) -> tuple[list[int], bytes]:
    numbers, digests = [], []
    for number in chunks:
        data = os.pread(descriptor, CHUNK, number * CHUNK)
        if data != _ZEROS[: len(data)]:
            numbers.append(number)
            digests.append(hashlib.sha256(data).digest()[:_DIGEST])
    return numbers, b"".join(digests)


def _with_data(descriptor: int, size: int) -> Iterator[int]:
    following = 0
    for start, end in data_runs(descriptor, size):
        yield from range(max(start // CHUNK, following), -(-end // CHUNK))
        following = -(-end // CHUNK)


class Clone(NamedTuple):
    """An image that is a clone of `base`, and where it was written to since, as (start, end) in bytes."""

    image: Path
    base: Path
    written: Iterable[tuple[int, int]]
