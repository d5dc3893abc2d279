"""Masters that are images made by hand: cloned and grown when they are in order, refused when they are not."""

import re
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.errors import ImageError
from pipeline.image.disk import base, root
from pipeline.image.layer.entries import Contents, text
from tests.conftest import Mount
from tests.image import images, trees
from tests.image.images import MIB
from tests.machine import mounted, run

SIZE = 64 * MIB
MADE_BY_HAND = {
    "ext2": ["-t", "ext2"],
    "ext2-blocks-of-1K": ["-t", "ext2", "-b", "1024"],
    "ext3-small-inodes": ["-t", "ext3", "-I", "128"],
    "ext4": ["-t", "ext4"],
    "ext4-without-a-journal": ["-t", "ext4", "-O", "^has_journal"],
    "ext4-uninit_bg": ["-t", "ext4", "-O", "uninit_bg,^metadata_csum"],
    "ext4-metadata_csum": ["-t", "ext4", "-O", "metadata_csum,^metadata_csum_seed"],
    "ext4-orphan_file": ["-t", "ext4", "-O", "metadata_csum,^metadata_csum_seed,orphan_file"],
    "ext4-newest": ["-t", "ext4", "-O", "metadata_csum,metadata_csum_seed,orphan_file,inline_data"],
}


def adopt(image: Path, filesystem: str | None = None, *, size: int = SIZE, allocate: bool = False) -> Path:
    target = image.with_name("root.img")
    base.adopt(image, target, size, filesystem, base.of_image(image), allocate=allocate)
    return target


@pytest.fixture(params=MADE_BY_HAND.values(), ids=list(MADE_BY_HAND))
def master(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An image that was mounted and written to after it was last checked, as those made by hand are."""
    image = images.handmade(tmp_path / "master.img", *request.param)
    with mounted(image, tmp_path / "mounted", "-o", "loop") as point:
        (point / "etc").mkdir()
        (point / "etc/hostname").write_text("master\n")
        (point / "large").write_bytes(b"D" * 5 * MIB)
    return image


def test_grown_with_all_that_is_in_it(master: Path, mount: Mount) -> None:
    before = master.read_bytes()
    target = adopt(master)
    images.check(target)
    header = images.header(target)
    assert int(header["Block count"]) * int(header["Block size"]) == SIZE == target.stat().st_size
    assert images.blkid(target)["UUID"] == images.blkid(master)["UUID"]
    assert images.is_sparse(target)
    assert master.read_bytes() == before
    assert not trees.differences(mount(master, "-o", "loop,ro"), mount(target, "-o", "loop,ro"))


def test_same_bytes_at_any_time(master: Path) -> None:
    first = adopt(master).rename(master.with_name("first.img"))
    run("cmp", first, adopt(master))


def test_guests_can_be_made_of_it(master: Path) -> None:
    guest, uuid = master.with_name("guest.img"), UUID(int=0x77)
    layer = [text("etc/hostname", "guest\n"), text("etc/network/interfaces", "auto lo\n" * 1000)]
    root.build(adopt(master), guest, lambda _: layer, uuid, allocate=False)
    images.check(guest)
    assert images.blkid(guest)["UUID"] == str(uuid)
    assert images.cat(guest, "etc/hostname") == "guest\n"
    assert images.cat(guest, "etc/network/interfaces") == "auto lo\n" * 1000


def test_full_means_full(tmp_path: Path) -> None:
    target = adopt(images.handmade(tmp_path / "master.img"), allocate=True)
    images.check(target)
    assert not images.is_sparse(target)


UNCLEAN = {
    "mounted": "set_super_value state 0",
    "with errors": "set_super_value state 3",
    "journal to replay": "feature needs_recovery",
}


@pytest.mark.parametrize("request_", UNCLEAN.values(), ids=UNCLEAN)
def test_not_unmounted_cleanly(request_: str, tmp_path: Path) -> None:
    image = images.handmade(tmp_path / "master.img", "-t", "ext4")
    run("debugfs", "-w", "-R", request_, image)
    with pytest.raises(ImageError) as caught:
        adopt(image)
    assert caught.value.message == f"{image}: the file system was not cleanly unmounted"
    assert caught.value.hint == f"look after it with: e2fsck -f {image}"
    assert not (tmp_path / "root.img").exists()


def test_copied_while_mounted(tmp_path: Path, mount: Mount) -> None:
    image, copy = images.handmade(tmp_path / "master.img", "-t", "ext4"), tmp_path / "copy.img"
    (mount(image, "-o", "loop") / "file").write_text("in the journal")
    run("sync", "--file-system", image)
    run("cp", image, copy)
    with pytest.raises(ImageError, match=re.escape(f"{copy}: the file system was not cleanly unmounted")):
        adopt(copy)


CORRUPT = {
    "links": ("set_inode_field / links_count 7", "Inode 2 ref count is 7, should be 3."),
    "bitmap": ("freeb 1 5", "Block bitmap differences:"),
}


@pytest.mark.parametrize(("request_", "line"), CORRUPT.values(), ids=CORRUPT)
def test_not_in_order(request_: str, line: str, tmp_path: Path) -> None:
    image = images.handmade(tmp_path / "master.img", "-t", "ext4", "-O", "^metadata_csum")
    run("debugfs", "-w", "-R", request_, image)
    with pytest.raises(ImageError, match=line) as caught:
        adopt(image)
    assert caught.value.message.startswith(f"{image}: the file system has errors:\n  ")
    assert caught.value.hint == f"repair it with: e2fsck -f {image}"
    assert not (tmp_path / "root.img").exists()


def test_shorter_than_its_file_system(tmp_path: Path) -> None:
    image = images.handmade(tmp_path / "master.img", "-t", "ext4")
    with image.open("r+b") as file:
        file.truncate(12 * MIB)
    with pytest.raises(ImageError, match=f"is cut off: it has {12 * MIB} bytes, and its file system {16 * MIB}"):
        adopt(image)


NO_FILE_SYSTEM = {"empty": b"", "zeros": bytes(MIB), "noise": bytes(range(256)) * 4096}


@pytest.mark.parametrize("data", NO_FILE_SYSTEM.values(), ids=NO_FILE_SYSTEM)
def test_no_file_system_at_all(data: bytes, tmp_path: Path) -> None:
    image = tmp_path / "master.img"
    image.write_bytes(data)
    with pytest.raises(ImageError, match=re.escape(f"{image}: no ext2, ext3 or ext4 file system can be opened")):
        adopt(image)


def test_too_large(tmp_path: Path) -> None:
    image = images.handmade(tmp_path / "master.img", size=24 * MIB)
    with pytest.raises(ImageError, match=f"has {24 * MIB} bytes, and the guests' root disks {16 * MIB}; give them a l"):
        adopt(image, size=16 * MIB)


@pytest.mark.parametrize(("made", "asked"), [("ext2", "ext4"), ("ext3", "ext2"), ("ext4", "ext3")])
def test_another_file_system_than_the_guests_ask_for(made: str, asked: str, tmp_path: Path) -> None:
    image = images.handmade(tmp_path / "master.img", "-t", made)
    assert images.blkid(image)["TYPE"] == made
    with pytest.raises(ImageError, match=f"is {made}, and the guests ask for {asked}"):
        adopt(image, asked)
    adopt(image, made)


def test_changed_since_it_was_looked_at(tmp_path: Path) -> None:
    image = images.handmade(tmp_path / "master.img")
    contents = Contents(digest="0" * 64, room=image.stat().st_size)
    with pytest.raises(ImageError, match="the master changed while it was read; run doit again"):
        base.adopt(image, tmp_path / "root.img", SIZE, None, contents, allocate=False)
    assert [path.name for path in tmp_path.iterdir()] == ["master.img"]
