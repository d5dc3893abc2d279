"""Tar files as layers: read from plain, gz, xz and zst archives, and written reproducibly."""

import gzip
import lzma
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Self, cast

from pipeline.errors import ImageError, MasterError
from pipeline.image import acl
from pipeline.image.layer import (
    CHUNK,
    Content,
    Directory,
    Entry,
    File,
    HardLink,
    Kind,
    Layer,
    Metadata,
    Removal,
    Special,
    Symlink,
    relative,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_XATTR = "SCHILY.xattr."
"""The prefix of extended attributes in pax headers; see star(5)."""

_ACLS = {"SCHILY.acl.access": acl.ACCESS, "SCHILY.acl.default": acl.DEFAULT}
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, zstd.ZstdError, UnicodeError)
_SPECIAL = {tarfile.BLKTYPE: Kind.BLOCK, tarfile.CHRTYPE: Kind.CHARACTER, tarfile.FIFOTYPE: Kind.FIFO}


def entries(path: Path) -> Iterator[Entry]:
    """What is in the tar file at `path`, in its own order.

    A file's contents can be read until the next entry is asked for. Raises MasterError when the archive is damaged, cut
    off, or has a member that no root file system can hold.
    """
    with _opened(path) as archive:
        for member in archive:
            yield _entry(archive, member)


def write(layer: Layer, file: IO[bytes]) -> None:
    """Write `layer` to `file` as a pax archive: the same layer gives the same bytes."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for entry in layer:
            _add(archive, entry)


class _StrictTarInfo(tarfile.TarInfo):
    """TarFile takes a broken header in the middle of an archive for its end; here it is an error."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed leaves out the exceptions of headers
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged or cut off: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with (
            path.open("rb") as packed,
            _unpacked(packed) as plain,
            tarfile.open(fileobj=plain, mode="r:", tarinfo=_StrictTarInfo, encoding="utf-8") as archive,
        ):
            yield archive
    except _BROKEN as error:
        raise MasterError(f"{path}: cannot be read as a tar file: {error}") from error
    except ImageError as error:
        raise MasterError(f"{path}: {error.message}", error.hint) from error


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


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    path = relative(member.name)
    if member.islnk():
        return HardLink(path, relative(member.linkname))
    metadata = _metadata(member)
    if member.isdir():
        return Directory(path, metadata)
    if not path:
        raise ImageError("the root of the file system is not a directory in the archive")
    if member.issym():
        return Symlink(path, metadata, member.linkname)
    if member.isreg():
        return File(path, metadata, Content(member.size, lambda: _chunks(archive, member)))
    if member.type in _SPECIAL:
        return Special(path, metadata, _SPECIAL[member.type], member.devmajor, member.devminor)
    raise ImageError(f"{member.name!r} is of a kind that file systems do not have: {member.type!r}")


def _chunks(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[tuple[int, bytes]]:
    source = cast(IO[bytes], archive.extractfile(member))  # only directories and links have none
    runs = cast(list[tuple[int, int]], member.sparse) if member.sparse is not None else [(0, member.size)]
    for start, size in runs:
        for offset in range(start, start + size, CHUNK):
            source.seek(offset)
            data = source.read(min(CHUNK, start + size - offset))
            if len(data) != min(CHUNK, start + size - offset):
                raise tarfile.ReadError(f"{member.name!r} is cut off")
            yield offset, data


def _metadata(member: tarfile.TarInfo) -> Metadata:
    pax = member.pax_headers
    xattrs = {
        key.removeprefix(_XATTR): value.encode("utf-8", "surrogateescape")
        for key, value in pax.items()
        if key.startswith(_XATTR)
    }
    for key, name in _ACLS.items():
        if pax.get(key):
            xattrs[name] = acl.parse(pax[key])
    # TarInfo has the time as a float, which cannot hold nanoseconds since 1970.
    mtime = int(Decimal(pax["mtime"]) * 10**9) if "mtime" in pax else int(member.mtime) * 10**9
    return Metadata(
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime=mtime,
        xattrs=tuple(sorted(xattrs.items())),
    )


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    member = tarfile.TarInfo(f"./{entry.path}" if entry.path else ".")
    if isinstance(entry, Removal):
        raise ImageError(f"{entry.path!r}: a removal cannot be written to a tar file")
    if isinstance(entry, HardLink):
        member.type = tarfile.LNKTYPE
        member.linkname = f"./{entry.target}"
        archive.addfile(member)
        return
    metadata = entry.metadata
    member.mode, member.uid, member.gid = metadata.mode, metadata.uid, metadata.gid
    seconds, nanoseconds = divmod(metadata.mtime, 10**9)
    member.mtime = seconds
    pax = {_XATTR + name: value.decode("utf-8", "surrogateescape") for name, value in metadata.xattrs}
    member.pax_headers = pax | ({"mtime": f"{seconds}.{nanoseconds:09d}"} if nanoseconds else {})
    match entry:
        case File():
            member.size = entry.content.size
            archive.addfile(member, cast(IO[bytes], _Reader(entry.content)))
            return
        case Directory():
            member.type = tarfile.DIRTYPE
        case Symlink():
            member.type, member.linkname = tarfile.SYMTYPE, entry.target
        case Special(kind=Kind.SOCKET):
            raise ImageError(f"{entry.path!r} is a socket, which tar files cannot hold")
        case Special():
            member.type = next(code for code, kind in _SPECIAL.items() if kind is entry.kind)
            member.devmajor, member.devminor = entry.major, entry.minor
    archive.addfile(member)


class _Reader:
    """A content as the file object that TarFile reads from, its holes filled with zeros."""

    def __init__(self, content: Content) -> None:
        self._bytes = self._filled(content)
        self._buffer = b""

    @staticmethod
    def _filled(content: Content) -> Iterator[bytes]:
        end = 0
        for offset, data in (*content.chunks(), (content.size, b"")):
            for start in range(end, offset, CHUNK):
                yield bytes(min(CHUNK, offset - start))
            yield data
            end = offset + len(data)

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = next(self._bytes, None)
            if data is None:
                break
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data
