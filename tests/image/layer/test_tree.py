"""Trees to look at: a layer's, and the same one's in an image, answer alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.image import ext
from pipeline.image.layer import tree as module
from pipeline.image.layer.entries import Content, Directory, Entry, File, HardLink, Metadata, text
from pipeline.image.layer.tree import LayerTree, Tree, resolve
from tests.image import images
from tests.layers import PLAIN, link, tree

pytestmark = pytest.mark.unit

LAYER: list[Entry] = [
    Directory("usr/lib", PLAIN),
    Directory("empty", PLAIN),
    link("lib", "usr/lib"),
    text("lib/through", "through a symlink"),
    text("etc/a", "text"),
    link("etc/b", "a"),
    link("etc/c", "/etc/b"),
    link("etc/up", "../../../etc/../etc/a"),
    link("etc/nothing", "missing"),
    link("etc/folder", "../usr/lib"),
    link("etc/loop", "loop"),
    HardLink("etc/d", "etc/a"),
    text("replaced", "file"),
    link("replaced", "etc/a"),
    link("back", "etc/a"),
    text("back", "file again"),
    File("sparse", PLAIN, Content(5, lambda: iter([(3, b"D")]))),
]


@pytest.fixture(params=["layer", "image"])
def looked_at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tree]:
    if request.param == "layer":
        yield tree(*LAYER)
    else:
        with ext.open(images.populated(tmp_path, LAYER), write=False) as filesystem:
            yield filesystem


def test_exists(looked_at: Tree) -> None:
    there = ["", "etc", "etc/", "etc/a", "etc/b", "etc/c", "etc/d", "etc/up", "etc/folder/through", "usr/lib/through"]
    assert [path for path in there if not looked_at.exists(path)] == []
    missing = ["x", "etc/x", "etc/nothing", "etc/folder/x", "usr/through", "etc/aa"]
    assert [path for path in missing if looked_at.exists(path)] == []


def test_readlink(looked_at: Tree) -> None:
    assert looked_at.readlink("etc/b") == "a"
    assert looked_at.readlink("etc/nothing") == "missing"
    assert looked_at.readlink("replaced") == "etc/a"
    assert [looked_at.readlink(path) for path in ("etc", "etc/a", "etc/d", "back", "x")] == [None] * 5


def test_names(looked_at: Tree) -> None:
    assert looked_at.names("etc") == ["a", "b", "c", "d", "folder", "loop", "nothing", "up"]
    assert looked_at.names("etc/folder") == looked_at.names("lib") == ["through"]
    assert looked_at.names("empty") == looked_at.names("x") == looked_at.names("etc/a") == []


def test_read(looked_at: Tree) -> None:
    for path in ("etc/a", "etc/b", "etc/c", "etc/d", "etc/up", "replaced", "/etc/a", "etc/./a"):
        assert looked_at.read(path) == b"text"
    assert looked_at.read("usr/lib/through") == b"through a symlink"
    assert looked_at.read("back") == b"file again"
    assert looked_at.read("sparse") == b"\0\0\0D\0"


@pytest.mark.parametrize("path", ["x", "etc", "etc/nothing", "etc/a/b"])
def test_nothing_to_read(path: str, looked_at: Tree) -> None:
    with pytest.raises(ImageError, match=f"there is no file '{path}'"):
        looked_at.read(path)


def test_symlinks_in_a_circle(looked_at: Tree) -> None:
    with pytest.raises(ImageError, match="'etc/loop/x' leads through too many symlinks"):
        looked_at.exists("etc/loop/x")


def test_resolve(looked_at: Tree) -> None:
    ways = {
        "etc/c": "etc/a",
        "/lib/through": "usr/lib/through",
        "lib/../x": "usr/x",
        "../../etc/up": "etc/a",
        "etc/nothing": "etc/missing",
        "new/folder": "new/folder",
        "": "",
    }
    assert {path: resolve(looked_at, path) for path in ways} == ways


def test_only_what_is_wanted_is_kept() -> None:
    kept = LayerTree(LAYER, lambda path: path == "usr/lib/through")
    assert kept.read("lib/through") == b"through a symlink"
    with pytest.raises(ImageError):
        kept.read("etc/a")


def test_a_sparse_bomb_is_not_kept() -> None:
    bomb = File("boot/vmlinuz", PLAIN, Content(1 << 62, lambda: iter(())))
    with pytest.raises(ImageError, match="there is no file 'boot/vmlinuz' that could be read"):
        tree(bomb).read("boot/vmlinuz")


def test_contents_that_are_kept_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What repeats itself is kept once, and all of it within bounds."""
    monkeypatch.setattr(module, "_MOST_KEPT", 8)
    same = [File(f"boot/{number}", Metadata(mode=0o644), Content.of(b"12345678")) for number in range(9)]
    assert LayerTree(same, lambda _: True).read("boot/8") == b"12345678"
    with pytest.raises(ImageError, match="its kernels take more than 8 bytes; remove those"):
        LayerTree([*same, File("boot/9", Metadata(mode=0o644), Content.of(b"9"))], lambda _: True)
    monkeypatch.setattr(module, "LARGEST_KEPT", 7)
    with pytest.raises(ImageError, match="there is no file 'boot/8' that could be read"):
        LayerTree(same, lambda _: True).read("boot/8")
