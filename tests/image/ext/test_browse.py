"""Files listed and copied out of file systems: all that is there, and nothing outside, whatever the names and links."""

import os
import stat
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.image import ext
from pipeline.image.ext import browse
from pipeline.image.layer.entries import Content, Directory, Entry, File, Metadata
from tests.conftest import Mount
from tests.image import images
from tests.image.images import MIB
from tests.machine import run

LATE = 2_000_000_000 * 10**9


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder for a file system to be made of."""
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def image_of(tree: Path, *options: str) -> Path:
    return images.handmade(tree.parent / "disk.img", "-t", "ext4", *options, "-d", str(tree))


def copied(image: Path, path: str, target: Path) -> list[str]:
    """Copy out; what was noted."""
    notes: list[str] = []
    with ext.glance(image) as filesystem:
        browse.copy_out(filesystem, path, target, notes.append)
    return notes


def refused(image: Path, path: str, target: Path) -> str:
    """What is said instead of copying; nothing is left then."""
    before = sorted(target.parent.iterdir())
    with pytest.raises(ImageError) as error:
        copied(image, path, target)
    assert sorted(target.parent.iterdir()) == before
    return error.value.message


def listed(image: Path, path: str, *, recursive: bool = False) -> list[browse.Listed]:
    with ext.glance(image) as filesystem:
        return list(browse.listed(filesystem, path, recursive=recursive))


@pytest.mark.parametrize("options", [(), ("-I", "128")], ids=["", "small inodes"])
def test_all_that_there_is_to_know(options: tuple[str, ...], tree: Path) -> None:
    (tree / "folder").mkdir()
    (tree / "folder/file").write_bytes(b"12345")
    (tree / "link").symlink_to("folder/file")
    os.mkfifo(tree / "fifo", 0o640)
    os.utime(tree / "folder/file", ns=(LATE, LATE))
    image = image_of(tree, *options)
    run("debugfs", "-w", "-R", "set_inode_field folder/file uid 70000", image)
    run("debugfs", "-w", "-R", "set_inode_field folder/file mode 0104755", image)
    found = {each.path: each for each in listed(image, "/", recursive=True)}
    assert list(found) == ["/fifo", "/folder", "/link", "/lost+found", "/folder/file"]
    file = found["/folder/file"].status
    assert (file.mode, file.uid, file.gid, file.size) == (0o104755, 70000, os.getgid(), 5)
    assert file.mtime == LATE
    assert found["/link"].target == "folder/file"
    assert stat.S_ISFIFO(found["/fifo"].status.mode)
    assert [each.path for each in listed(image, "/link")] == ["/link"]


@pytest.mark.parametrize("moment", [5_000_000_000_123_456_789, 999_999_999, -(10**18), 0])
def test_times_that_32_bits_do_not_hold(moment: int, tmp_path: Path) -> None:
    layer: list[Entry] = [
        Directory("", Metadata(mode=0o755)),
        File("file", Metadata(mode=0o644, mtime=moment), Content.of(b"")),
    ]
    assert listed(images.populated(tmp_path, layer), "/file")[0].status.mtime == moment


def test_a_copy_is_the_same(tree: Path, tmp_path: Path) -> None:
    (tree / "sub/deep").mkdir(parents=True)
    for number in range(300):
        (tree / f"sub/file{number}").write_bytes(bytes([number % 256]) * number * 50)
    (tree / "sub/deep/up").symlink_to("../file7")
    (tree / "sub/deep/over").symlink_to("nowhere/at-all")
    (tree / "sub/secret").touch(0o600)
    os.utime(tree / "sub/deep", ns=(LATE, LATE))
    image = image_of(tree)
    umask = os.umask(0o022)
    try:
        assert copied(image, "/sub", tmp_path / "copy") == []
    finally:
        os.umask(umask)
    run("diff", "-r", "--no-dereference", tree / "sub", tmp_path / "copy")
    assert (tmp_path / "copy/secret").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "copy/deep").stat().st_mtime_ns == LATE


def test_holes_stay_holes(tree: Path, tmp_path: Path) -> None:
    size = 64 * MIB
    with (tree / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(size // 2)
        file.write(b"middle")
        file.truncate(size)
    copied(image_of(tree), "/sparse", tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_size == size
    assert (tmp_path / "copy").stat().st_blocks * 512 <= 2 * MIB
    run("cmp", tree / "sparse", tmp_path / "copy")


def test_privileges_stay_behind(tree: Path, tmp_path: Path) -> None:
    (tree / "program").touch()
    image = image_of(tree)
    run("debugfs", "-w", "-R", "set_inode_field program mode 0106777", image)
    copied(image, "/program", tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o7022 == 0


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("file", True),
        ("./sub/file", True),
        ("../file", True),
        ("../../file", False),
        ("/etc/passwd", False),
        ("/", False),
        ("..", True),
        ("../..", False),
        ("self/../../file", False),
        ("../sub/self/../../../file", False),
    ],
)
def test_symlinks_that_lead_out_are_left_out(link: str, kept: bool, tree: Path, tmp_path: Path) -> None:
    (tree / "top/sub").mkdir(parents=True)
    (tree / "top/sub/self").symlink_to(".")
    (tree / "top/sub/link").symlink_to(link)
    notes = copied(image_of(tree), "/top", tmp_path / "copy")
    assert os.path.lexists(tmp_path / "copy/sub/link") == kept
    assert notes == [] if kept else f"to {link}" in notes[0]


def test_symlinks_are_followed_inside_the_image_alone(tree: Path, tmp_path: Path) -> None:
    (tree / "etc").mkdir()
    (tree / "etc/passwd").write_text("the guest's\n")
    (tree / "absolute").symlink_to("/etc/passwd")
    (tree / "above").symlink_to("../../../etc/passwd")
    (tree / "circle").symlink_to("circle")
    image = image_of(tree)
    for name in ("absolute", "above"):
        copied(image, name, tmp_path / name)
        assert (tmp_path / name).read_text() == "the guest's\n"
        assert not (tmp_path / name).is_symlink()
    assert "too many symlinks" in refused(image, "/circle", tmp_path / "copy")


def test_devices_are_left_out(tree: Path, tmp_path: Path) -> None:
    os.mkfifo(tree / "fifo")
    image = image_of(tree)
    assert copied(image, "/", tmp_path / "copy") == ["left out: /fifo is a FIFO"]
    assert refused(image, "/fifo", tmp_path / "other") == "/fifo is a FIFO: there is nothing to copy"


def test_names_that_lead_elsewhere(tree: Path, tmp_path: Path) -> None:
    (tree / "sub").mkdir()
    (tree / "sub/QQQQescaped").write_text("out of here\n")
    image = image_of(tree, "-O", "^metadata_csum")
    data = image.read_bytes()
    assert data.count(b"QQQQescaped") == 1
    image.write_bytes(data.replace(b"QQQQescaped", b"../.escaped"))
    assert "is damaged: it has the name '../.escaped'" in refused(image, "/", tmp_path / "copy")
    assert not (tmp_path / ".escaped").exists()
    with pytest.raises(ImageError, match="is damaged"):
        listed(image, "/sub")


def test_a_directory_inside_itself(tree: Path, tmp_path: Path) -> None:
    (tree / "sub/sub").mkdir(parents=True)
    image = image_of(tree)
    run("debugfs", "-w", "-R", "ln sub sub/sub/loop", image)
    assert "inside itself" in refused(image, "/", tmp_path / "copy")
    with pytest.raises(ImageError, match="inside itself"):
        listed(image, "/", recursive=True)


def test_what_is_there_is_not_followed_and_not_merged(tree: Path, tmp_path: Path) -> None:
    (tree / "sub").mkdir()
    (tree / "file").write_text("new\n")
    image = image_of(tree)
    (tmp_path / "precious").write_text("precious\n")
    (tmp_path / "link").symlink_to("precious")
    copied(image, "/file", tmp_path / "link")
    assert (tmp_path / "precious").read_text() == "precious\n"
    assert (tmp_path / "link").read_text() == "new\n"
    (tmp_path / "folder").mkdir()
    assert "is a folder that is there already" in refused(image, "/file", tmp_path / "folder")
    assert "is there already" in refused(image, "/sub", tmp_path / "link")


def test_a_full_disk_leaves_nothing(tree: Path, small_disk: Path) -> None:
    (tree / "file").write_bytes(os.urandom(9 * MIB))
    image = image_of(tree)
    with pytest.raises(OSError, match="No space left"):
        copied(image, "/file", small_disk / "copy")
    assert list(small_disk.iterdir()) == []


def test_while_it_is_mounted(tree: Path, mount: Mount, tmp_path: Path) -> None:
    """What a guest has written is seen as soon as its kernel has it on the disk."""
    (tree / "file").write_text("before\n")
    image = image_of(tree)
    point = mount(image, "-o", "loop")
    (point / "late").write_text("late\n")
    os.sync()
    with ext.glance(image) as filesystem:
        assert not filesystem.is_clean
        assert filesystem.read("/file") == b"before\n"
    before = image.stat().st_mtime_ns
    copied(image, "/file", tmp_path / "copy")
    assert image.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name", "plain name"),
        ("größe", "größe"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines", r"two\x0alines"),
        (os.fsdecode(b"\xff"), r"\xff"),
        ("back\\slash", r"back\\slash"),
        ("\u202egnp.exe", r"\xe2\x80\xaegnp.exe"),
    ],
)
def test_names_are_harmless_to_terminals(name: str, shown: str, tree: Path) -> None:
    (tree / name).touch()
    assert {browse.escaped(each.path) for each in listed(image_of(tree), "/")} == {f"/{shown}", "/lost+found"}


def test_what_is_no_file_system(tmp_path: Path) -> None:
    image = images.sparse(tmp_path / "disk.img", MIB)
    with pytest.raises(ImageError, match="no ext2, ext3 or ext4 file system"):
        listed(image, "/")
