"""Tar files that are damaged or mean harm: each is one clear error or the right result, and stays in its image."""

import gc
import gzip
import io
import lzma
import os
import re
import socket
import sys
import tarfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import GuestfarmError, MasterError
from pipeline.image.disk import base
from pipeline.image.layer import tar
from pipeline.image.layer.entries import Contents, Digest
from tests.image import images
from tests.image.images import MIB

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK = tarfile.BLOCKSIZE


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """A member of an archive, a file if `type` does not say otherwise."""
    header = tarfile.TarInfo(name)
    header.size = len(data)
    for field, value in fields.items():
        setattr(header, field, value)
    return header, data


def directory(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, mode=0o755)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def pax(name: str, data: bytes = b"", **headers: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, data, pax_headers={key.replace("__", "."): value for key, value in headers.items()})


def packed(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for header, data in members:
            archive.addfile(header, io.BytesIO(data))
    return file.getvalue()


def with_size(data: bytes, size: bytes) -> bytes:
    """The first header's size replaced by these 12 bytes, and its checksum put right."""
    header = bytearray(data[:BLOCK])
    header[124:136] = size
    return repaired(header) + data[BLOCK:]


def repaired(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def populate(folder: Path, data: bytes) -> Path:
    """The image that the archive makes."""
    master = folder / "master.tar"
    master.write_bytes(data)
    image = folder / "root.img"
    empty = images.formatted(folder)
    base.populate(empty, image, tar.entries(master), Digest().read(tar.entries(master)), allocate=False)
    images.check(image)
    return image


def read(file: Path, data: bytes | bytearray) -> Contents:
    file.write_bytes(data)
    return Digest().read(tar.entries(file))


# --- What it says ---

OUT = "leads out of the root file system"
NO_NAME = "is not a possible file name; names have at most 255 bytes, and paths 4095; neither has a NUL"
NOT_TAR = "cannot be read as a tar file"
"""Where the reason is in the words of Python's tarfile, which are others in each version."""

REFUSED = {
    "name that climbs": (packed(member("../x")), f"'../x' {OUT}"),
    "name that climbs later": (packed(member("a/b/../../../x")), f"'a/b/../../../x' {OUT}"),
    "name that comes back": (packed(member("a/../b")), f"'a/../b' {OUT}"),
    "hard link out of the tree": (packed(member("a"), hard_link("b", "../../etc/passwd")), OUT),
    "hard link to what comes later": (packed(hard_link("a", "b"), member("b")), "'a' is a hard link to 'b', which"),
    "name of 256 bytes": (packed(member("a" * 256)), NO_NAME),
    "path of 4096 bytes": (packed(member("a/" * 2047 + "aa")), NO_NAME),
    "NUL in a name": (packed(pax("a", path="a\0b")), NO_NAME),
    "NUL in a symlink": (
        packed(member("a", type=tarfile.SYMTYPE, linkname="b", pax_headers={"linkpath": "b\0c"})),
        r"'a': there can be no symlink to 'b\x00c'",
    ),
    "symlink to the empty name": (packed(symlink("a", "")), "'a': there can be no symlink to ''"),
    "file where the root is": (packed(member("./")), "the root of the file system is not a directory in the archive"),
    "file over a directory": (packed(directory("a"), member("a", b"x")), "'a' is a directory already"),
    "file as a directory": (
        packed(member("a", b"x"), member("a/b")),
        "'a' is not a directory, nor does it lead to one",
    ),
    "symlink to the host as a directory": (
        packed(symlink("a", "/proc/self/cwd"), member("a/b")),
        "'a' is not a directory, nor does it lead to one",
    ),
    "symlinks in a circle": (packed(symlink("a", "b"), symlink("b", "a"), member("a/c")), "too many symlinks"),
    "no such device": (packed(member("a", type=tarfile.CHRTYPE, devmajor=1 << 20)), "there is no device 1048576:0"),
    "volume label": (packed(member("a", type=b"V")), "'a' is of a kind that file systems do not have: b'V'"),
    "piece of a file": (packed(member("a", type=b"M")), "'a' is of a kind that file systems do not have: b'M'"),
    "owner -1": (packed(member("a", uid=2**32 - 1)), "'a' belongs to 4294967295:0, and there is no such owner"),
    "owner below zero": (packed(pax("a", uid="-5")), "'a' belongs to -5:0, and there is no such owner"),
    "group of 40 bits": (
        packed(member("a", gid=1 << 40)),
        "'a' belongs to 0:1099511627776, and there is no such owner",
    ),
    "time without end": (
        packed(pax("a", mtime="1e999999999")),
        "'a' was changed at 1E+999999999, and there is no such",
    ),
    "infinite time": (packed(pax("a", mtime="inf")), "'a' was changed at Infinity, and there is no such time"),
    "no time at all": (packed(pax("a", mtime="nan")), "cannot be read as a tar file"),
    "size below zero": (packed(pax("a", size="-1024")), "cannot be read as a tar file"),
    "list with names": (
        packed(pax("a", SCHILY__acl__access="user::rw-,user:alice:r--,group::r--,mask::r--,other::r--")),
        "access control list: 'alice' has no number; pack the archive with tar --xattrs, too",
    ),
    "list without sense": (packed(pax("a", SCHILY__acl__access="rwx")), "cannot make sense of 'rwx'"),
    "holes that overlap": (
        packed(pax("a", bytes(2048), GNU__sparse__map="0,1024,512,1024", GNU__sparse__size="4096")),
        "'a': its holes make no sense",
    ),
    "data behind the end": (
        packed(pax("a", bytes(1024), GNU__sparse__map="8192,1024", GNU__sparse__size="4096")),
        "'a': its holes make no sense",
    ),
    "sparse bomb": (
        packed(pax("a", b"", GNU__sparse__map=f"{2**63},0", GNU__sparse__size=str(2**63))),
        "'a' has 9223372036854775808 bytes, more than files can have here",
    ),
    "larger than the file system": (packed(member("a", bytes(20 * MIB))), "no room for 'a': the file system is full"),
    "larger than the archive": (with_size(packed(member("a", b"x")), b"77777777777\0"), "cut off|unexpected end"),
    "8 EiB, it says": (
        with_size(packed(member("a", b"x")), b"\x80" + b"\0" * 3 + b"\x80" + b"\0" * 7),
        "cut off|unexp",
    ),
    "size below zero, binary": (with_size(packed(member("a", b"x")), b"\xff" * 11 + b"\0"), NOT_TAR),
    "1 GiB of extended headers": (
        with_size(packed(pax("a", path="b" * 200)), b"10000000000\0"),
        NOT_TAR,
    ),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "farm"
    folder.mkdir()
    (tmp_path / "x").write_text("the host's own")
    pattern = message if "|" in message else re.escape(message)
    with pytest.raises(GuestfarmError, match=pattern) as caught:
        populate(folder, data)
    assert "\n" not in caught.value.message
    assert {path.name for path in folder.iterdir()} <= {"master.tar", "ext4.zero", "ext4.format"}
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir() if path != folder] == [("x", "the host's own")]


def tree(image: Path, path: str = "") -> dict[str, str]:
    """The files in an image, by their paths."""
    found: dict[str, str] = {}
    for name in images.names(image, path):
        below = f"{path}/{name}".lstrip("/")
        if images.mode(image, below).startswith("directory"):
            found |= tree(image, below)
        else:
            found[below] = images.cat(image, below) if "regular" in images.mode(image, below) else "special"
    return found


TAKEN: Mapping[str, tuple[bytes, dict[str, str]]] = {
    "absolute names": (
        packed(member("/etc/passwd", b"guest's"), hard_link("/b", "/etc/passwd")),
        {"etc/passwd": "guest's", "b": "guest's"},
    ),
    "doubled slashes and dots": (packed(member(".//a/./b//c", b"x")), {"a/b/c": "x"}),
    "file twice": (packed(member("a", b"first"), member("a", b"second")), {"a": "second"}),
    "file, then directory": (packed(member("a", b"x"), directory("a"), member("a/b", b"y")), {"a/b": "y"}),
    "directory twice": (packed(directory("a"), member("a/b", b"x"), directory("a")), {"a/b": "x"}),
    "device, then file": (packed(member("a", type=tarfile.BLKTYPE), member("a", b"x")), {"a": "x"}),
    "symlink, then file": (packed(member("b", b"b"), symlink("a", "b"), member("a", b"x")), {"a": "x", "b": "b"}),
    "symlink as a directory": (
        packed(directory("real"), symlink("link", "/real"), member("link/a", b"x"), hard_link("b", "link/a")),
        {"link": "special", "real/a": "x", "b": "x"},
    ),
    "symlink out of the tree as a directory": (
        packed(directory("real"), symlink("real/link", "../../../../real"), member("real/link/a", b"x")),
        {"real/link": "special", "real/a": "x"},
    ),
    "fifo with numbers of a device": (packed(member("a", type=tarfile.FIFOTYPE, devmajor=8)), {"a": "special"}),
    "times of the year 30000": (packed(pax("a", mtime="884541340800.5")), {"a": ""}),
    "no members": (packed(), {}),
    "only the root": (packed(directory(".")), {}),
    "old format, with a slash for directories": (
        packed(member("a/", type=tarfile.AREGTYPE), member("a/b", b"x"), format=tarfile.USTAR_FORMAT),
        {"a/b": "x"},
    ),
}


@pytest.mark.parametrize(("data", "expected"), TAKEN.values(), ids=TAKEN)
def test_taken(data: bytes, expected: dict[str, str], tmp_path: Path) -> None:
    assert tree(populate(tmp_path, data)) == expected


# --- Whether it is whole ---

PACKINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}
WHOLE = packed(
    directory("a"),
    member("a/" + "long" * 60, bytes(range(256)) * 4),
    *(member(f"a/{number}", b"%d" % number * 300) for number in range(10)),
    pax("b", b"x", SCHILY__xattr__user__x="value"),
    symlink("c", "d" * 200),
)


def end_of_members(data: bytes) -> int:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        last = archive.getmembers()[-1]
    return last.offset_data + -(-last.size // BLOCK) * BLOCK


@pytest.mark.parametrize("packing", PACKINGS)
def test_cut_off_anywhere(packing: str, tmp_path: Path) -> None:
    data = PACKINGS[packing](WHOLE)
    cuts = {cut for boundary in range(0, len(data), BLOCK) for cut in (boundary, boundary + 1, boundary + 300)}
    enough = end_of_members(WHOLE) + BLOCK if packing == "tar" else len(data)  # the end has a block of its own
    for cut in sorted(cut for cut in cuts | {len(data) - 1} if cut < enough):
        with pytest.raises(MasterError, match=r"master.tar: cannot be read as a tar file: "):
            read(tmp_path / "master.tar", data[:cut])
    assert read(tmp_path / "master.tar", data[:enough]) == read(tmp_path / "master.tar", WHOLE)


@pytest.mark.parametrize("packing", ["gz", "xz", "zst"])
def test_checksums_of_packed_ones(packing: str, tmp_path: Path) -> None:
    """A flipped bit is an error, or it changes nothing, such as the time in gzip's header."""
    data = bytearray(PACKINGS[packing](WHOLE))
    right = read(tmp_path / "master.tar", data)
    for position in {*range(0, len(data), 7), *range(len(data) - 12, len(data))}:
        data[position] ^= 0x10
        with suppress(MasterError):
            assert read(tmp_path / "master.tar", data) == right, position
        data[position] ^= 0x10


def test_checksums_of_headers(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(WHOLE)) as archive:
        headers = [member.offset_data - BLOCK for member in archive]
    for header in headers:
        for position in range(0, BLOCK, 37):
            data = bytearray(WHOLE)
            data[header + position] ^= 0x01
            with pytest.raises(MasterError, match="cannot be read as a tar file: "):
                read(tmp_path / "master.tar", data)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MasterError, match=r"master.tar: cannot be read as a tar file: .*No such file or directory"):
        list(tar.entries(tmp_path / "master.tar"))


HEADERS = [header for header in range(0, len(WHOLE), BLOCK) if WHOLE[header + 257 : header + 262] == b"ustar"]
FIELDS = [(0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (329, 8), (337, 8)]


@given(
    header=st.sampled_from(HEADERS),
    field=st.sampled_from(FIELDS),
    value=st.one_of(st.binary(max_size=12), st.integers(0, 2**33).map(lambda number: b"%o" % number)),
    noise=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=3),
)
def test_any_damage(
    tmp_path_factory: pytest.TempPathFactory,
    header: int,
    field: tuple[int, int],
    value: bytes,
    noise: list[tuple[int, int]],
) -> None:
    """Whatever is in a header, if only its checksum is right."""
    data = bytearray(WHOLE)
    for position, byte in noise:
        data[position] = byte
    start, length = field
    data[header + start : header + start + length] = value[:length].ljust(length, b"\0")
    data[header : header + BLOCK] = repaired(data[header : header + BLOCK])
    with suppress(MasterError):
        read(tmp_path_factory.getbasetemp() / "master.tar", data)


# --- What it would take ---


def long_header(kind: bytes, text: bytes) -> bytes:
    """A header of pax or GNU tar with this text."""
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, len(text)
    return header.tobuf(tarfile.USTAR_FORMAT) + text.ljust(-(-len(text) // BLOCK) * BLOCK, b"\0")


def record(key: str, value: str) -> bytes:
    """A record of a pax header: its length counts itself."""
    rest = f" {key}={value}\n"
    return f"{len(rest) + 3}{rest}".encode()


def endless_sparse_file(blocks: int) -> bytes:
    """A file whose map of holes goes on from block to block: see "Sparse Formats" in GNU tar's manual."""
    header = bytearray(member("a", type=b"S")[0].tobuf(tarfile.GNU_FORMAT))
    header[482] = 1
    more = bytearray(BLOCK)
    more[504] = 1
    return repaired(header) + bytes(more) * blocks


def xz_with_dictionary(data: bytes, code: int) -> bytes:
    """An xz file that says its dictionary has the size of this code: 5.3.1 of the .xz File Format."""
    packed = bytearray(lzma.compress(data))
    size = (packed[12] + 1) * 4  # of the block's header
    packed[12 + 4] = code
    packed[12 + size - 4 : 12 + size] = zlib.crc32(packed[12 : 12 + size - 4]).to_bytes(4, "little")
    return bytes(packed)


def zstd_with_window(data: bytes, log: int) -> bytes:
    """A zstd file that needs a window of so many bits."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    return packer.compress(data, zstd.ZstdCompressor.FLUSH_BLOCK) + packer.flush()


ONE = packed(member("a", b"x"))
BOMBS = {
    "xz of 4 GiB": (xz_with_dictionary(ONE, 40), "Memory usage limit exceeded"),
    "zstd of 2 GiB": (zstd_with_window(ONE, 31), NOT_TAR),
    "sparse file": (endless_sparse_file(20_000), "its headers are longer than any real ones"),
    "pax headers one after the other": (long_header(tarfile.XHDTYPE, record("k", "v" * 90)) * 2000 + ONE, NOT_TAR),
    "long names one after the other": (long_header(tarfile.GNUTYPE_LONGNAME, b"a") * 2000 + ONE, NOT_TAR),
    "pax headers for all": (
        b"".join(
            long_header(tarfile.XGLTYPE, record(f"k{number:05}", "v" * 800)) + ONE[:1024] for number in range(100)
        ),
        "its global headers are too long",
    ),
    "long pax headers of each": (
        (long_header(tarfile.XHDTYPE, record("k", "v" * 90) * 100) + ONE[:1024]) * 3000 + ONE,
        "its headers are longer than any real ones",
    ),
    "many pax records of each": (
        (long_header(tarfile.XHDTYPE, b"6 a=b\n" * 300) + ONE[:1024]) * 1200 + ONE,
        "its headers are longer than any real ones",
    ),
    "long end": (ONE + bytes(65 * MIB), "more follows its end"),
}


@pytest.mark.parametrize(("data", "message"), BOMBS.values(), ids=BOMBS)
def test_bombs(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(MasterError, match=re.escape(message)):
        read(tmp_path / "bomb.tar", data)


@pytest.mark.parametrize("data", [xz_with_dictionary(ONE, 28), zstd_with_window(ONE, 27)], ids=["xz -9", "zstd -27"])
def test_as_much_memory_as_is_usual(data: bytes, tmp_path: Path) -> None:
    assert read(tmp_path / "usual.tar", data) == read(tmp_path / "plain.tar", ONE)


def test_members_that_were_read_take_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "many.tar"
    file.write_bytes(ONE[:1024] * 1000 + ONE)
    for _ in tar.entries(file):
        pass
    kept = 0
    for number, _ in enumerate(tar.entries(file)):
        if number == 999:
            kept = sum(isinstance(each, tarfile.TarInfo) for each in gc.get_objects())
    assert 0 < kept < 10


ROOM = {
    "data": (packed(member("a", bytes(32 * MIB))), packed(member("a", bytes(32 * MIB)), member("b", b"x"))),
    "entries": (ONE[:1024] * 8000 + ONE, ONE[:1024] * 9000 + ONE),
    "holes": (packed(pax("a", b"", GNU__sparse__map="0,0", GNU__sparse__size=str(1 << 40))), None),
}


@pytest.mark.parametrize(("enough", "too_much"), ROOM.values(), ids=ROOM)
def test_no_more_than_root_disks_have_room_for(enough: bytes, too_much: bytes | None, tmp_path: Path) -> None:
    file, limit = tmp_path / "master.tar", 16 * MIB
    file.write_bytes(enough)
    assert list(tar.entries(file, limit))
    if too_much is not None:
        file.write_bytes(too_much)
        with pytest.raises(MasterError, match="it holds more than twice what the guests' root disks have room for"):
            list(tar.entries(file, limit))


@pytest.mark.parametrize("kind", ["fifo", "device", "socket"])
def test_what_is_no_file_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "master.tar"
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "fifo":
            os.mkfifo(file)
        elif kind == "device":
            file.symlink_to("/dev/zero")
        else:
            server.bind(str(file))
        with pytest.raises(MasterError, match=re.escape(f"{file}: it is a ")):
            list(tar.entries(file))


def test_a_file_of_the_kernels(tmp_path: Path) -> None:
    """It is regular by its mode, has no size, and may have no end."""
    for file in ("/proc/self/maps", "/sys/kernel/mm/transparent_hugepage/enabled"):
        with pytest.raises(MasterError, match="it is a file of the kernel's, not one on a disk"):
            list(tar.entries(Path(file)))
