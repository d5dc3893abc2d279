"""Layers over what is there already: by rule, and by chance against a model."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.image import ext
from pipeline.image.layer.entries import (
    Content,
    Directory,
    Entry,
    File,
    HardLink,
    Kind,
    Metadata,
    Removal,
    Special,
    text,
)
from tests.image import images
from tests.image.images import MIB
from tests.layers import PLAIN, file, link
from tests.machine import run

KIB = 1 << 10


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An empty file system that can be written to."""
    empty = images.formatted(tmp_path)
    empty.chmod(0o600)
    return empty


def apply(image: Path, *layer: Entry) -> Path:
    with ext.open(image) as filesystem:
        filesystem.apply(layer)
    images.check(image)
    return image


def free_blocks(image: Path) -> int:
    return int(images.header(image)["Free blocks"])


# --- Rules ---


def test_file_over_file(image: Path) -> None:
    apply(image, file("a", b"x" * 3 * MIB))
    free = free_blocks(image)
    apply(image, text("a", "short", 0o600))
    assert images.cat(image, "a") == "short"
    assert images.mode(image, "a") == "regular 0600"
    assert free_blocks(image) == free + 3 * MIB // 4096 - 1


def test_symlink_over_file_and_back(image: Path) -> None:
    apply(image, text("a", "text"), link("a", "b" * 100))
    assert images.leads_to(image, "a") == "b" * 100
    apply(image, text("a", "text again"))
    assert images.cat(image, "a") == "text again"


def test_file_replaces_the_symlink_and_not_what_it_leads_to(image: Path) -> None:
    apply(image, text("real", "real"), link("a", "real"), text("a", "own"))
    assert (images.cat(image, "real"), images.cat(image, "a")) == ("real", "own")


def test_file_over_one_of_two_names(image: Path) -> None:
    apply(image, text("a", "shared"), HardLink("b", "a"), text("b", "own"))
    assert (images.cat(image, "a"), images.cat(image, "b")) == ("shared", "own")
    assert "Links: 1 " in images.stat(image, "a")


def test_directory_over_directory_keeps_what_is_in_it(image: Path) -> None:
    apply(image, text("etc/a", "text"), Directory("etc", Metadata(mode=0o700, uid=5)))
    assert images.names(image, "etc") == ["a"]
    assert images.mode(image, "etc") == "directory 0700"


def test_directory_over_file(image: Path) -> None:
    apply(image, text("etc", "text"), Directory("etc", PLAIN))
    assert images.mode(image, "etc") == "directory 0755"


def test_directories_that_are_left_out_are_made(image: Path) -> None:
    apply(image, text("a/b/c", "text"))
    assert images.cat(image, "a/b/c") == "text"
    assert images.mode(image, "a/b") == "directory 0755"


def test_very_deep_directories_come_and_go(image: Path) -> None:
    """Deeper than Python's stack."""
    apply(image, text("d/" * 1500 + "f", "text"), text("e", "stays"))
    apply(image, Removal("d"))
    assert images.names(image, "") == ["e", "lost+found"]


def test_symlinks_on_the_way_stay_inside(image: Path) -> None:
    apply(image, Directory("usr/lib", PLAIN), link("lib", "usr/lib"), link("usr/lib64", "../lib"))
    apply(image, link("abs", "/usr/lib"), link("out", "../../../../lib"))
    for name, way in [("relative", "lib"), ("twice", "usr/lib64"), ("absolute", "abs"), ("outward", "out")]:
        apply(image, text(f"{way}/{name}", name))
        assert images.cat(image, f"usr/lib/{name}") == name
    apply(image, Removal("lib/twice"), HardLink("lib/again", "abs/relative"))
    assert images.names(image, "usr/lib") == ["absolute", "again", "outward", "relative"]


def test_removal(image: Path) -> None:
    before = free_blocks(image)
    apply(
        image, *(text(f"tree/{number % 7}/{number}", "x" * 5000) for number in range(100)), HardLink("kept", "tree/3/3")
    )
    apply(image, Removal("tree"), Removal("tree"), Removal("never/was"), Removal("kept/is/no/directory"))
    assert images.names(image, "") == ["kept", "lost+found"]
    assert images.cat(image, "kept") == "x" * 5000
    assert "Links: 1 " in images.stat(image, "kept")
    apply(image, Removal("kept"))
    assert free_blocks(image) == before


def test_removal_of_every_kind(image: Path) -> None:
    before = free_blocks(image)
    large = Metadata(mode=0o644, xattrs=(("user.large", b"v" * 3000),))
    kinds: list[Entry] = [Special(f"tree/{kind.name}", PLAIN, kind, 8, 300) for kind in Kind]
    kinds += [link("tree/fast", "a"), link("tree/slow", "a" * 70), Directory("tree/directory", large)]
    kinds += [File("tree/attributes", large, Content.of(b"")), HardLink("tree/attributes-again", "tree/attributes")]
    kinds += [File("tree/sparse", PLAIN, Content(MIB, lambda: iter([(700 * KIB, b"D" * 9000)])))]
    apply(image, *kinds)
    apply(image, Removal("tree"))
    assert free_blocks(image) == before


def test_hard_links_to_everything_but_directories(image: Path) -> None:
    device = Special("null", PLAIN, Kind.CHARACTER, 1, 3)
    apply(image, device, HardLink("null2", "null"), link("a", "null"), HardLink("b", "a"), HardLink("b", "a"))
    assert images.leads_to(image, "b") == "null", "the link itself, and not what it leads to"
    assert "Links: 2 " in images.stat(image, "b")
    assert "Device major/minor number: 01:03" in images.stat(image, "null2")


def test_hard_link_over_a_file(image: Path) -> None:
    apply(image, text("a", "kept"), text("b", "gone"), HardLink("b", "a"))
    assert images.cat(image, "b") == "kept"


def test_extended_attributes_are_replaced_and_added(image: Path) -> None:
    def with_xattrs(**xattrs: bytes) -> Directory:
        return Directory("d", Metadata(mode=0o755, xattrs=tuple((f"user.{name}", xattrs[name]) for name in xattrs)))

    apply(image, with_xattrs(a=b"1", b=b"2"), with_xattrs(b=b"3", c=b"4"))
    assert images.debugfs(image, "ea_list /d").decode().split("\n")[1:-1] == [
        '  user.a (1) = "1"',
        '  user.b (1) = "3"',
        '  user.c (1) = "4"',
    ]


REFUSED: Mapping[str, tuple[list[Entry], str]] = {
    "file over directory": ([Directory("a", PLAIN), text("a", "")], "'a' is a directory already"),
    "symlink over directory": ([text("a/b", ""), link("a", "c")], "'a' is a directory already"),
    "hard link over directory": ([text("b", ""), Directory("a", PLAIN), HardLink("a", "b")], "'a' is a directory a"),
    "hard link to nothing": ([HardLink("a", "b")], "'a' is a hard link to 'b', which is no file before it"),
    "hard link to a later one": ([HardLink("a", "b"), text("b", "")], "'a' is a hard link to 'b', which is no file"),
    "hard link to a directory": ([Directory("b", PLAIN), HardLink("a", "b")], "'a' is a hard link to 'b', which is"),
    "hard link to the root": ([HardLink("a", "")], "'a' is a hard link to '', which is no file before it"),
    "below a file": ([text("a", ""), text("a/b", "")], "'a' is not a directory, nor does it lead to one"),
    "below a symlink to nothing": ([link("a", "b"), text("a/b", "")], "'a' is not a directory, nor does it lead to"),
    "below a symlink to a file": ([text("b", ""), link("a", "b"), text("a/c/d", "")], "'a' is not a directory, nor"),
    "below a loop": ([link("a", "b"), link("b", "a"), text("a/c", "")], "'a' leads through too many symlinks"),
    "the root": ([text("", "")], "the root of a file system can only be a directory"),
    "removal of the root": ([Removal("")], "the root of a file system can only be a directory"),
    "symlink to the empty name": ([link("a", "")], "'a': there can be no symlink to ''"),
    "symlink to a NUL": ([link("a", "b\0c")], r"'a': there can be no symlink to 'b\x00c'"),
    "symlink as large as a block": ([link("a", "b" * 4096)], "cannot write 'a': Invalid argument"),
    "no such device": ([Special("a", PLAIN, Kind.BLOCK, 4096, 0)], "'a': there is no device 4096:0"),
    "no such device, minor": ([Special("a", PLAIN, Kind.CHARACTER, 0, 1 << 20)], "'a': there is no device 0:1048576"),
    "attribute larger than a block": (
        [File("a", Metadata(mode=0o644, xattrs=(("user.a", b"v" * 5000),)), Content.of(b""))],
        "cannot write 'a': Insufficient space to store extended attribute data",
    ),
    "larger than a file can be": (
        [File("a", PLAIN, Content(1 << 63, lambda: iter(())))],
        "'a' has 9223372036854775808 bytes, more than files can have here",
    ),
}


@pytest.mark.parametrize(("layer", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(layer: list[Entry], message: str, image: Path) -> None:
    with pytest.raises(ImageError, match=re.escape(message)), ext.open(image) as filesystem:
        filesystem.apply(layer)


@pytest.mark.parametrize(("filesystem", "limit"), [("ext2", 2**41), ("ext3", 2**41), ("ext4", 2**44 - 4096)])
def test_largest_file(filesystem: str, limit: int, tmp_path: Path) -> None:
    """e2fsck takes away from those that are larger."""

    def with_last_byte(size: int) -> File:
        return File("a", PLAIN, Content(size, lambda: iter([(size - 1, b"D")])))

    image = images.formatted(tmp_path, filesystem)
    image.chmod(0o600)
    apply(image, with_last_byte(limit))
    assert f"Size: {limit}" in images.stat(image, "a")
    with pytest.raises(ImageError, match="more than files can have here"):
        apply(image, with_last_byte(limit + 1))


def test_more_names_than_a_file_can_have(image: Path) -> None:
    apply(image, text("a", "text"))
    run("debugfs", "-w", "-R", "set_inode_field a links_count 64999", image)
    with pytest.raises(ImageError, match="'c': 'a' has 65000 names already"), ext.open(image) as filesystem:
        filesystem.apply([HardLink("b", "a"), HardLink("c", "a")])
