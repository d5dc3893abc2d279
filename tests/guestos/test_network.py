"""The guest's network: which tool a master has, and the files of each; and the resolver's."""

from dataclasses import replace

import pytest

from pipeline.errors import MasterError
from pipeline.guestos import network, resolver
from pipeline.guestos.distribution import Distribution
from pipeline.guestos.network import ifupdown, networkd
from pipeline.image.layer.entries import Entry, text
from pipeline.model.master import Family
from pipeline.model.network import Nic
from tests.guests import guest, nic
from tests.layers import contents, link, targets, tree

pytestmark = pytest.mark.unit

SYSTEM = Distribution(Family.DEBIAN, systemd=True)
MERGED = [link(name, f"usr/{name}") for name in ("bin", "lib", "sbin")]

IN = {
    "before the merge": [text("sbin/ifup", "")],
    "merged": [*MERGED, text("usr/sbin/ifup", "")],
    "BusyBox's": [text("bin/busybox", ""), link("sbin/ifup", "/bin/busybox")],
}
NOT_IN = {
    "nothing": [],
    "Red Hat's": [*MERGED, text("usr/sbin/ifup", ""), text("etc/sysconfig/network", "")],
    "SuSE's": [text("sbin/ifup", ""), text("etc/sysconfig/network/config", "")],
    "a symlink to nothing": [link("sbin/ifup", "/bin/busybox")],
}


@pytest.mark.parametrize("layer", IN.values(), ids=IN)
def test_ifupdown_is_in(layer: list[Entry]) -> None:
    assert ifupdown.is_in(tree(*layer))


@pytest.mark.parametrize("layer", NOT_IN.values(), ids=NOT_IN)
def test_ifupdown_is_not_in(layer: list[Entry]) -> None:
    assert not ifupdown.is_in(tree(*layer))


@pytest.mark.parametrize("folder", ["lib/systemd", "usr/lib/systemd"])
def test_networkd_is_in(folder: str) -> None:
    assert networkd.is_in(tree(text(f"{folder}/systemd-networkd", "")))
    assert not networkd.is_in(tree(text(f"{folder}/systemd", "")))


def test_who_has_both_wants_ifupdown() -> None:
    both = tree(text("sbin/ifup", ""), text("lib/systemd/systemd-networkd", ""))
    assert "etc/network/interfaces" in {entry.path for entry in network.entries(guest(), both, SYSTEM)}


def test_no_tool_is_fine_without_a_network() -> None:
    assert not list(network.entries(guest(nics=()), tree(), SYSTEM))
    with pytest.raises(MasterError, match=r"no network tool that is known here: ifupdown, .*; install one of them"):
        list(network.entries(guest(), tree(), SYSTEM))


LO = "auto lo\niface lo inet loopback\n"
INTERFACES = {
    "none": ([], LO),
    "DHCP": ([nic(None)], f"{LO}\nauto eth0\niface eth0 inet dhcp\n"),
    "no gateway": (
        [nic("192.168.7.3/30")],
        f"{LO}\nauto eth0\niface eth0 inet static\n    address 192.168.7.3\n    netmask 255.255.255.252\n",
    ),
    "IPv6": (
        [nic("2001:db8::7/48", "2001:db8::1")],
        f"{LO}\nauto eth0\niface eth0 inet6 static\n    address 2001:db8::7\n    netmask 48\n    gateway 2001:db8::1\n",
    ),
}


@pytest.mark.parametrize(("nics", "expected"), INTERFACES.values(), ids=INTERFACES)
def test_interfaces(nics: list[Nic], expected: str) -> None:
    written = contents(ifupdown.entries(guest(nics=tuple(nics)), tree()))
    assert written["etc/network/interfaces"].decode() == expected


NETWORKS = {
    "DHCP": (nic(None), "DHCP=ipv4\n"),
    "DHCP with a nameserver": (nic(None, None, "9.9.9.9"), "DHCP=ipv4\nDNS=9.9.9.9\n"),
    "static": (nic("10.0.0.11/24", "10.0.0.1"), "Address=10.0.0.11/24\nGateway=10.0.0.1\n"),
    "IPv6": (nic("fd00::5/64"), "Address=fd00::5/64\n"),
}


@pytest.mark.parametrize(("one", "expected"), NETWORKS.values(), ids=NETWORKS)
def test_networks(one: Nic, expected: str) -> None:
    written = contents(networkd.entries(guest(nics=(one,)), tree()))
    assert written["etc/systemd/network/10-eth0.network"].decode() == (
        f"[Match]\nMACAddress=00:16:3e:00:00:01\n\n[Network]\n{expected}"
    )


def test_networkd_is_enabled_as_systemctl_does_it() -> None:
    """These are the links of `systemctl enable systemd-networkd`, from systemd 252."""
    links = targets(networkd.entries(guest(), tree()))
    units = {path.removeprefix("etc/systemd/system/"): target for path, target in links.items()}
    assert units == {
        "dbus-org.freedesktop.network1.service": "/lib/systemd/system/systemd-networkd.service",
        "multi-user.target.wants/systemd-networkd.service": "/lib/systemd/system/systemd-networkd.service",
        "sockets.target.wants/systemd-networkd.socket": "/lib/systemd/system/systemd-networkd.socket",
        "sysinit.target.wants/systemd-network-generator.service": (
            "/lib/systemd/system/systemd-network-generator.service"
        ),
        "network-online.target.wants/systemd-networkd-wait-online.service": (
            "/lib/systemd/system/systemd-networkd-wait-online.service"
        ),
    }


def test_networkd_is_left_alone_without_a_network() -> None:
    """Or the boot waits for an interface that there is not."""
    assert not list(networkd.entries(guest(nics=()), tree()))


def test_resolver_names_each_server_once() -> None:
    nics = (nic("10.0.0.11/24", None, "10.0.0.1", "9.9.9.9"), nic(None, None, "9.9.9.9", "fd00::1"))
    written = contents(resolver.entries(guest(nics=nics), tree()))
    assert written == {"etc/resolv.conf": b"nameserver 10.0.0.1\nnameserver 9.9.9.9\nnameserver fd00::1\n"}


@pytest.mark.parametrize(
    ("nics", "layer"),
    [
        ((nic(None),), []),
        (guest().nics, [link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")]),
    ],
    ids=["no nameservers", "a service looks after it"],
)
def test_resolver_is_left_alone(nics: tuple[Nic, ...], layer: list[Entry]) -> None:
    assert not list(resolver.entries(guest(nics=nics), tree(*layer)))


def test_resolver_names_each_domain_once() -> None:
    first, second = nic(None, None, "9.9.9.9"), nic(None, mac="00:16:3e:00:00:02")
    nics = (replace(first, search=("a.example", "b.example")), replace(second, search=("a.example",)))
    written = contents(resolver.entries(guest(nics=nics), tree()))
    assert written == {"etc/resolv.conf": b"nameserver 9.9.9.9\nsearch a.example b.example\n"}
