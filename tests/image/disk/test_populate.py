"""Bases: masters' tar files written into images, compared with what GNU tar itself makes of them."""

import gzip
import lzma
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.image import ext
from pipeline.image.disk import base
from pipeline.image.layer import tar
from pipeline.image.layer.entries import Content, Digest, Directory, Entry, File, Metadata, Symlink, text
from tests.conftest import Mount
from tests.image import images, trees
from tests.image.images import FILE_SYSTEMS, MIB
from tests.machine import mounted, need_programs, run

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@dataclass(frozen=True)
class Packed:
    """A tar file, and what GNU tar takes out of it."""

    tar: Path
    extracted: Path


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An ext4 file system, which can hold everything, as the disk below tmp_path perhaps cannot."""
    folder = tmp_path_factory.mktemp("disk")
    image = images.handmade(folder / "image", "-t", "ext4", "-I", "256", size=1 << 30)
    with mounted(image, folder / "mounted", "-o", "loop,user_xattr,acl") as point:
        yield point


@pytest.fixture(scope="module")
def source(disk: Path) -> Path:
    need_programs("tar", "setfacl")
    (disk / "source").mkdir()
    trees.plant(disk / "source")
    return disk / "source"


def pack(source: Path, target: Path, *options: str) -> Packed:
    packed = Packed(target.with_suffix(".tar"), target)
    packed.extracted.mkdir()
    attributes = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls"]
    run("tar", "--create", *attributes, *options, "--file", packed.tar, "--directory", source, ".")
    run("tar", "--extract", *attributes, "--same-owner", "-p", "--file", packed.tar, "--directory", packed.extracted)
    return packed


@pytest.fixture(scope="module")
def everything(source: Path) -> Packed:
    packed = pack(source, source.parent / "everything", "--format=pax", "--sparse")
    assert not trees.differences(source, packed.extracted), "GNU tar is no yardstick here"
    return packed


def populated_from(master: Path, image: Path, empty: Path) -> Path:
    base.populate(empty, image, tar.entries(master), Digest().read(tar.entries(master)), allocate=False)
    return image


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
def test_everything_is_as_gnu_tar_extracts_it(
    everything: Packed, filesystem: str, tmp_path: Path, mount: Mount
) -> None:
    image = populated_from(everything.tar, tmp_path / "image", images.formatted(tmp_path, filesystem, 128 * MIB))
    images.check(image)
    # The driver for ext4 mounts all three, and knows of nanoseconds and times after 2038.
    point = mount(image, "-t", "ext4", "-o", "loop,ro,noload")
    assert not trees.differences(everything.extracted, point)
    compared = ["--compare", "--numeric-owner", "--exclude=./sparse/far"]  # where tar reads all of the holes
    assert not run("tar", *compared, "--file", everything.tar, "--directory", point)
    assert images.is_indexed(image, "large")
    assert not images.is_indexed(image, "kinds")


@pytest.mark.parametrize(
    ("folder", "options"),
    [
        (".", ["--format=gnu", "--sparse", "--no-xattrs", "--no-acls"]),
        ("sparse", ["--format=pax", "--sparse", "--sparse-version=0.0"]),
        ("sparse", ["--format=pax", "--sparse", "--sparse-version=0.1"]),
    ],
    ids=["gnu", "pax-0.0", "pax-0.1"],
)
def test_other_formats_of_gnu_tar(source: Path, folder: str, options: list[str], tmp_path: Path, mount: Mount) -> None:
    packed = pack(source / folder, source.parent / tmp_path.name, *options)
    image = populated_from(packed.tar, tmp_path / "image", images.formatted(tmp_path, "ext4", 128 * MIB))
    assert not trees.differences(packed.extracted, mount(image, "-o", "loop,ro,noload"))


def test_packed_in_any_way_it_is_the_same_master(tmp_path: Path) -> None:
    layer = [text("etc/hostname", "master\n"), text("data", "0123456789" * 100_000)]
    plain = tmp_path / "master.tar"
    with plain.open("wb") as file:
        tar.write(layer, file)
    packings = {
        "gz": gzip.compress(plain.read_bytes()),
        "xz": lzma.compress(plain.read_bytes()),
        "zst": zstd.compress(plain.read_bytes()),
    }
    empty = images.formatted(tmp_path)
    built = []
    for name, data in {"tar": plain.read_bytes(), **packings}.items():
        master = tmp_path / f"master.{name}"
        master.write_bytes(data)
        image = populated_from(master, tmp_path / f"{name}.img", empty)
        built.append((Digest().read(tar.entries(master)), image.read_bytes()))
    assert built == [built[0]] * 4


@pytest.mark.parametrize(("filesystem", "chunk"), [("ext2", 10_007), ("ext4", 10_007), ("ext4", 5 * MIB + 1)])
def test_large_file_in_chunks_of_any_size(filesystem: str, chunk: int, tmp_path: Path) -> None:
    size = 301 * MIB + 17
    pattern = bytes(range(251)) * (2 * chunk // 251 + 2)

    def piece(offset: int, length: int) -> bytes:
        return pattern[offset % 251 : offset % 251 + length]

    def chunks() -> Iterator[tuple[int, bytes]]:
        yield from ((offset, piece(offset, min(chunk, size - offset))) for offset in range(0, size, chunk))

    image = images.formatted(tmp_path, filesystem, 512 * MIB)
    image.chmod(0o600)
    with ext.open(image) as opened:
        opened.apply([File("large", Metadata(mode=0o644), Content(size, chunks))])
    images.check(image)
    run("debugfs", "-R", f"dump /large {tmp_path}/written", image)
    with (tmp_path / "written").open("rb") as written:
        assert all(written.read(len(data)) == data for _, data in chunks())
        assert written.read() == b""


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
def test_same_bytes_at_any_time(filesystem: str, tmp_path: Path) -> None:
    layer = [text(f"large/{number}", "x" * number) for number in range(1000)]
    built = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        built.append(images.populated(folder, layer, filesystem))
    assert built[0].stat().st_mtime_ns != built[1].stat().st_mtime_ns
    run("cmp", *built)
    for field in ("Filesystem created", "Last write time", "Last checked"):
        assert images.header(built[0])[field] == "Tue Nov 14 22:13:20 2023"


TOO_MUCH = {
    "blocks": [File("large", Metadata(mode=0o644), Content.of(bytes(12 * MIB)))],
    "inodes": [text(f"small/{number}", "") for number in range(5000)],
    "a directory": [Directory(f"directory/{number}", Metadata(mode=0o755)) for number in range(3000)],
    "extended attributes": [
        File(f"with/{number}", Metadata(mode=0o644, xattrs=(("user.x", b"%d" % number * 500),)), Content.of(b""))
        for number in range(3000)
    ],
    "symlinks": [Symlink(f"slow/{number}", Metadata(mode=0o777), f"{number:0100}") for number in range(3000)],
}


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
@pytest.mark.parametrize("layer", TOO_MUCH.values(), ids=TOO_MUCH)
def test_too_small_for_the_master(layer: list[Entry], filesystem: str, tmp_path: Path) -> None:
    empty = images.formatted(tmp_path, filesystem, 12 * MIB)
    with pytest.raises(ImageError, match=r"no room for '.*': the file system is full; give the disk a larger size"):
        base.populate(empty, tmp_path / "root.img", layer, Digest().read(layer), allocate=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{filesystem}.format", f"{filesystem}.zero"]


def test_master_that_changes_meanwhile(tmp_path: Path) -> None:
    empty = images.formatted(tmp_path)
    contents = Digest().read([text("a", "before")])
    with pytest.raises(ImageError, match="the master changed while it was read; run doit again"):
        base.populate(empty, tmp_path / "root.img", [text("a", "after.")], contents, allocate=False)
    assert not (tmp_path / "root.img").exists()


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
@pytest.mark.parametrize("allocate", [False, True], ids=["sparse", "full"])
def test_allocation_is_kept_in_every_step(filesystem: str, allocate: bool, tmp_path: Path) -> None:
    image = images.populated(tmp_path, [text("file", "text")], filesystem, allocate=allocate)
    steps = [tmp_path / f"{filesystem}.{step}" for step in ("zero", "format")] + [image]
    assert [images.is_sparse(step) for step in steps] == [not allocate] * 3
