"""Names in layers, and digests of layers."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ImageError
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
    Symlink,
    relative,
    text,
)
from tests.layers import PLAIN, file, link

pytestmark = pytest.mark.unit

NAMES = {
    "a": "a",
    "./a": "a",
    "/a": "a",
    "///a//b/": "a/b",
    "./././a/./b": "a/b",
    "": "",
    ".": "",
    "/": "",
    "./": "",
    "...": "...",
    "..a/b..": "..a/b..",
    " ": " ",
    "a\nb": "a\nb",
    "x" * 255: "x" * 255,
    "\udcff" * 255: "\udcff" * 255,
    "a/" * 2047 + "a": "a/" * 2047 + "a",
}


@pytest.mark.parametrize(("name", "path"), NAMES.items(), ids=lambda value: repr(value[:20]))
def test_relative(name: str, path: str) -> None:
    assert relative(name) == path


OUT = "leads out of the root file system"
IMPOSSIBLE = "is not a possible file name; names have at most 255 bytes, and paths 4095; neither has a NUL"
WRONG = {
    "..": f"'..' {OUT}",
    "../a": f"'../a' {OUT}",
    "/../a": f"'/../a' {OUT}",
    "a/..": f"'a/..' {OUT}",
    "a/../b": f"'a/../b' {OUT}",
    "a\0b": rf"'a\x00b' {IMPOSSIBLE}",
    "x" * 256: IMPOSSIBLE,
    "ä" * 128: IMPOSSIBLE,
    "a/" * 2048 + "a": f"'{'a/' * 38}a...' {IMPOSSIBLE}",
}


@pytest.mark.parametrize(("name", "message"), WRONG.items(), ids=lambda value: repr(value[:20]))
def test_names_that_cannot_be(name: str, message: str) -> None:
    with pytest.raises(ImageError, match=re.escape(message)):
        relative(name)


@given(name=st.text(alphabet=st.sampled_from("ab./\0\n\udcff"), max_size=30))
def test_names_stay_in_the_tree(name: str) -> None:
    try:
        path = relative(name)
    except ImageError:
        return
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/")) or path == ""
    assert relative(path) == path


def test_text_that_was_no_utf8() -> None:
    assert text("a", b"B\xfcro".decode(errors="surrogateescape")).content.read() == b"B\xfcro"


def test_holes_are_read_as_zeros() -> None:
    assert Content(10, lambda: iter([(2, b"ab"), (6, b"c")])).read() == b"\0\0ab\0\0c\0\0\0"


# --- Digests ---


def runs(*pieces: tuple[int, bytes], size: int = 100) -> list[Entry]:
    return [File("a", PLAIN, Content(size, lambda: iter(pieces)))]


# Each of them is another layer.
LAYERS: dict[str, list[Entry]] = {
    "nothing": [],
    "empty file": [text("a", "")],
    "another name": [text("b", "")],
    "another mode": [text("a", "", 0o600)],
    "another owner": [File("a", Metadata(mode=0o644, uid=1), Content.of(b""))],
    "another group": [File("a", Metadata(mode=0o644, gid=1), Content.of(b""))],
    "another nanosecond": [File("a", Metadata(mode=0o644, mtime=1), Content.of(b""))],
    "another attribute": [File("a", Metadata(mode=0o644, xattrs=(("user.a", b""),)), Content.of(b""))],
    "other contents": [text("a", "x")],
    "directory": [Directory("a", Metadata(mode=0o644))],
    "symlink": [link("a", "")],
    "hard link": [HardLink("a", "")],
    "fifo": [Special("a", PLAIN, Kind.FIFO)],
    "block device": [Special("a", PLAIN, Kind.BLOCK, 8, 1)],
    "character device": [Special("a", PLAIN, Kind.CHARACTER, 8, 1)],
    "another device": [Special("a", PLAIN, Kind.BLOCK, 8, 2)],
    "removal": [Removal("a")],
    "two": [text("a", ""), text("b", "")],
    "two, the other way round": [text("b", ""), text("a", "")],
    "contents of the next one": [text("a", "x"), text("b", "")],
    "hole": runs(),
    "larger hole": runs(size=101),
    "zeros": runs((0, bytes(100))),
    "data": runs((0, b"ab")),
    "data elsewhere": runs((1, b"ab")),
    "data apart": runs((0, b"a"), (2, b"b")),
    "data with what passes for a hole": runs((0, b"a1 hole 2b")),
}


def test_another_layer_has_another_digest() -> None:
    digests = [Digest().read(layer).digest for layer in LAYERS.values()]
    assert len(set(digests)) == len(LAYERS)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def in_pieces(data: bytes, cuts: list[int]) -> Iterator[tuple[int, bytes]]:
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return ((start, data[start:end]) for start, end in pairwise(bounds))


@given(data=st.binary(), cuts=st.lists(st.integers(min_value=0)))
def test_digest_does_not_depend_on_how_it_is_read(data: bytes, cuts: list[int]) -> None:
    pieces = File("a", Metadata(mode=0o644), Content(len(data), lambda: in_pieces(data, cuts)))
    assert Digest().read([pieces]) == Digest().read([file("a", data)])


def test_watching_changes_nothing() -> None:
    layer: list[Entry] = [Directory("d", PLAIN), file("d/a", b"data"), Symlink("b", PLAIN, "c"), Removal("x")]
    seen = Digest()
    for entry, same in zip(layer, seen.watch(layer), strict=True):
        if isinstance(entry, File) and isinstance(same, File):  # whose contents are watched, too, as they are read
            assert (same.path, same.metadata, same.content.read()) == (entry.path, entry.metadata, b"data")
        else:
            assert same == entry
    assert seen.contents() == Digest().read(layer)


def test_room_is_what_the_data_and_the_inodes_take() -> None:
    assert Digest().read([file("a", bytes(10_000)), Directory("b", PLAIN)]).room == 10_000 + 2 * 128
    assert Digest().read(runs((0, b"ab"), size=1 << 50)).room == 2 + 128, "holes take none"
