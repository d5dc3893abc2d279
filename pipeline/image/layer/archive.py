"""Tar files opened for reading: plain, or packed by gzip, xz or zstd; damaged ones are refused."""

import gzip
import lzma
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self, cast

from pipeline.errors import ImageError, MasterError
from pipeline.image.layer.entries import CHUNK

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BROKEN = (
    *(tarfile.TarError, zlib.error, lzma.LZMAError, zstd.ZstdError, EOFError, OSError),
    *(ValueError, ArithmeticError, LookupError),  # tarfile's, for headers that make no sense
)

_HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_LONGEST_HEADER = 1 << 24
"""Bytes; TarFile holds such headers in memory. The longest real ones list the data of a sparse file."""


@contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The archive at `path`; when the block ends, the rest is read, so that every checksum is compared."""
    with (
        path.open("rb") as packed,
        _unpacked(packed) as plain,
        tarfile.open(fileobj=plain, mode="r:", tarinfo=_StrictTarInfo, encoding="utf-8") as archive,
    ):
        yield archive
        while plain.read(CHUNK):
            pass


@contextmanager
def master_errors(path: Path) -> Iterator[None]:
    """Whatever goes wrong with the archive at `path` in the block, as MasterError."""
    try:
        yield
    except _BROKEN as error:
        raise MasterError(f"{path}: cannot be read as a tar file: {error}") from error
    except ImageError as error:
        raise MasterError(f"{path}: {error.message}", error.hint) from error


class _StrictTarInfo(tarfile.TarInfo):
    """TarFile takes a broken header in the middle of an archive for its end, and so it does the end of the file.

    Here both are errors, and so are sizes that would take it back in the archive, or all memory.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed leaves out the exceptions of headers
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged or cut off: {error}") from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in _HEADERS and header.size > _LONGEST_HEADER):
            raise tarfile.ReadError(f"damaged: a header says that {header.size} bytes follow")
        return header


@contextmanager
def _unpacked(packed: IO[bytes]) -> Iterator[IO[bytes]]:
    magic = packed.read(6)
    packed.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        with gzip.open(packed) as plain:
            yield cast(IO[bytes], plain)
    elif magic == b"\xfd7zXZ\0":
        with lzma.open(packed) as plain:
            yield cast(IO[bytes], plain)
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        with zstd.open(packed) as plain:
            yield cast(IO[bytes], plain)
    else:
        yield packed
