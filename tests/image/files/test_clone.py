"""Clones: shared where the file system can, else copied without filling holes; and allocated when asked to be."""

import os
import re
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.image.disk import base
from pipeline.image.files.clone import append, clone, shares_blocks
from tests.conftest import Mount
from tests.image import images
from tests.image.images import MIB
from tests.machine import need_programs, run

SIZE = 64 * MIB
RUNS = [(0, 3 * MIB + 5), (10 * MIB, 4096), (SIZE - 4097, 4097)]


def make(path: Path) -> Path:
    """A file of a few runs of noise in a hole."""
    with path.open("xb") as file:
        for start, length in RUNS:
            file.seek(start)
            file.write(os.urandom(length))
        file.truncate(SIZE)
    return path


def shared(path: Path) -> bool:
    """Whether all the data of a file is shared with another one, or none of it, as FIEMAP has it."""
    run("sync", path)
    lines = [line for line in run("filefrag", "-v", path).splitlines() if re.match(r" +\d+:", line)]
    found = {"shared" in line for line in lines if "unwritten" not in line}
    assert len(found) == 1, "some is, and some is not"
    return found.pop()


@pytest.fixture
def xfs(tmp_path: Path, mount: Mount) -> Path:
    need_programs("mkfs.xfs")
    image = images.sparse(tmp_path / "xfs", 320 * MIB)
    run("mkfs.xfs", "-q", "-m", "reflink=1", image)
    return mount(image, "-o", "loop")


@pytest.fixture
def btrfs(tmp_path: Path, mount: Mount) -> Path:
    need_programs("mkfs.btrfs")
    image = images.sparse(tmp_path / "btrfs", 320 * MIB)
    run("mkfs.btrfs", "-q", image)
    return mount(image, "-o", "loop")


@pytest.fixture
def ext4(tmp_path: Path, mount: Mount) -> Path:
    return mount(images.handmade(tmp_path / "ext4", "-t", "ext4", size=320 * MIB), "-o", "loop")


@pytest.fixture(params=["xfs", "btrfs", "ext4"])
def disk(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["xfs", "btrfs"])
def sharing_disk(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_behind_what_is_there(disk: Path) -> None:
    source, whole = make(disk / "source"), disk / "whole"
    whole.write_bytes(os.urandom(MIB))
    head = whole.read_bytes()
    append(source, whole)
    assert whole.stat().st_size == MIB + SIZE
    run("cmp", f"--bytes={SIZE}", f"--ignore-initial=0:{MIB}", source, whole)
    assert whole.read_bytes()[:MIB] == head
    run("sync", whole)
    assert whole.stat().st_blocks * 512 < 6 * MIB


def test_shares_blocks_behind_what_is_there(sharing_disk: Path) -> None:
    source, whole = make(sharing_disk / "source"), sharing_disk / "whole"
    whole.write_bytes(b"")
    append(source, whole)
    assert shared(whole)
    allocated = sharing_disk / "allocated"
    allocated.write_bytes(b"")
    append(source, allocated, allocate=True)
    assert not shared(allocated)
    assert allocated.stat().st_blocks * 512 >= SIZE


def test_same_contents_and_holes(disk: Path) -> None:
    source, copy = make(disk / "source"), disk / "copy"
    clone(source, copy)
    run("cmp", source, copy)
    run("sync", copy)
    assert copy.stat().st_blocks <= source.stat().st_blocks
    assert copy.stat().st_blocks * 512 < 5 * MIB
    assert copy.stat().st_mode & 0o777 == 0o600


def test_shares_blocks(sharing_disk: Path) -> None:
    source, copy = make(sharing_disk / "source"), sharing_disk / "copy"
    assert not shared(source)
    clone(source, copy)
    assert shared(source)
    assert shared(copy)
    assert shares_blocks(sharing_disk)


def test_allocated_ones_share_nothing(sharing_disk: Path) -> None:
    source, copy = make(sharing_disk / "source"), sharing_disk / "copy"
    clone(source, copy, allocate=True)
    run("cmp", source, copy)
    assert not shared(copy)


def test_allocated_ones_have_all_of_their_space(disk: Path) -> None:
    source, copy = make(disk / "source"), disk / "copy"
    clone(source, copy, allocate=True)
    run("cmp", source, copy)
    assert copy.stat().st_blocks * 512 >= SIZE


def test_ext4_shares_nothing(ext4: Path) -> None:
    assert not shares_blocks(ext4)


@pytest.mark.parametrize("allocate", [False, True], ids=["sparse", "full"])
def test_to_a_disk_of_another_kind(ext4: Path, btrfs: Path, allocate: bool) -> None:
    source, copy = make(ext4 / "source"), btrfs / "copy"
    clone(source, copy, allocate=allocate)
    run("cmp", source, copy)
    assert images.is_sparse(copy) == (not allocate)


@pytest.mark.parametrize("size", [0, 1, 4096, MIB + 1])
def test_all_data_and_all_hole(size: int, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(os.urandom(size))
    images.sparse(tmp_path / "hole", size)
    for name in ("data", "hole"):
        clone(tmp_path / name, tmp_path / f"{name}-copy")
        run("cmp", tmp_path / name, tmp_path / f"{name}-copy")
    assert (tmp_path / "hole-copy").stat().st_blocks == 0


def test_never_over_something(tmp_path: Path) -> None:
    source = make(tmp_path / "source")
    (tmp_path / "copy").write_text("somebody's")
    with pytest.raises(FileExistsError):
        clone(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "somebody's"


def test_steps_of_a_full_base_stay_full_on_disks_that_share(sharing_disk: Path) -> None:
    image = images.populated(sharing_disk, [], "ext4", SIZE, allocate=True)
    steps = [sharing_disk / name for name in ("ext4.zero", "ext4.format")]
    assert not any(images.is_sparse(path) for path in (*steps, image))
    assert not shared(image)


def test_image_master_from_another_disk(ext4: Path, xfs: Path) -> None:
    master = images.handmade(ext4 / "master.img", "-t", "ext4")
    base.adopt(master, xfs / "root.img", 32 * MIB, None, base.of_image(master), allocate=False)
    images.check(xfs / "root.img")


def test_no_room(small_disk: Path, tmp_path: Path) -> None:
    source = make(tmp_path / "source")
    with pytest.raises(OSError, match="No space left on device"):
        clone(source, small_disk / "copy", allocate=True)
    with pytest.raises(ImageError, match=f"{small_disk}/root.img: the disk is full: .* is needed"):
        base.zero(small_disk / "root.img", SIZE, allocate=True)
    assert [path.name for path in small_disk.iterdir()] == ["copy"]  # which publish() would have removed
