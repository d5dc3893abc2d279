"""Tar files opened for reading: plain, or packed by gzip, xz or zstd; damaged ones are refused."""

import gzip
import io
import lzma
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, cast

from pipeline import input_file
from pipeline.errors import ImageError, MasterError
from pipeline.image.layer.entries import CHUNK

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BROKEN = (
    *(tarfile.TarError, zlib.error, lzma.LZMAError, zstd.ZstdError, EOFError, OSError),
    *(ValueError, ArithmeticError, LookupError, RecursionError),  # tarfile's, for headers that make no sense
)

_HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_LONGEST_HEADER = 1 << 22
"""Bytes; TarFile holds such headers in memory. The longest real ones list the data of a sparse file."""
_HEADERS_PER_MEMBER = 1 << 12
"""Bytes of headers that members have on average, at most: one of 512 and two of pax are the usual, see pax(1)."""
_LINES_PER_MEMBER = 16
"""Lines in those: each of pax's records is one at least, and takes as long as many other bytes."""
_MOST_LINES = 1 << 18
"""Lines that members may have saved: maps of sparse files have two for each piece of data."""
_MOST_GLOBAL_HEADERS = 1 << 16
"""Characters of those that pax has for all members that follow. TarFile copies them for each."""
_LONGEST_END = 1 << 26
"""Bytes that may follow the archive's end: tar(1) fills up a record, of 10 KiB if not told otherwise."""
_XZ_MEMORY = 1 << 28
"""Bytes of memory that an xz file may ask for: `xz -9` needs 65 MiB to unpack, see xz(1)."""
_ZSTD_WINDOW = 27
"""The base-2 logarithm of the bytes: as much as zstd(1) allows without --long."""


class Archive:
    """A tar file that is read from its start to its end, without a memory of the members that were read."""

    def __init__(self, plain: IO[bytes]) -> None:
        self._metered = _Metered(plain)
        self.file = tarfile.open(  # noqa: SIM115  # it has nothing to close but `plain`, which is its opener's
            fileobj=cast(IO[bytes], self._metered), mode="r:", tarinfo=_StrictTarInfo, encoding="utf-8"
        )

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        while True:
            self._metered.header()
            member = self.file.next()
            self._metered.contents()
            if member is None:
                return
            if self.file.pax_headers and sum(map(len, self.file.pax_headers.values())) > _MOST_GLOBAL_HEADERS:
                raise tarfile.ReadError("its global headers are too long")
            self.file.members.clear()  # type: ignore[attr-defined]  # typeshed has none of its attributes
            yield member


@contextmanager
def opened(path: Path, inside: Path | None = None) -> Iterator[Archive]:
    """The archive at `path`; when the block ends, the rest is read, so that every checksum is compared.

    Below the folder `inside` no symlink is followed.
    """
    with input_file.open_regular(path, inside=inside) as packed, _unpacked(packed) as plain:
        yield Archive(plain)
        rest = 0
        while data := plain.read(CHUNK):
            rest += len(data)
            if rest > _LONGEST_END:
                raise tarfile.ReadError("more follows its end than an archive has there")


class _Metered:
    """A file for TarFile, which takes whatever time and memory headers ask for: of those that come, each adds a bit."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._bytes, self._lines = 2 * _LONGEST_HEADER, _MOST_LINES
        self._is_header = True

    def header(self) -> None:
        """What is read from now on are headers."""
        self._bytes = min(self._bytes + _HEADERS_PER_MEMBER, 2 * _LONGEST_HEADER)
        self._lines = min(self._lines + _LINES_PER_MEMBER, _MOST_LINES)
        self._is_header = True

    def contents(self) -> None:
        """What is read from now on are files' contents."""
        self._is_header = False

    def read(self, size: int) -> bytes:
        if not self._is_header:
            return self._file.read(size)
        self._bytes -= size
        if self._bytes >= 0:  # else it might be more than all memory
            data = self._file.read(size)
            self._lines -= data.count(b"\n")
        if self._bytes < 0 or self._lines < 0:
            raise tarfile.ReadError("its headers are longer than any real ones")
        return data

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._file.seekable()


class _Xz(io.RawIOBase):
    """What an xz file has in it. LZMAFile of Python has no limit of memory."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._place = 0
        self._start()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("the end is not known before it is reached")
        if place < self._place:
            self._packed.seek(0)
            self._place = 0
            self._start()
        while self._place < place and (data := self._more(min(CHUNK, place - self._place))):
            self._place += len(data)
        return self._place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._more(len(view))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _start(self) -> None:
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def _more(self, size: int) -> bytes:
        """At most so many bytes, and none only at the end."""
        while size:
            data = b""
            if self._unpacker.eof:
                data = self._unpacker.unused_data.lstrip(b"\0")  # padding: 2.2 of the .xz File Format
                while not data and (piece := self._packed.read(CHUNK)):
                    data = piece.lstrip(b"\0")
                if not data:
                    return b""
                self._start()
            elif self._unpacker.needs_input and not (data := self._packed.read(CHUNK)):
                raise EOFError("the compressed file is cut off")
            if unpacked := self._unpacker.decompress(data, size):
                return unpacked
        return b""


@contextmanager
def master_errors(path: Path) -> Iterator[None]:
    """Whatever goes wrong with the archive at `path` in the block, as MasterError."""
    try:
        yield
    except input_file.UnfitFileError as error:
        raise MasterError(f"{path}: {error.strerror}") from error
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
        yield cast(IO[bytes], io.BufferedReader(_Xz(packed), CHUNK))
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        with zstd.open(packed, options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW}) as plain:
            yield cast(IO[bytes], plain)
    else:
        yield packed
