"""A master of the example's with nginx, which Debian's apt installs, and guests of it: as docs/roles.md has it."""

import re
import shutil
import stat
from pathlib import Path

import pytest

from pipeline.image import ext
from pipeline.image.layer import tar
from tests.boot.masters import read
from tests.e2e.conftest import ROOT, Workshop
from tests.e2e.pages import Reader, blocks, merged
from tests.machine import mounted, run

_LIST = """\
farm: example
masters:
  debian: {tar: debian.tar}
  nginx: {run: 'chroot "$1" useradd --create-home me'}
defaults: {root: 1G, swap: none, network: {bridge: xenbr0, gateway: 10.0.0.1}}
"""
_SECTION = "## A package and its configuration\n"


@pytest.fixture(scope="module")
def workshop(example: Workshop, scratch: Path) -> Workshop:
    """The farm of the page, with its master and the disks of two guests."""
    workshop = Workshop(scratch / "derived")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    (workshop.folder / "debian.tar").symlink_to(example.path("masters/debian/rootfs.tar"))
    reader = Reader(workshop)
    for block in blocks((ROOT / "docs/roles.md").read_text().partition(_SECTION)[2]):
        if block.language == "console":
            for command, _ in block.commands:
                assert reader.bash(command) == (0, "")
        else:
            workshop.write_list(merged(_LIST, block.text))
    workshop.doit("root:shop01", "root:shop04")
    return workshop


def test_more_packages(example: Workshop, workshop: Workshop) -> None:
    derived = workshop.path("masters/nginx/rootfs.tar")
    before = {entry.path: entry for entry in tar.entries(example.path("masters/debian/rootfs.tar"))}
    after = {entry.path for entry in tar.entries(derived)}
    assert "usr/sbin/nginx" in after
    assert "etc/nginx/sites-enabled/default" in after
    assert "home/me" in after
    assert before.keys() - after <= {"etc/.pwd.lock"}
    assert read(derived, "etc/machine-id") == b""
    assert not after & {"etc/hostname", "etc/resolv.conf", "var/log/dpkg.log", "var/log/apt/history.log"}
    changing = ("var/lib/apt/lists/", "var/cache/", "var/log/", "tmp/", "run/")
    new = {path for path in after - before.keys() if path.startswith(changing)}
    assert new <= {"var/log/nginx", "var/log/nginx/access.log", "var/log/nginx/error.log"}
    assert [path.name for path in derived.parent.iterdir() if "parent" in path.name] == []


def test_nginx_takes_its_configuration(workshop: Workshop, tmp_path: Path) -> None:
    for guest, site in (("shop01", "listen 8080"), ("shop04", "server_name shop04 www shop;")):
        copy = tmp_path / guest
        shutil.copy(workshop.path(f"guests/{guest}/root.img"), copy)
        with mounted(copy, tmp_path / f"{guest}.mounted", "-o", "loop") as point:
            said = run("chroot", point, "/usr/sbin/nginx", "-T", "-q")
        assert re.findall(r"^# configuration file /etc/nginx/sites-enabled/(.*):$", said, re.MULTILINE) == ["shop"]
        assert site in said
        assert "server_tokens off;" in said


def test_its_unit(workshop: Workshop) -> None:
    with ext.open(workshop.path("guests/shop01/root.img"), write=False) as filesystem:
        enabled = filesystem.readlink("etc/systemd/system/multi-user.target.wants/nginx.service")
        assert enabled == "/lib/systemd/system/nginx.service"
        assert filesystem.read("etc/systemd/system/nginx.service.d/shop.conf") == b"[Service]\nRestart=on-failure\n"
        assert filesystem.mode("srv/shop/index.html") == stat.S_IFREG | 0o644
