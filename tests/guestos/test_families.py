"""Masters shaped like each distribution: the tool that is chosen, and every file that is written."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline import guestos
from pipeline.guestos import distribution, network
from pipeline.image.layer.entries import Entry, File, Symlink, text
from pipeline.model.guest import Guest
from pipeline.model.master import Family
from tests.guests import BASE, MASTER, guest, nic
from tests.layers import contents, link, rooted

pytestmark = pytest.mark.unit

MERGED = [link(name, f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin")]
SYSTEMD = [text("usr/lib/systemd/systemd", ""), text("usr/lib/systemd/systemd-udevd", "")]
NETWORKD = text("usr/lib/systemd/systemd-networkd", "")
NM = [text("usr/sbin/NetworkManager", ""), text("usr/lib/systemd/system/NetworkManager.service", "")]
STUB = link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
SCRIPTS = "etc/sysconfig/network-scripts"
IFUP_ETH = text(f"{SCRIPTS}/ifup-eth", "")
CONFIG = text("etc/sysconfig/network/config", "")
IFCFG_RH = "NetworkManager/1.18.8-2.el7_9/libnm-settings-plugin-ifcfg-rh.so"
OLD_UDEV = text("sbin/udevd", "")

EVERYWHERE = {"etc/hosts", "etc/fstab", "etc/machine-id"}
ANYWHERE = {*EVERYWHERE, "etc/hostname", "etc/resolv.conf"}
LINK, INTERFACES = "etc/systemd/network/10-eth0.link", "etc/network/interfaces"
PLAN, NETWORK = "etc/netplan/10-guest.yaml", "etc/systemd/network/10-eth0.network"
KEYFILE = "etc/NetworkManager/system-connections/eth0.nmconnection"
IFCFG = f"{SCRIPTS}/ifcfg-eth0"
SUSE = {"etc/sysconfig/network/ifcfg-eth0", "etc/sysconfig/network/ifroute-eth0", "etc/sysconfig/network/config"}


def os_release(identifier: str, like: str = "") -> list[Entry]:
    written = f'ID="{identifier}"\n' + (f'ID_LIKE="{like}"\n' if like else "")
    return [text("usr/lib/os-release", written), link("etc/os-release", "../usr/lib/os-release")]


def sbin(*names: str) -> list[Entry]:
    return [text(f"usr/sbin/{name}", "") for name in names]


SHAPES: dict[str, tuple[list[Entry], set[str]]] = {
    "Debian 12": (
        [*MERGED, *os_release("debian"), *SYSTEMD, NETWORKD, *sbin("ifup")],
        {*ANYWHERE, LINK, INTERFACES},
    ),
    "Debian before usr was merged": (
        [text("etc/os-release", "ID=debian\n"), text("lib/systemd/systemd", ""), text("sbin/ifup", "")],
        {*ANYWHERE, LINK, INTERFACES},
    ),
    "Debian without ifupdown": ([*MERGED, *os_release("debian"), *SYSTEMD, NETWORKD], {*ANYWHERE, NETWORK}),
    "Debian 6": (
        [text("etc/debian_version", "6.0\n"), text("sbin/ifup", ""), OLD_UDEV],
        {*ANYWHERE, "etc/udev/rules.d/70-guest-net.rules", INTERFACES},
    ),
    "Ubuntu server": (
        [*MERGED, *os_release("ubuntu", "debian"), *SYSTEMD, NETWORKD, *sbin("netplan"), STUB],
        {*ANYWHERE, PLAN} - {"etc/resolv.conf"},
    ),
    "Ubuntu with ifupdown in netplan's place": (
        [*MERGED, *os_release("ubuntu", "debian"), *SYSTEMD, NETWORKD, *sbin("netplan", "ifup"), STUB],
        {*ANYWHERE, LINK, INTERFACES, "etc/systemd/resolved.conf.d/10-guest.conf"} - {"etc/resolv.conf"},
    ),
    "Debian with a desktop": (
        [*MERGED, *os_release("debian"), *SYSTEMD, NETWORKD, *NM],
        {*ANYWHERE, KEYFILE},
    ),
    "Fedora": (
        [*MERGED, *os_release("fedora"), *SYSTEMD, *NM, STUB],
        {*ANYWHERE, KEYFILE} - {"etc/resolv.conf"},
    ),
    "Fedora of the cloud": (
        [*MERGED, *os_release("fedora"), *SYSTEMD, NETWORKD, STUB],
        {*ANYWHERE, NETWORK} - {"etc/resolv.conf"},
    ),
    "RHEL 9": ([*MERGED, *os_release("rhel", "fedora"), *SYSTEMD, *NM], {*ANYWHERE, KEYFILE}),
    "RHEL 8, network scripts and NetworkManager that reads their files": (
        [*MERGED, *os_release("rhel", "fedora"), *SYSTEMD, *NM, IFUP_ETH, text(f"usr/lib64/{IFCFG_RH}", "")],
        {*ANYWHERE, LINK, IFCFG},
    ),
    "Fedora, network scripts and NetworkManager that does not": (
        [*MERGED, *os_release("fedora"), *SYSTEMD, *NM, IFUP_ETH],
        {*ANYWHERE, KEYFILE},
    ),
    "CentOS 7": (
        [*MERGED, *os_release("centos", "rhel fedora"), *SYSTEMD, IFUP_ETH, *sbin("ifup")],
        {*ANYWHERE, LINK, IFCFG},
    ),
    "RHEL 6": (
        [
            text("etc/redhat-release", "Red Hat 6\n"),
            OLD_UDEV,
            IFUP_ETH,
            text("etc/sysconfig/network", "HOSTNAME=old\n"),
        ],
        {*EVERYWHERE, "etc/resolv.conf", "etc/udev/rules.d/70-guest-net.rules", "etc/sysconfig/network", IFCFG},
    ),
    "SLES 15": (
        [
            *MERGED,
            *os_release("sles", "suse"),
            *SYSTEMD,
            CONFIG,
            *sbin("wicked", "ifup"),
            link("etc/resolv.conf", "/run/netconfig/resolv.conf"),
        ],
        {*ANYWHERE, LINK, *SUSE} - {"etc/resolv.conf"},
    ),
    "SLES 12 whose HOSTNAME is a symlink": (
        [*os_release("sles"), *SYSTEMD, CONFIG, *sbin("wicked"), link("etc/HOSTNAME", "hostname")],
        {*ANYWHERE, LINK, *SUSE},
    ),
    "SLES 15 with NetworkManager": (
        [
            *os_release("sles", "suse"),
            *SYSTEMD,
            CONFIG,
            *sbin("wicked"),
            *NM,
            link("etc/systemd/system/network.service", "/usr/lib/systemd/system/NetworkManager.service"),
        ],
        {*ANYWHERE, KEYFILE},
    ),
    "SLES 11": (
        [text("etc/SuSE-release", "SLES 11\n"), OLD_UDEV, CONFIG, text("sbin/ifup", ""), text("etc/HOSTNAME", "old\n")],
        {*EVERYWHERE, "etc/resolv.conf", "etc/HOSTNAME", "etc/udev/rules.d/70-guest-net.rules", *SUSE},
    ),
    "Alpine": (
        [*os_release("alpine"), text("bin/busybox", ""), link("sbin/ifup", "/bin/busybox")],
        {*ANYWHERE, LINK, INTERFACES},
    ),
}


@pytest.mark.parametrize(("layer", "expected"), SHAPES.values(), ids=SHAPES)
def test_files(layer: list[Entry], expected: set[str]) -> None:
    written = guestos.identity(guest(), rooted(*layer), unread, {}, unread)
    assert {entry.path for entry in written if isinstance(entry, File)} == expected


def unread(*_: object) -> Any:
    raise AssertionError("the list names no file")


def of(layer: list[Entry], whose: Guest) -> dict[str, str]:
    return {
        path: data.decode()
        for path, data in contents(guestos.identity(whose, rooted(*layer), unread, {}, unread)).items()
    }


def test_old_host_names_are_whole() -> None:
    whose = guest(name="deb01.example.org")
    assert of(SHAPES["SLES 11"][0], whose)["etc/HOSTNAME"] == "deb01.example.org\n"
    assert of(SHAPES["SLES 12 whose HOSTNAME is a symlink"][0], whose)["etc/hostname"] == "deb01\n"
    assert of(SHAPES["RHEL 6"][0], whose)["etc/sysconfig/network"] == "HOSTNAME=deb01.example.org\nNETWORKING=yes\n"


@pytest.mark.parametrize(("shape", "address"), [("SLES 15", "127.0.0.2"), ("Debian 12", "127.0.1.1")])
def test_own_address_by_dhcp(shape: str, address: str) -> None:
    assert of(SHAPES[shape][0], guest(nics=(nic(None),)))["etc/hosts"].endswith(f"\n{address} deb01\n")


def test_with_no_family_there_is_nothing_of_the_network() -> None:
    whose = guest(base=replace(BASE, master=replace(MASTER, family=Family.NONE)))
    layer: list[Entry] = [text("etc/os-release", "ID=plan9\n"), text("usr/sbin/netplan", "")]
    assert set(of(layer, whose)) == ANYWHERE


@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_network_nothing_waits_for_one(shape: str) -> None:
    layer = rooted(*SHAPES[shape][0])
    found = list(network.entries(guest(nics=()), layer, distribution.of(layer, None)))
    assert [entry.path for entry in found if isinstance(entry, File)] in ([], [INTERFACES])
    assert not [entry for entry in found if isinstance(entry, Symlink)]
