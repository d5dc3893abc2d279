"""Tar files that are written: the same bytes for the same layer, and GNU tar reads them."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.image.layer import tar
from pipeline.image.layer.entries import (
    Content,
    Digest,
    Directory,
    Entry,
    File,
    HardLink,
    Kind,
    Metadata,
    Removal,
    Special,
)
from tests.layers import PLAIN, file, link
from tests.machine import run

pytestmark = pytest.mark.unit

EVERYTHING: list[Entry] = [
    Directory("", Metadata(mode=0o751)),
    Directory("etc", Metadata(mode=0o1777, uid=70_000, gid=2**32 - 2)),
    file("etc/a", b"text"),
    HardLink("etc/b", "etc/a"),
    link("etc/c", "a"),
    link("etc/long", "t" * 4000),
    file("n" * 255, b""),
    file("new\nline, 'quote' and \udcff", b"x"),
    File("later", Metadata(mode=0o4755, mtime=2**33 * 10**9 + 123_456_789), Content.of(bytes(range(256)) * 50)),
    File("earlier", Metadata(mode=0o644, mtime=-(10**9) - 5), Content.of(b"")),
    File(
        "attributes",
        Metadata(mode=0o644, xattrs=(("security.capability", b"\1\0\0\2"), ("user.%3D=", bytes(range(256))))),
        Content.of(b""),
    ),
    Special("null", PLAIN, Kind.CHARACTER, 1, 3),
    Special("disk", PLAIN, Kind.BLOCK, 4095, 2**20 - 1),
    Special("fifo", PLAIN, Kind.FIFO),
]


def packed(layer: list[Entry]) -> bytes:
    target = io.BytesIO()
    tar.write(layer, target)
    return target.getvalue()


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(packed(EVERYTHING))
    assert Digest().read(tar.entries(tmp_path / "a.tar")) == Digest().read(EVERYTHING)


def test_same_bytes_every_time() -> None:
    assert packed(EVERYTHING) == packed(EVERYTHING)


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(packed(EVERYTHING))
    listed = run("tar", "--list", "--verbose", "--numeric-owner", "--full-time", "--file", tmp_path / "a.tar")
    lines = [" ".join(line.split()) for line in listed.splitlines()]
    assert "drwxr-x--x 0/0 0 2023-11-14 22:13:20 ./" in lines
    assert "drwxrwxrwt 70000/4294967294 0 2023-11-14 22:13:20 ./etc/" in lines
    assert "hrw-r--r-- 0/0 0 1970-01-01 00:00:00 ./etc/b link to ./etc/a" in lines
    assert "lrwxrwxrwx 0/0 0 2023-11-14 22:13:20 ./etc/c -> a" in lines
    assert "-rwsr-xr-x 0/0 12800 2242-03-16 12:56:32.123456789 ./later" in lines
    assert "crwxr-xr-x 0/0 1,3 2023-11-14 22:13:20 ./null" in lines
    assert "prwxr-xr-x 0/0 0 2023-11-14 22:13:20 ./fifo" in lines
    assert "./new\\nline, 'quote' and \\377" in listed
    # What it lists for fractions of a second before 1970 is not what it extracts.
    run("tar", "--extract", "--file", tmp_path / "a.tar", "--directory", tmp_path, "./earlier")
    assert (tmp_path / "earlier").stat().st_mtime_ns == -(10**9) - 5


def test_holes_are_written_as_zeros(tmp_path: Path) -> None:
    def chunks() -> Iterator[tuple[int, bytes]]:
        return iter([(3_000_000, b"in the middle"), (4_999_999, b"!")])

    (tmp_path / "a.tar").write_bytes(packed([File("a", PLAIN, Content(6_000_000, chunks))]))
    with tarfile.open(tmp_path / "a.tar") as archive:
        read = archive.extractfile("./a")
        assert read is not None
        assert read.read() == Content(6_000_000, chunks).read()


@pytest.mark.parametrize("entry", [Removal("a"), Special("a", PLAIN, Kind.SOCKET)])
def test_what_tar_files_cannot_hold(entry: Entry) -> None:
    with pytest.raises(ImageError, match="'a'"):
        packed([entry])


def test_contents_can_be_read_until_the_next_entry(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(packed([file("a", b"first"), file("b", b"second")]))
    read = [entry.content.read() for entry in tar.entries(tmp_path / "a.tar") if isinstance(entry, File)]
    assert read == [b"first", b"second"]
