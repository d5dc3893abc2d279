"""Masters derived from others, in real doit runs: mmdebstrap works in a tiny master with BusyBox for its shell."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.e2e.conftest import TINY_MASTER, Workshop
from tests.e2e.test_masters import inside
from tests.machine import need_programs

LIST = """\
farm: tiny
masters:
  debian: {tar: debian.tar}
  web:
    from: debian
    run: ['chroot "$1" /bin/sh -c "echo served >/etc/motd; cat /etc/passwd >/etc/copy"']
  shop: {from: web, run: 'echo sold >"$1/etc/shop"; echo secret >"$1/etc/machine-id"'}
defaults: {root: 16M, swap: none, network: {bridge: xenbr0}, address: dhcp}
guests:
  plain: {master: debian}
  web[1:2]: {master: web}
  shop: {master: shop}
"""


@pytest.fixture
def workshop(workshop: Workshop) -> Workshop:
    """A workshop whose master has a shell, and guests of masters that are derived from it."""
    need_programs("mmdebstrap", "busybox")
    write_master(workshop)
    workshop.write_list(LIST)
    return workshop


def write_master(workshop: Workshop, changes: dict[str, bytes] | None = None) -> None:
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    contents = {**TINY_MASTER, "bin/sh": busybox, "bin/cat": busybox, **(changes or {})}
    with tarfile.open(workshop.folder / "debian.tar", "w") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            member.mode = 0o755
            member.mtime = 1_600_000_000
            member.size = len(data or b"")
            archive.addfile(member, io.BytesIO(data or b""))
        link = tarfile.TarInfo("etc/resolv.conf")
        link.type, link.linkname = tarfile.SYMTYPE, "../run/resolv.conf"
        archive.addfile(link)


def test_a_master_of_a_master(workshop: Workshop) -> None:
    workshop.doit()
    assert inside(workshop.path("guests/plain/root.img"), "/etc/motd") == "welcome\n"
    assert inside(workshop.path("guests/web2/root.img"), "/etc/motd") == "served\n"
    shop = workshop.path("guests/shop/root.img")
    assert inside(shop, "/etc/motd") == "served\n"
    assert inside(shop, "/etc/shop") == "sold\n"
    assert inside(shop, "/etc/copy").startswith("root:")
    assert workshop.path("guests/shop/vmlinuz").read_bytes() == b"the kernel"
    assert sorted(path.name for path in workshop.path("bases").iterdir()) == [
        "debian-ext4-16M",
        "shop-ext4-16M",
        "web-ext4-16M",
    ]
    with tarfile.open(workshop.path("masters/shop/rootfs.tar")) as archive:
        assert archive.getmember("./etc/resolv.conf").linkname == "../run/resolv.conf"
        hostname = archive.extractfile("./etc/hostname")
        assert hostname is not None
        assert hostname.read() == b"master\n"
        assert archive.getmember("./etc/machine-id").size == 0
        assert not [name for name in archive.getnames() if "guestfarm" in name]
    assert {path.name for path in workshop.path("masters/shop").iterdir()} >= {"digest", "rootfs.tar"}
    assert not list(workshop.path("masters").glob("*/.*"))
    assert workshop.doit().executed == []

    before = workshop.path("masters/web/rootfs.tar").read_bytes()
    workshop.path("masters/web/rootfs.tar").unlink()
    assert workshop.doit().executed == ["master:web"]
    assert workshop.path("masters/web/rootfs.tar").read_bytes() == before

    workshop.change_list("echo sold", "echo bought")
    changed = workshop.doit().executed
    assert "master:shop" in changed
    assert all(task.partition(":")[2].startswith("shop") for task in changed), changed

    write_master(workshop, {"etc/issue": b"new\n"})
    assert {"master:debian", "master:web", "master:shop", "root:plain", "root:web1", "root:shop"} <= set(
        workshop.doit().executed
    )
    assert inside(workshop.path("guests/shop/root.img"), "/etc/issue") == "new\n"


def test_a_parent_without_guests(workshop: Workshop) -> None:
    workshop.change_list("  plain: {master: debian}\n", "")
    run = workshop.doit("root:web1")
    assert {"master:debian", "master:web"} <= set(run.executed)
    assert "master:shop" not in run.executed
    assert "populate:debian-ext4-16M" not in run.executed


def test_a_command_that_fails(workshop: Workshop) -> None:
    workshop.change_list("echo served >/etc/motd;", "echo out of cheese >&2; exit 7;")
    run = workshop.doit("master:web", check=False)
    assert run.code == 1
    assert "mmdebstrap failed" in run.output
    assert "out of cheese" in run.output
    assert "Traceback" not in run.output
    assert not list(workshop.path("masters/web").iterdir())
