"""Digests of files, in which a hole counts as the zeros that it stands for, and is not read."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from pipeline import input_file
from pipeline.image.files.clone import data_runs

_CHUNK = 1 << 16
_ZEROS = bytes(_CHUNK)


def of_file(path: Path) -> str:
    """A SHA-256 over the size of the file and its chunks that are not all zeros; 64 hexadecimal digits.

    Equal contents have equal digests however sparse the files are; it costs what reading the data costs. This is not
    what sha256sum prints. Raises OSError.
    """
    with input_file.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(b"%d" % size)
        for number in _chunks_with_data(file.fileno(), size):
            data = os.pread(file.fileno(), _CHUNK, number * _CHUNK)
            if data != _ZEROS[: len(data)]:
                digest.update(b"%d:" % number)
                digest.update(data)
    return digest.hexdigest()


def _chunks_with_data(descriptor: int, size: int) -> Iterator[int]:
    following = 0
    for start, end in data_runs(descriptor, size):
        yield from range(max(start // _CHUNK, following), -(-end // _CHUNK))
        following = -(-end // _CHUNK)
