"""OCI image layouts: layers and whiteouts in their order, digests, indexes, and what must not be let in."""

import gzip
import json
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import GuestfarmError, MasterError
from pipeline.image.layer.entries import Entry, File, HardLink, Symlink
from pipeline.image.sources import oci
from tests import layouts
from tests.layouts import Layout, layer, link
from tests.machine import need_programs, run

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BELOW = layer(
    ("etc/", None),
    ("etc/motd", b"below\n"),
    ("etc/old", b"old\n"),
    ("etc/first", b"one inode\n"),
    link("etc/second", "etc/first", tarfile.LNKTYPE),
    ("var/", None),
    ("var/cache/", None),
    ("var/cache/a", b"a"),
    ("var/cache/deep/", None),
    ("var/cache/deep/b", b"b"),
    ("usr/bin/tool", b"tool"),
    link("bin", "usr/bin"),
    ("opt/", None),
    ("opt/inside", b"x"),
)
ABOVE = layer(
    ("etc/motd", b"above\n"),
    ("etc/.wh.old", b""),
    ("etc/.wh.first", b""),
    ("var/cache/new", b"new"),
    ("var/cache/.wh..wh..opq", b""),
    ("opt", b"a file now"),
    ("bin/more", b"more"),
)
PACKINGS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "+gzip": gzip.compress, "+zstd": zstd.compress}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def entries(folder: Path, tag: str | None = None) -> dict[str, Entry]:
    with oci.opened(oci.Layout(folder, tag), folder.parent / "rootfs.tar") as files:
        found = {}
        for entry in files:
            if isinstance(entry, File):
                assert entry.content.read() is not None
            found[entry.path] = entry
        return found


def contents(folder: Path, tag: str | None = None) -> dict[str, bytes]:
    with oci.opened(oci.Layout(folder, tag), folder.parent / "rootfs.tar") as files:
        return {entry.path: entry.content.read() for entry in files if isinstance(entry, File)}


@pytest.mark.parametrize("suffix", PACKINGS)
def test_layers_in_their_order(layout: Layout, suffix: str) -> None:
    folder = layout.write(layout.image([BELOW, ABOVE], {suffix: PACKINGS[suffix]}))
    assert contents(folder) == {
        "etc/motd": b"above\n",
        "etc/second": b"one inode\n",
        "opt": b"a file now",
        "usr/bin/more": b"more",
        "usr/bin/tool": b"tool",
        "var/cache/new": b"new",
    }
    found = entries(folder)
    assert isinstance(found["bin"], Symlink)
    assert "var/cache/deep" not in found
    assert not [path for path in found if ".wh." in path]
    assert [path.name for path in folder.parent.iterdir()] == ["layout"]


def test_hard_links_stay(layout: Layout) -> None:
    found = entries(layout.write(layout.image([BELOW])))
    assert found["etc/second"] == HardLink("etc/second", "etc/first")


def test_an_image_by_its_tag_and_its_platform(layout: Layout) -> None:
    arm = layout.image([layer(("arm", b""))], platform={"os": "linux", "architecture": "arm64"})
    amd = layout.image([layer(("amd", b""))], platform={"os": "linux", "architecture": "amd64"})
    old = layout.image([layer(("old", b""))], annotations=layouts.tag("1.0"))
    folder = layout.write(layout.index([arm, amd], annotations=layouts.tag("latest")), old)
    assert set(contents(folder, "latest")) == {"amd"}
    assert set(contents(folder, "1.0")) == {"old"}
    assert oci.fingerprint(oci.Layout(folder, "1.0")) == old["digest"]
    for tag, message in ((None, "several images in it; choose one with `tag:` of 1.0, latest"), ("2", "1.0")):
        with pytest.raises(MasterError, match=message):
            entries(folder, tag)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../evil", b"")], "leads out of the root file system"),
        ([("a/../../evil", b"")], "leads out of the root file system"),
        ([("etc/.wh.", b"")], "takes away nothing"),
        ([("etc/.wh...", b"")], "takes away nothing"),
        ([link("a", "../../etc/passwd", tarfile.LNKTYPE)], "leads out of the root file system"),
        ([link("a", "b", tarfile.LNKTYPE)], "is no file before it"),
        ([("file", b""), ("file/below", b"")], "is not a directory"),
    ],
)
def test_hostile_layers(layout: Layout, members: list[layouts.Member], message: str) -> None:
    with pytest.raises(GuestfarmError, match=message):
        entries(layout.write(layout.image([layer(*members)])))


def test_symlinks_stay_inside(layout: Layout, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    folder = layout.write(layout.image([layer((str(out), None), link("way", str(out))), layer(("way/evil", b"x"))]))
    assert set(contents(folder)) == {f"{out}/evil".lstrip("/")}
    assert not list(out.iterdir())


def test_symlinks_in_a_layout_are_not_followed(layout: Layout, tmp_path: Path) -> None:
    folder = layout.write(layout.image([BELOW]))
    blobs = folder / "blobs"
    read = [path for path in (blobs / "sha256").iterdir() if path.read_bytes() != b"{}"]  # which is the configuration
    assert len(read) == 2
    for path in (folder / "index.json", folder / "oci-layout", *read, blobs / "sha256", blobs):
        kept = path.rename(tmp_path / "kept")
        for target in ("/dev/zero", kept):
            path.symlink_to(target)
            with pytest.raises(MasterError, match=f"{folder}: not an OCI image layout: .*symlink"):
                entries(folder)
            path.unlink()
        if not kept.is_dir():
            os.mkfifo(path)
            with pytest.raises(MasterError, match=f"{folder}: not an OCI image layout: .*it is a FIFO"):
                entries(folder)
            path.unlink()
        kept.rename(path)
    assert entries(folder)


def test_layers_that_hold_too_much(layout: Layout, tmp_path: Path) -> None:
    """Each of them may be within bounds, and few bytes of a manifest name the same one many times."""
    sparse = tarfile.TarInfo("a")
    sparse.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40)}
    for layers in ([layer(("a", bytes(1 << 20)))] * 40, [layer(sparse)]):
        folder = layout.write(layout.image(layers, {"+gzip": gzip.compress}))
        with (
            pytest.raises(MasterError, match=f"{folder}: it holds more than twice"),
            oci.opened(oci.Layout(folder), tmp_path / "rootfs.tar", 16 << 20),
        ):
            pass
    assert not list(tmp_path.glob("rootfs*"))


def test_a_blob_that_was_changed(layout: Layout) -> None:
    folder = layout.write(layout.image([BELOW]))
    for blob in (folder / "blobs/sha256").iterdir():
        if blob.read_bytes() == BELOW:
            blob.write_bytes(BELOW.replace(b"below", b"BELOW"))
    with pytest.raises(MasterError, match="is not what its digest and size say"):
        entries(folder)


def test_what_is_no_layout(layout: Layout) -> None:
    folder = layout.folder
    with pytest.raises(MasterError, match=r"not an OCI image layout: .*index\.json: No such file"):
        entries(folder)
    for text in ("{", "[]", "{}", '{"manifests": []}', '{"manifests": [1]}', "[" * 100_000):
        (folder / "index.json").write_text(text)
        with pytest.raises(MasterError, match=str(folder)):
            entries(folder)
    image = layout.image([BELOW])
    for wrong in (
        {**image, "digest": "sha256:../../../../etc/passwd"},
        {**image, "digest": "sha512:" + "0" * 128},
        {**image, "digest": "sha256:" + "0" * 64},
        {**image, "size": 1},
        {**image, "mediaType": "text/plain"},
        {**image, "platform": {"os": "windows", "architecture": "amd64"}},
        {**layout.blob(json.dumps({"layers": [layout.blob(b"", "text/plain")]}).encode(), layouts.MANIFEST)},
    ):
        layout.write(wrong)
        with pytest.raises(MasterError, match=str(folder)):
            entries(folder)


def test_an_image_by_umoci_and_skopeo(tmp_path: Path) -> None:
    need_programs("umoci", "skopeo")
    folder, bundle = tmp_path / "umoci", tmp_path / "bundle"
    rootless = ["--rootless"] if os.geteuid() else []
    run("umoci", "init", "--layout", folder)
    run("umoci", "new", "--image", f"{folder}:latest")
    run("umoci", "unpack", *rootless, "--image", f"{folder}:latest", bundle)
    etc = bundle / "rootfs/etc"
    (etc / "sub").mkdir(parents=True)
    (etc / "motd").write_text("below\n")
    (etc / "sub/gone").write_text("gone\n")
    run("umoci", "repack", "--image", f"{folder}:latest", "--refresh-bundle", bundle)
    (etc / "sub/gone").unlink()
    (etc / "issue").write_text("above\n")
    run("umoci", "repack", "--image", f"{folder}:latest", bundle)
    copy = tmp_path / "skopeo"
    run("skopeo", "copy", f"oci:{folder}:latest", f"oci:{copy}:copied")
    for layout, tag in ((folder, "latest"), (copy, "copied"), (copy, None)):
        assert contents(layout, tag) == {"etc/motd": b"below\n", "etc/issue": b"above\n"}
        assert "etc/sub" in entries(layout, tag)
