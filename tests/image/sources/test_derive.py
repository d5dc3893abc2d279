"""Masters derived from others: what has to survive the way through a chroot and back into a tar file."""

from pathlib import Path

from pipeline.image.layer import acl, tar
from pipeline.image.layer.entries import Content, Digest, Directory, Entry, File, Metadata
from pipeline.image.sources import derive
from tests.layers import PLAIN
from tests.machine import need_programs, need_root


def test_access_control_lists_and_attributes_stay(tmp_path: Path) -> None:
    need_programs("mmdebstrap")
    need_root()
    attributes = (
        ("security.capability", bytes.fromhex("0100000200040000000000000000000000000000")),
        (acl.ACCESS, acl.parse("user::rw-,user:1234:r--,group::r--,mask::r--,other::r--")),
        ("user.note", b"kept"),
    )
    layer: list[Entry] = [
        Directory("", PLAIN),
        File("file", Metadata(mode=0o644, xattrs=attributes), Content.of(b"data")),
    ]
    changes = derive.Changes(packages=(), run=('echo new >"$1/new"',))
    derive.build(layer, Digest().read(layer), changes, tmp_path / "derived.tar")
    made = {
        entry.path: (entry.metadata.xattrs, entry.content.read())
        for entry in tar.entries(tmp_path / "derived.tar")
        if isinstance(entry, File)
    }
    assert made["file"] == (attributes, b"data")
    assert made["new"] == ((), b"new\n")
