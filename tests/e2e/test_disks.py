"""Disks besides root and swap: what makes them stale, and what becomes of them, in real doit runs on real images."""

import json
import os

import pytest

from tests.e2e.conftest import Workshop
from tests.image import images

DATA = "data: {size: 16M, mount: /srv/data}"
OWN = "disk:deb01:data"


@pytest.fixture
def disks(workshop: Workshop) -> Workshop:
    """The tiny farm, in which deb01 has two more disks."""
    workshop.change_list("10.0.0.11/24}", f"10.0.0.11/24, disks: {{{DATA}, raw: {{size: 1M, fs: none}}}}}}")
    workshop.doit()
    return workshop


def test_what_is_there(disks: Workshop) -> None:
    folder = disks.path("guests/deb01")
    uuid = images.blkid(folder / "data.img")["UUID"]
    assert f"UUID={uuid} /srv/data ext4 defaults 0 2\n" in images.cat(folder / "root.img", "etc/fstab")
    assert images.mode(folder / "root.img", "srv/data") == "directory 0755"
    assert (folder / "raw.img").stat().st_size == 1 << 20
    assert "vdev=xvdb, access=rw, target=/opt/xen/images/deb01/data.img" in (folder / "deb01.cfg").read_text()
    assert disks.doit().executed == []


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        ("size: 16M", "size: 24M", [OWN]),
        ("size: 16M", "size: 16M, allocate: full", [OWN]),
        ("size: 16M", "size: 16M, label: data", [OWN]),
        ("size: 16M", "size: 16M, fs: ext3", ["root:deb01", OWN]),
        ("mount: /srv/data", "mount: /srv/other", ["root:deb01"]),
        (", mount: /srv/data", "", ["root:deb01"]),
        ("raw: {size: 1M, fs: none}", "raw: {size: 1M, fs: none}, more: 16M", ["disk:deb01:more", "config:deb01"]),
        (", raw: {size: 1M, fs: none}", "", ["config:deb01"]),
    ],
)
def test_a_changed_list(disks: Workshop, old: str, new: str, stale: list[str]) -> None:
    disks.change_list(old, new)
    assert disks.doit().executed == stale


def test_a_guest_without_any_is_made_of_what_it_was(built: Workshop) -> None:
    built.change_list("10.0.0.11/24}", "10.0.0.11/24, disks: none}")
    assert built.doit().executed == []


def test_a_modified_disk_is_left_alone(disks: Workshop) -> None:
    disk = disks.path("guests/deb01/data.img")
    disk.chmod(0o600)
    os.truncate(disk, 20 << 20)
    disks.change_list("size: 16M", "size: 24M")
    run = disks.doit(check=False)
    assert run.code == 2
    assert f"{disk}: modified since it was made" in run.output
    assert f"doit forget {OWN}" in run.output
    assert disk.stat().st_size == 20 << 20


def test_commands_know_them(disks: Workshop) -> None:
    disks.doit("manifest:deb01", "manifest:deb02")
    manifest = json.loads(disks.path("guests/deb01/manifest.json").read_text())
    assert {"data.img", "raw.img"} <= manifest["artifacts"].keys()
    disks.change_list(", raw: {size: 1M, fs: none}", "")
    assert "guests/deb01/raw.img\n" in disks.doit("prune").output


def test_one_alone(workshop: Workshop) -> None:
    workshop.change_list("10.0.0.11/24}", f"10.0.0.11/24, disks: {{{DATA}}}}}")
    assert workshop.doit(OWN).executed == [OWN]
    assert workshop.doit("disk").executed == []


def test_a_full_disk_is_told_before_anything_is_built(workshop: Workshop) -> None:
    workshop.change_list("10.0.0.11/24}", "10.0.0.11/24, disks: {data: {size: 15T, allocate: full}}}")
    run = workshop.doit(check=False)
    assert run.code == 2
    assert "what is to be built takes about 15T" in run.output
    assert not workshop.path("guests").exists()
