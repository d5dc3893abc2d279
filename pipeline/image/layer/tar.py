"""Tar files as layers: read from plain, gz, xz and zst archives, and written reproducibly."""

import tarfile
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import IO, cast

from pipeline.errors import ImageError
from pipeline.image.layer import acl
from pipeline.image.layer.archive import master_errors, opened
from pipeline.image.layer.entries import (
    CHUNK,
    Allowance,
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

_XATTR = "SCHILY.xattr."
"""The prefix of extended attributes in pax headers; see star(5). GNU tar writes % and = in names as %25 and %3D."""

_ACLS = {"SCHILY.acl.access": acl.ACCESS, "SCHILY.acl.default": acl.DEFAULT}
_LARGEST_ID = 2**32 - 2
"""Of users and groups: the last but one number of 32 bits; -1 means none, as in chown(2)."""

_SPECIAL = {tarfile.BLKTYPE: Kind.BLOCK, tarfile.CHRTYPE: Kind.CHARACTER, tarfile.FIFOTYPE: Kind.FIFO}


def entries(path: Path, limit: int | None = None, *, inside: Path | None = None) -> Iterator[Entry]:
    """What is in the tar file at `path`, in its own order.

    A file's contents can be read until the next entry is asked for. Below the folder `inside` no symlink is followed.
    Raises MasterError when the archive is damaged, cut off, has a member that no root file system can hold, or has more
    in it than the Allowance of a file system of `limit` bytes, holes not counted.
    """
    with master_errors(path), opened(path, inside) as archive:
        allowance = Allowance(limit)
        for member in archive:
            allowance.take(sum(end - start for start, end in _data_runs(member)) if member.isreg() else 0)
            yield _entry(path, archive.file, member)


def write(layer: Layer, file: IO[bytes]) -> None:
    """Write `layer` to `file` as a pax archive: the same layer gives the same bytes."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for entry in layer:
            _add(archive, entry)


def _entry(file: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
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
        return File(path, metadata, Content(member.size, lambda: _chunks(file, archive, member)))
    if member.type in _SPECIAL:
        return Special(path, metadata, _SPECIAL[member.type], member.devmajor, member.devminor)
    raise ImageError(f"{member.name!r} is of a kind that file systems do not have: {member.type!r}")


def _chunks(file: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[tuple[int, bytes]]:
    with master_errors(file):
        # What has no holes is read right from the archive, which is a good deal faster.
        whole = member.sparse is None
        source = cast(IO[bytes], archive.fileobj if whole else archive.extractfile(member))
        begin = member.offset_data if whole else 0
        for start, end in _data_runs(member):
            for offset in range(start, end, CHUNK):
                source.seek(begin + offset)
                data = source.read(min(CHUNK, end - offset))
                if len(data) != min(CHUNK, end - offset):
                    raise tarfile.ReadError(f"{member.name!r} is cut off")
                yield offset, data


def _data_runs(member: tarfile.TarInfo) -> Iterator[tuple[int, int]]:
    """Where a file has data rather than holes, as (start, end) in bytes."""
    sparse = cast(list[tuple[int, int]] | None, member.sparse)
    runs = [(0, member.size)] if sparse is None else [run for run in sparse if run[1]]  # empty ones fill up headers
    end = 0
    for start, size in runs:
        if start < end or size < 0 or start + size > member.size:
            raise tarfile.ReadError(f"{member.name!r}: its holes make no sense")
        end = start + size
        yield start, end


def _metadata(member: tarfile.TarInfo) -> Metadata:
    pax = member.pax_headers
    xattrs = {
        key.removeprefix(_XATTR).replace("%3D", "=").replace("%25", "%"): value.encode("utf-8", "surrogateescape")
        for key, value in pax.items()
        if key.startswith(_XATTR)
    }
    for key, name in _ACLS.items():
        if pax.get(key) and name not in xattrs:  # with --xattrs GNU tar has both, and this one without numbers
            xattrs[name] = acl.parse(pax[key])
    if not (0 <= member.uid <= _LARGEST_ID and 0 <= member.gid <= _LARGEST_ID):
        raise ImageError(f"{member.name!r} belongs to {member.uid}:{member.gid}, and there is no such owner")
    return Metadata(
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime=_mtime(member),
        xattrs=tuple(sorted(xattrs.items())),
    )


def _mtime(member: tarfile.TarInfo) -> int:
    # TarInfo has the time as a float, which cannot hold nanoseconds since 1970.
    seconds = Decimal(member.pax_headers["mtime"] if "mtime" in member.pax_headers else int(member.mtime))
    if not -(2**63) < seconds < 2**63:
        raise ImageError(f"{member.name!r} was changed at {seconds}, and there is no such time")
    return int(seconds * 10**9)


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
    member.mtime = metadata.mtime // 10**9
    pax = {
        _XATTR + name.replace("%", "%25").replace("=", "%3D"): value.decode("utf-8", "surrogateescape")
        for name, value in metadata.xattrs
    }
    member.pax_headers = pax | ({"mtime": f"{Decimal(metadata.mtime).scaleb(-9):f}"} if metadata.mtime % 10**9 else {})
    match entry:
        case File():
            member.size = entry.content.size
            contents = _Reader(entry.content)
            archive.addfile(member, cast(IO[bytes], contents))
            contents.finish()
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
        for offset, data in chain(content.chunks(), [(content.size, b"")]):
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

    def finish(self) -> None:
        """Come to the end, where it shows whether a file changed meanwhile; TarFile reads no further than it must."""
        for _ in self._bytes:
            pass
