"""What is made again, exactly, when something changes: seen in real doit runs on real images."""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, TINY_MASTER, Workshop

GUESTS = ["deb01", "deb02", "web01", "web02", "web03"]
BASE = "debian-ext4-16M"
ALL = [
    "master:debian",
    "kernel:debian",
    *(f"{stage}:{BASE}" for stage in ("zero", "format", "populate")),
    *(f"{stage}:{guest}" for stage in ("root", "swap", "config") for guest in GUESTS),
]


def test_everything_is_made_once(workshop: Workshop) -> None:
    assert workshop.doit().executed == ALL
    assert workshop.doit().executed == []


def test_everything_is_made_once_by_several(workshop: Workshop) -> None:
    assert sorted(workshop.doit("-n", "2").executed) == sorted(ALL)
    assert workshop.doit("-n", "2").executed == []


def test_everything_is_made_once_by_threads(workshop: Workshop) -> None:
    assert sorted(workshop.doit("-n", "2", "-P", "thread").executed) == sorted(ALL)
    assert workshop.doit().executed == []


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        pytest.param("deb01: {", "deb01: {memory: 1G, ", ["config:deb01"], id="memory"),
        pytest.param("10.0.0.12/24", "10.0.0.99/24", ["root:deb02"], id="address"),
        pytest.param(
            "10.0.0.12/24}",
            "10.0.0.12/24, mac: 00:16:3e:00:00:01}",
            ["root:deb02", "config:deb02"],
            id="mac",
        ),
        pytest.param(
            "  deb02:",
            "  deb03: {address: 10.0.0.13/24}\n  deb02:",
            ["root:deb03", "swap:deb03", "config:deb03"],
            id="guest added",
        ),
        pytest.param(
            'web[01:03]: {address: "10.0.0.[21:23]/24"}',
            'web[01:04]: {address: "10.0.0.[21:24]/24"}',
            ["root:web04", "swap:web04", "config:web04"],
            id="range extended",
        ),
        pytest.param(
            "10.0.0.11/24}",
            "10.0.0.11/24, root: 24M}",
            [f"{stage}:debian-ext4-24M" for stage in ("zero", "format", "populate")] + ["root:deb01"],
            id="root disk larger",
        ),
        pytest.param("10.0.0.11/24}", "10.0.0.11/24, swap: 2M}", ["swap:deb01"], id="swap disk larger"),
        pytest.param("10.0.0.11/24}", "10.0.0.11/24, swap: none}", ["root:deb01", "config:deb01"], id="no swap"),
        pytest.param(
            "10.0.0.11/24}", "10.0.0.11/24, hypervisors: [xen, libvirt, qemu]}", ["config:deb01"], id="hypervisors"
        ),
        pytest.param(
            "10.0.0.11/24}",
            "10.0.0.11/24, maxmem: 1G, maxvcpus: 2, extra: quiet, on_crash: restart, xen: {device_names: sda1}}",
            ["config:deb01"],
            id="how it runs",
        ),
        pytest.param("gateway: 10.0.0.1", "gateway: 10.0.0.2", [f"root:{guest}" for guest in GUESTS], id="gateway"),
        pytest.param("10.0.0.11/24}", "10.0.0.11/24, locale: C.UTF-8}", ["root:deb01"], id="locale"),
        pytest.param("debian.tar}", "debian.tar, family: suse}", [f"root:{guest}" for guest in GUESTS], id="family"),
        pytest.param("guests:", "# a comment\nguests:", [], id="comment"),
        pytest.param("  deb02: {address: 10.0.0.12/24}\n", "", [], id="guest removed"),
    ],
)
def test_a_changed_list(built: Workshop, old: str, new: str, stale: list[str]) -> None:
    built.change_list(old, new)
    assert built.doit().executed == stale
    assert built.doit().executed == []


TWO_MASTERS = """\
    farm: tiny
    masters:
      debian: {tar: debian.tar}
      other: {directory: other}
    defaults: {master: debian, root: 16M, swap: none, network: none}
    guests:
      deb01: {}
      oth01: {master: other}
"""


@pytest.fixture
def two_masters(workshop: Workshop) -> Workshop:
    folder = workshop.folder / "other"
    for name, data in TINY_MASTER.items():
        if data is None:
            (folder / name).mkdir(parents=True)
        else:
            (folder / name).write_bytes(data)
    workshop.write_list(TWO_MASTERS)
    workshop.doit()
    return workshop


def test_a_file_in_a_directory_master_changed(two_masters: Workshop) -> None:
    (two_masters.folder / "other/etc/motd").write_text("other news\n")
    assert two_masters.doit().executed == ["master:other", "kernel:other", "populate:other-ext4-16M", "root:oth01"]
    assert two_masters.doit().executed == []


def test_the_tar_changed(two_masters: Workshop) -> None:
    two_masters.write_master({"etc/motd": b"other news\n"})
    assert two_masters.doit().executed == ["master:debian", "kernel:debian", "populate:debian-ext4-16M", "root:deb01"]


def test_the_kernel_in_the_tar_changed(two_masters: Workshop) -> None:
    two_masters.write_master({"boot/vmlinuz-6.1": b"another kernel"})
    assert "config:deb01" in two_masters.doit().executed
    kernel, link = (two_masters.path(name) for name in ("masters/debian/vmlinuz", "guests/deb01/vmlinuz"))
    assert kernel.samefile(link)
    assert link.read_bytes() == b"another kernel"


def test_a_master_touched_but_equal(two_masters: Workshop) -> None:
    two_masters.write_master()
    assert two_masters.doit().executed == []


def test_a_file_in_a_directory_master_replaced_by_its_like(two_masters: Workshop) -> None:
    path = two_masters.folder / "other/etc/motd"
    folder = path.parent.stat()
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.rename(path)
    os.utime(path.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))
    # It has to be read to be found equal; nothing else is made.
    assert two_masters.doit().executed == ["master:other"]
    assert two_masters.doit().executed == []


def test_a_tar_changed_behind_its_times(two_masters: Workshop) -> None:
    tar = two_masters.folder / "debian.tar"
    before = tar.stat()
    two_masters.write_master({"etc/motd": b"WELCOME\n"})
    os.utime(tar, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert tar.stat().st_size == before.st_size
    assert "root:deb01" in two_masters.doit().executed


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("masters/debian/digest", "master:debian"),
        ("masters/debian/vmlinuz", "kernel:debian"),
        (f"bases/{BASE}/zero.img", f"zero:{BASE}"),
        (f"bases/{BASE}/format.img", f"format:{BASE}"),
        (f"bases/{BASE}/root.img", f"populate:{BASE}"),
        ("guests/deb01/root.img", "root:deb01"),
        ("guests/deb01/swap.img", "swap:deb01"),
        ("guests/deb01/deb01.cfg", "config:deb01"),
        ("guests/deb01/initrd.img", "config:deb01"),
    ],
)
def test_a_deleted_artifact_is_made_alone(built: Workshop, name: str, task: str) -> None:
    contents = built.path(name).read_bytes()
    built.path(name).unlink()
    assert built.doit().executed == [task]
    assert built.path(name).read_bytes() == contents
    assert built.doit().executed == []


@pytest.mark.parametrize(
    ("module", "stale"),
    [
        ("image/files/sparse.py", [f"zero:{BASE}"]),
        ("image/ext/e2fsprogs.py", [f"format:{BASE}"]),
        ("image/disk/swap.py", [f"swap:{guest}" for guest in GUESTS]),
        ("image/sources/kernel.py", ["kernel:debian"]),
        ("guestos/__init__.py", [f"root:{guest}" for guest in GUESTS]),
        ("hypervisors/__init__.py", [f"config:{guest}" for guest in GUESTS]),
        ("image/disk/base.py", [f"populate:{BASE}"]),
        ("tasks/master.py", ["master:debian"]),
    ],
)
def test_a_recipe_version_raised(built: Workshop, tmp_path: Path, module: str, stale: list[str]) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(ROOT / "pipeline", newer / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    source = newer / "pipeline" / module
    before = source.read_text()
    source.write_text(re.sub(r"RECIPE = \d+\n", "RECIPE = 1000\n", before))
    assert source.read_text() != before
    assert Workshop(built.folder, pipeline=newer).doit().executed == stale


def test_another_list_and_another_folder(workshop: Workshop) -> None:
    (workshop.folder / "guests.yaml").rename(workshop.folder / "site.yaml")
    run = workshop.doit("guests=site.yaml", "build=elsewhere")
    assert run.executed == ALL
    assert (workshop.folder / "elsewhere/guests/web03/root.img").exists()
    assert not (workshop.folder / "build").exists()
    assert workshop.doit("guests=site.yaml", "build=elsewhere").executed == []


def test_one_guest_at_a_time(workshop: Workshop) -> None:
    run = workshop.doit("root:deb01")
    assert run.executed == ["master:debian", f"zero:{BASE}", f"format:{BASE}", f"populate:{BASE}", "root:deb01"]
    assert workshop.doit("swap:deb02", "swap:deb01").executed == ["swap:deb02", "swap:deb01"]
    assert workshop.doit("config:*").executed == ["kernel:debian", *(f"config:{guest}" for guest in GUESTS)]


def test_a_root_disk_smaller_than_its_known_master(built: Workshop) -> None:
    built.write_master({"etc/large": bytes(9 << 20)})
    assert built.doit().code == 0
    built.change_list("10.0.0.11/24}", "10.0.0.11/24, root: 8M}")
    run = built.doit(check=False)
    assert run.code == 2
    assert run.executed == []
    assert run.output.startswith("guests.yaml:10:40: guest 'deb01': root: 8M is too small for master 'debian'")
    built.write_master()
    assert "root:deb01" in built.doit().executed, "the master has become smaller"


def test_a_warning_is_shown_once_and_stops_nothing(workshop: Workshop) -> None:
    workshop.change_list("guests:\n", "guests:\n  foreign: {address: dhcp, mac: 52:54:00:00:00:01}\n")
    line = (
        "guests.yaml:10:33: warning: guest 'foreign': the MAC address 52:54:00:00:00:01 is not of Xen's OUI 00:16:3E;"
    )
    run = workshop.doit("-n", "2", "root:foreign")
    assert run.output.count("warning:") == run.output.count(line) == 1


def test_a_network_card_more(built: Workshop) -> None:
    one, two = "{bridge: xenbr0, address: dhcp}", "{bridge: xenbr1, address: none, vlan: 2, mtu: 9000}"
    built.change_list("guests:\n", f"guests:\n  several:\n    network:\n    - {one}\n    - {two}\n")
    assert built.doit().executed == ["root:several", "swap:several", "config:several"]
    for old, new, stale in [
        ("mtu: 9000", "mtu: 1400", ["root:several"]),
        ("vlan: 2", "vlan: 3", ["root:several"]),
        ("xenbr1", "xenbr2", ["config:several"]),
        ("address: none", "address: none, accept_ra: false", ["root:several"]),
        ("accept_ra: false", "accept_ra: true", ["root:several"]),
        ("accept_ra: true", "dhcp6: true", ["root:several"]),
        ("dhcp6: true", "search: example.org", ["root:several"]),
    ]:
        built.change_list(old, new)
        assert built.doit().executed == stale, new
    assert "bridge=xenbr2" in built.path("guests/several/several.cfg").read_text()
