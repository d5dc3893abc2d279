"""Overlays: what they say of a tree is what the image says once the layer is written."""

from pathlib import Path

import pytest

from pipeline.image import ext
from pipeline.image.layer.entries import Directory, Entry, Removal, text
from pipeline.image.layer.overlay import Overlay
from tests.image import images
from tests.layers import PLAIN, link

BELOW: list[Entry] = [
    *(Directory(path, PLAIN) for path in ("usr", "usr/lib", "etc", "etc/a", "etc/a/b", "srv", "empty")),
    link("lib", "usr/lib"),
    link("etc/up", "../usr/lib"),
    link("out", "/../../etc"),
    text("usr/lib/file", "below"),
    text("etc/a/b/deep", "deep"),
    text("etc/a/kept", "kept"),
]
LAYERS: dict[str, list[Entry]] = {
    "nothing": [],
    "through symlinks": [text("lib/new", "new"), text("etc/up/file", "changed"), text("out/a/more", "more")],
    "removed": [Removal("etc/a"), Removal("lib/file"), Removal("never/was")],
    "removed and made anew": [Removal("etc/a"), text("etc/a/b/other", "other"), text("etc/a/last", "last")],
    "a symlink that goes": [Removal("lib"), Directory("lib", PLAIN), text("lib/own", "own")],
    "a symlink that comes": [Removal("empty"), link("empty", "etc/a"), text("empty/b/more", "more")],
    "a symlink that changes": [link("lib", "srv"), text("lib/new", "new")],
    "made on the way": [text("var/cache/x/y", "y"), link("var/run", "/srv"), text("var/run/z", "z")],
    "again": [text("etc/n", "1"), text("etc/n", "2"), Removal("etc/n"), text("etc/n", "3"), Removal("etc/a/b/deep")],
}
PATHS = [
    *("", "lib", "lib/file", "lib/new", "lib/own", "usr/lib", "usr/lib/file", "usr/lib/new", "etc", "etc/a", "etc/a/b"),
    *(
        "etc/a/b/deep",
        "etc/a/b/other",
        "etc/a/b/more",
        "etc/a/kept",
        "etc/a/last",
        "etc/a/more",
        "etc/up",
        "etc/up/new",
    ),
    *(
        "etc/n",
        "out/a",
        "out/a/kept",
        "empty",
        "empty/b/more",
        "srv",
        "srv/new",
        "srv/z",
        "var",
        "var/run",
        "var/run/z",
    ),
    *("var/cache/x/y", "never", "never/was", "lib/../a", "etc/../lib/file"),
]


@pytest.mark.parametrize("layer", LAYERS.values(), ids=list(LAYERS))
def test_says_what_will_be(layer: list[Entry], tmp_path: Path) -> None:
    image = images.populated(tmp_path, BELOW)
    with ext.open(image) as filesystem:
        overlay = Overlay(filesystem)
        for entry in layer:
            overlay.add(entry)
        said = {path: facts(overlay, path) for path in PATHS}
        filesystem.apply(layer)
    images.check(image)
    with ext.open(image, write=False) as filesystem:
        assert said == {path: facts(filesystem, path) for path in PATHS}


def facts(tree: Overlay | ext.FileSystem, path: str) -> tuple[object, ...]:
    names = [name for name in tree.names(path) if name != "lost+found"]
    is_file = (
        tree.exists(path) and not names and path.rpartition("/")[2] in ("file", "new", "deep", "other", "kept", "y")
    )
    contents = tree.read(path) if is_file else None
    return tree.exists(path), tree.readlink(path), names, tree.mode(path), tree.owner(path), contents
