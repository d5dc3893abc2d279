"""A master derived from the example's: Debian's apt installs a package in it."""

from pathlib import Path

from pipeline import farm
from pipeline.farm.model.master import Derived
from pipeline.image import derive, tar
from pipeline.image.layer import Digest
from tests.boot.masters import read
from tests.pipeline.conftest import Workshop

_LIST = """\
farm: example
masters:
  debian: {bootstrap: {suite: bookworm}}
  more: {from: debian, packages: [netcat-openbsd], run: 'chroot "$1" useradd --create-home me'}
guests:
  more: {master: more, network: none}
"""


def test_more_packages(example: Workshop, tmp_path: Path) -> None:
    (tmp_path / "guests.yaml").write_text(_LIST)
    source = farm.load(tmp_path / "guests.yaml").masters["more"].source
    assert isinstance(source, Derived)
    parent, derived = example.path("masters/debian/rootfs.tar"), tmp_path / "rootfs.tar"
    contents = Digest().read(tar.entries(parent))
    derive.build(tar.entries(parent), contents, derive.Changes(packages=source.packages, run=source.run), derived)
    before = {entry.path: entry for entry in tar.entries(parent)}
    after = {entry.path for entry in tar.entries(derived)}
    assert "bin/nc.openbsd" in after or "usr/bin/nc.openbsd" in after
    assert "home/me" in after
    assert before.keys() - after <= {"etc/.pwd.lock"}
    assert read(derived, "etc/machine-id") == b""
    assert not after & {"etc/hostname", "etc/resolv.conf", "var/log/dpkg.log", "var/log/apt/history.log"}
    changing = ("var/lib/apt/lists/", "var/cache/", "var/log/", "tmp/", "run/")
    assert not [path for path in after - before.keys() if path.startswith(changing)]
    assert [path.name for path in tmp_path.iterdir() if "parent" in path.name] == []
