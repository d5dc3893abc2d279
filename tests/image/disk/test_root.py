"""Root disks: what makes a clone of a base a guest's own, read back by debugfs and blkid."""

import re
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from pipeline import guestos
from pipeline.errors import ImageError, MasterError
from pipeline.image.disk import root
from pipeline.image.layer.entries import Directory, Entry, HardLink, Removal, text
from pipeline.inputs.tree import walk
from pipeline.model.guest import Guest
from tests.guests import MACHINE_ID, ROOT_UUID, SWAP_UUID, guest, nic
from tests.image import images
from tests.image.images import FILE_SYSTEMS
from tests.layers import PLAIN, link
from tests.machine import run

# What Guestfarm looks for in Debian, where /bin, /lib and /sbin have been symlinks since bookworm.
DEBIAN: list[Entry] = [
    *(Directory(path, PLAIN) for path in ("etc/systemd/system", "usr/lib/systemd", "usr/sbin", "var/lib/dbus")),
    *(link(name, f"usr/{name}") for name in ("lib", "sbin")),
    text("etc/hostname", "master\n"),
    text("etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tmaster\n10.0.0.9\tfriend\n"),
    text("etc/fstab", "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n"),
    text("etc/machine-id", "ffffffffffffffffffffffffffffffff\n"),
    text("var/lib/dbus/machine-id", "ffffffffffffffffffffffffffffffff\n"),
    text("var/lib/systemd/random-seed", "seed"),
    text("usr/lib/systemd/systemd-networkd", "", 0o755),
]
IFUPDOWN = [*DEBIAN, text("usr/sbin/ifup", "", 0o755), text("etc/resolv.conf", "nameserver 192.0.2.1\n")]
NETWORKD = [*DEBIAN, link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")]
SSH = [
    text("usr/sbin/sshd", "", 0o755),
    text("etc/ssh/sshd_config", "UsePAM yes\n"),
    *(text(f"etc/ssh/ssh_host_{kind}_key{end}", "secret") for kind in ("rsa", "ed25519") for end in ("", ".pub")),
]


def build(base: Path, whose: Guest, *, allocate: bool = False) -> Path:
    target = base.with_name(f"{whose.name}.img")
    root.build(
        base,
        target,
        partial(guestos.identity, whose, read=Path.read_bytes, host_keys={}, walk=walk),
        whose.root_uuid,
        allocate=allocate,
    )
    images.check(target)
    return target


def test_of_a_master_with_ifupdown(tmp_path: Path) -> None:
    image = build(images.populated(tmp_path, IFUPDOWN), guest(name="deb01.example.org"))
    assert images.cat(image, "etc/hostname") == "deb01\n"
    assert images.cat(image, "etc/hosts") == (
        "127.0.0.1\tlocalhost\n10.0.0.9\tfriend\n10.0.0.11 deb01.example.org deb01\n"
    )
    assert images.cat(image, "etc/fstab") == (
        f"UUID={ROOT_UUID} / ext4 errors=remount-ro 0 1\nUUID={SWAP_UUID} none swap sw 0 0\n"
    )
    assert images.cat(image, "etc/network/interfaces").splitlines() == [
        "auto lo",
        "iface lo inet loopback",
        "",
        "auto eth0",
        "iface eth0 inet static",
        "    address 10.0.0.11",
        "    netmask 255.255.255.0",
        "    gateway 10.0.0.1",
    ]
    assert images.cat(image, "etc/systemd/network/10-eth0.link") == (
        "[Match]\nMACAddress=00:16:3e:00:00:01\n\n[Link]\nName=eth0\n"
    )
    assert images.cat(image, "etc/resolv.conf") == "nameserver 10.0.0.1\nnameserver 9.9.9.9\n"
    assert images.cat(image, "etc/machine-id") == f"{MACHINE_ID}\n"
    assert images.mode(image, "etc/machine-id") == "regular 0444"
    assert images.mode(image, "etc/hosts") == "regular 0644"
    assert images.names(image, "var/lib/dbus") == images.names(image, "var/lib/systemd") == []
    assert images.names(image, "etc/systemd/system") == []


def test_of_a_master_with_networkd_alone(tmp_path: Path) -> None:
    image = build(images.populated(tmp_path, NETWORKD), guest())
    assert images.cat(image, "etc/systemd/network/10-eth0.network").splitlines() == [
        "[Match]",
        "MACAddress=00:16:3e:00:00:01",
        "",
        "[Network]",
        "Address=10.0.0.11/24",
        "Gateway=10.0.0.1",
        "DNS=10.0.0.1",
        "DNS=9.9.9.9",
    ]
    wanted = "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
    assert images.leads_to(image, wanted) == "/lib/systemd/system/systemd-networkd.service"
    assert images.leads_to(image, "etc/resolv.conf") == "../run/systemd/resolve/stub-resolv.conf"
    assert "network" not in images.names(image, "etc")


def test_of_a_master_with_an_ssh_server(tmp_path: Path) -> None:
    image = build(images.populated(tmp_path, [*IFUPDOWN, *SSH]), guest())
    assert images.names(image, "etc/ssh") == ["sshd_config"]
    assert "ExecStart=/usr/bin/ssh-keygen -A" in images.cat(image, "etc/systemd/system/guest-ssh-host-keys.service")
    wanted = "etc/systemd/system/multi-user.target.wants/guest-ssh-host-keys.service"
    assert images.leads_to(image, wanted) == "/etc/systemd/system/guest-ssh-host-keys.service"


def test_of_a_master_without_anything(tmp_path: Path) -> None:
    """Such as a container's: there is not even /etc."""
    image = build(images.populated(tmp_path, []), guest(nics=(), swap=None))
    assert images.names(image, "etc") == ["fstab", "hostname", "hosts", "machine-id"]
    assert images.cat(image, "etc/fstab") == f"UUID={ROOT_UUID} / ext4 errors=remount-ro 0 1\n"
    assert images.cat(image, "etc/hosts").splitlines()[0] == "127.0.0.1 localhost"
    assert images.mode(image, "etc") == "directory 0755"


def test_of_a_master_with_symlinks_that_lead_astray(tmp_path: Path) -> None:
    """Absolute ones start at the image's root, not at the host's."""
    layer: list[Entry] = [Directory("real", PLAIN), link("etc", "/real"), text("usr/sbin/ifup", "")]
    layer += [link("real/hostname", "/etc/motd")]
    image = build(images.populated(tmp_path, layer), guest())
    assert images.cat(image, "real/motd") == "deb01\n"
    assert images.leads_to(image, "etc") == "/real"
    assert images.leads_to(image, "real/hostname") == "/etc/motd"


def test_of_a_master_whose_names_are_made_at_boot(tmp_path: Path) -> None:
    """What leads into /run is looked after by a service of the guest."""
    layer = [*(entry for entry in NETWORKD if entry.path != "etc/hostname"), link("etc/hostname", "../run/hostname")]
    image = build(images.populated(tmp_path, layer), guest())
    assert images.leads_to(image, "etc/hostname") == "../run/hostname"
    assert images.leads_to(image, "etc/resolv.conf") == "../run/systemd/resolve/stub-resolv.conf"
    assert "run" not in images.names(image, "")


def test_two_interfaces_and_dhcp(tmp_path: Path) -> None:
    nics = (nic(None), nic("fd00::5/64", "fd00::1", mac="00:16:3e:00:00:02"))
    image = build(images.populated(tmp_path, IFUPDOWN), guest(nics=nics))
    assert images.cat(image, "etc/network/interfaces").splitlines()[3:] == [
        "auto eth0",
        "iface eth0 inet dhcp",
        "",
        "auto eth1",
        "iface eth1 inet6 static",
        "    address fd00::5",
        "    netmask 64",
        "    gateway fd00::1",
    ]
    assert images.cat(image, "etc/resolv.conf") == "nameserver 192.0.2.1\n"
    assert images.names(image, "etc/systemd/network") == ["10-eth0.link", "10-eth1.link"]


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
def test_own_uuid(filesystem: str, tmp_path: Path) -> None:
    base = images.populated(tmp_path, IFUPDOWN, filesystem)
    before = base.read_bytes()
    first = build(base, guest())
    second = build(base, guest(name="deb02", root_uuid=UUID(int=2)))
    assert images.blkid(first)["UUID"] == str(ROOT_UUID)
    assert images.blkid(second)["UUID"] == str(UUID(int=2))
    assert images.blkid(first)["TYPE"] == filesystem
    assert base.read_bytes() == before


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
def test_same_bytes_at_any_time(filesystem: str, tmp_path: Path) -> None:
    base = images.populated(tmp_path, [*NETWORKD, *SSH], filesystem)
    first = build(base, guest()).rename(tmp_path / "first.img")
    run("cmp", first, build(base, guest()))


@pytest.mark.parametrize("allocate", [False, True], ids=["sparse", "full"])
def test_allocation_is_kept(allocate: bool, tmp_path: Path) -> None:
    image = build(images.populated(tmp_path, IFUPDOWN, allocate=allocate), guest(), allocate=allocate)
    assert images.is_sparse(image) == (not allocate)


def test_names_in_large_indexed_directories(tmp_path: Path) -> None:
    """libext2fs drops the index of a directory that it adds to; the kernel and e2fsck can live with that."""
    base = images.populated(tmp_path, [text(f"etc/{number}", "") for number in range(3000)])
    assert images.is_indexed(base, "etc")
    more: list[Entry] = [text(f"etc/more-{number}", "") for number in range(500)]
    more += [Removal(f"etc/{number}") for number in range(100)]
    root.build(base, tmp_path / "root.img", lambda _: more, ROOT_UUID, allocate=False)
    images.check(tmp_path / "root.img")
    expected = {f"{number}" for number in range(100, 3000)} | {f"more-{number}" for number in range(500)}
    assert set(images.names(tmp_path / "root.img", "etc")) == expected


LACKING = {
    "an immutable system": (
        [*IFUPDOWN, text("ostree/repo/config", "")],
        "what Guestfarm writes to /etc might not be seen",
    ),
    "no network tool": ([text("etc/hostname", "")], "no network tool that is known"),
    "Red Hat's ifup": ([text("sbin/ifup", ""), text("etc/sysconfig/network", "")], "no network tool that is known"),
    "SSH without systemd": ([text("usr/sbin/sshd", ""), text("sbin/ifup", "")], "an SSH server but no systemd"),
}


@pytest.mark.parametrize(("layer", "message"), LACKING.values(), ids=LACKING)
def test_of_a_master_that_lacks_what_it_takes(layer: list[Entry], message: str, tmp_path: Path) -> None:
    base = images.populated(tmp_path, layer)
    with pytest.raises(MasterError, match=message):
        build(base, guest())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ext4.format", "ext4.root", "ext4.zero"]


def test_failure_leaves_the_old_disk(tmp_path: Path) -> None:
    base = images.populated(tmp_path, IFUPDOWN)
    image = build(base, guest())
    before, inode = image.read_bytes(), image.stat().st_ino
    with pytest.raises(ImageError, match=re.escape("'b' is a hard link to 'a', which is no file before it")):
        root.build(base, image, lambda _: [HardLink("b", "a")], ROOT_UUID, allocate=False)
    assert (image.read_bytes(), image.stat().st_ino) == (before, inode)
    assert not list(tmp_path.glob(".*"))
