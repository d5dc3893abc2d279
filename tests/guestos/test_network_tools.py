"""What each network tool is given for a card that has everything, for a VLAN, and for what goes without these.

The formats are those of interfaces(5), netplan(5), systemd.network(5), nm-settings-keyfile(5), initscripts'
sysconfig.txt, and wicked's ifcfg(5), ifcfg-vlan(5), ifroute(5) and ifsysctl(5).
"""

from dataclasses import replace
from ipaddress import ip_address
from types import ModuleType

import pytest

from pipeline.errors import MasterError
from pipeline.guestos import resolver
from pipeline.guestos.network import ifcfg, ifupdown, netplan, networkd, networkmanager, wicked
from pipeline.image.layer.entries import Entry, File, Removal, text
from pipeline.model.network import Nic
from tests.guests import guest
from tests.layers import contents, link, targets, tree
from tests.nics import ADVERTISED, ALL, DHCP, DHCP6, FULL, PLAIN, SILENT, VLAN

pytestmark = pytest.mark.unit

UDEV = text("lib/systemd/systemd-udevd", "")
LO = "auto lo\niface lo inet loopback\n\n"


def written(tool: ModuleType, *nics: Nic, master: tuple[Entry, ...] = ()) -> dict[str, str]:
    """What a guest with these cards gets, besides what names the cards."""
    entries = tool.entries(guest(nics=nics), tree(*master))
    return {path: data.decode() for path, data in contents(entries).items() if not path.endswith(".link")}


INTERFACES = {
    "everything": (
        FULL,
        """\
auto eth0
iface eth0 inet static
    address 10.0.0.11
    netmask 255.255.255.0
    gateway 10.0.0.1
    pre-up ip link set dev eth0 mtu 9000
iface eth0 inet static
    address 10.0.0.12
    netmask 255.255.255.0
    up ip route add 10.9.0.0/16 via 10.0.0.254 dev eth0
iface eth0 inet6 static
    address fd00::11
    netmask 64
    gateway fe80::1
    accept_ra 0
iface eth0 inet6 static
    address fd00::12
    netmask 64
    up ip -6 route add fd09::/48 via fd00::254 dev eth0
""",
    ),
    "VLAN": (
        VLAN,
        """\
auto eth0
iface eth0 inet manual
    pre-up ip link set dev eth0 mtu 1400
    up ip link set dev eth0 up

auto eth0.10
iface eth0.10 inet static
    address 10.1.0.11
    netmask 255.255.255.0
iface eth0.10 inet6 auto
""",
    ),
    "DHCP": (DHCP, "auto eth0\niface eth0 inet dhcp\niface eth0 inet6 dhcp\n"),
    "advertisements": (
        ADVERTISED,
        "auto eth0\niface eth0 inet6 auto\n    pre-up ip link set dev eth0 mtu 1400\n",
    ),
    "advertisements and an address": (
        replace(FULL, addresses=FULL.addresses[2:3], accept_ra=True, gateways=(), routes=(), mtu=None),
        """\
auto eth0
iface eth0 inet6 static
    address fd00::11
    netmask 64
    accept_ra 1
    autoconf 1
""",
    ),
    "nothing": (
        SILENT,
        """\
auto eth0
iface eth0 inet manual
    up ip link set dev eth0 up
    pre-up echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra
""",
    ),
    "DHCPv6 alone": (DHCP6, "auto eth0\niface eth0 inet6 dhcp\n    accept_ra 0\n"),
}


@pytest.mark.parametrize(("nic", "expected"), INTERFACES.values(), ids=INTERFACES)
def test_ifupdown(nic: Nic, expected: str) -> None:
    assert written(ifupdown, nic) == {"etc/network/interfaces": LO + expected}


BUSYBOX = (text("bin/busybox", ""), link("sbin/ifup", "/bin/busybox"))


def test_busybox_needs_more_help() -> None:
    interfaces = written(ifupdown, VLAN, master=BUSYBOX)["etc/network/interfaces"]
    assert interfaces.endswith("""\
auto eth0.10
iface eth0.10 inet static
    address 10.1.0.11
    netmask 255.255.255.0
    pre-up ip link add link eth0 name eth0.10 type vlan id 10
    pre-up echo 1 >/proc/sys/net/ipv6/conf/eth0.10/accept_ra
""")
    with pytest.raises(MasterError, match="dhcp6: BusyBox's ifup does not know DHCPv6"):
        written(ifupdown, DHCP6, master=BUSYBOX)


def test_debians_ifupdown_needs_a_dhcp_client() -> None:
    without = (text("usr/lib/ifupdown/wait-for-ll6.sh", ""),)
    with pytest.raises(MasterError, match="no DHCP client; install isc-dhcp-client"):
        written(ifupdown, DHCP, master=without)
    assert written(ifupdown, DHCP, master=(*without, text("sbin/dhclient", "")))
    assert written(ifupdown, PLAIN, master=without)


def test_resolved_and_resolvconf_are_told_by_ifupdown() -> None:
    for target in ("../run/systemd/resolve/stub-resolv.conf", "../run/resolvconf/resolv.conf"):
        files = written(ifupdown, FULL, master=(link("etc/resolv.conf", target),))
        assert (
            "    dns-nameservers 10.0.0.1 fd00::1\n    dns-search a.example b.example\n"
            in (files["etc/network/interfaces"])
        )
        drop_in = files.get("etc/systemd/resolved.conf.d/10-guest.conf")
        expected = "[Resolve]\nDNS=10.0.0.1 fd00::1\nDomains=a.example b.example\n"
        assert drop_in == (expected if "systemd" in target else None)


NETPLAN_FULL = """\
network:
  version: 2
  renderer: networkd
  ethernets:
    eth0:
      match: {macaddress: "00:16:3e:00:00:01"}
      mtu: 9000
      dhcp4: false
      dhcp6: false
      accept-ra: false
      addresses: ["10.0.0.11/24", "10.0.0.12/24", "fd00::11/64", "fd00::12/64"]
      nameservers:
        addresses: ["10.0.0.1", "fd00::1"]
        search: ["a.example", "b.example"]
      routes:
        - {to: "0.0.0.0/0", via: "10.0.0.1"}
        - {to: "::/0", via: "fe80::1"}
        - {to: "10.9.0.0/16", via: "10.0.0.254"}
        - {to: "fd09::/48", via: "fd00::254"}
    eth1:
      match: {macaddress: "00:16:3e:00:00:02"}
      mtu: 1400
    eth2:
      match: {macaddress: "00:16:3e:00:00:03"}
      dhcp4: true
      dhcp6: true
  vlans:
    eth1.10:
      id: 10
      link: eth1
      dhcp4: false
      dhcp6: false
      accept-ra: true
      addresses: ["10.1.0.11/24"]
"""


def test_netplan() -> None:
    assert written(netplan, FULL, VLAN, DHCP) == {"etc/netplan/10-guest.yaml": NETPLAN_FULL}


def test_netplan_lets_networkmanager_do_it_where_that_is_installed() -> None:
    files = written(netplan, PLAIN, master=(text("usr/sbin/NetworkManager", ""),))
    assert "  renderer: NetworkManager\n" in files["etc/netplan/10-guest.yaml"]


NETWORKS = {
    "everything": (
        FULL,
        {
            "10-eth0.network": """\
[Match]
MACAddress=00:16:3e:00:00:01

[Link]
MTUBytes=9000

[Network]
IPv6AcceptRA=no
Address=10.0.0.11/24
Address=10.0.0.12/24
Address=fd00::11/64
Address=fd00::12/64
Gateway=10.0.0.1
Gateway=fe80::1
DNS=10.0.0.1
DNS=fd00::1
Domains=a.example b.example

[Route]
Destination=10.9.0.0/16
Gateway=10.0.0.254

[Route]
Destination=fd09::/48
Gateway=fd00::254
"""
        },
    ),
    "VLAN": (
        VLAN,
        {
            "10-eth0.10.netdev": "[NetDev]\nName=eth0.10\nKind=vlan\n\n[VLAN]\nId=10\n",
            "10-eth0.10.network": """\
[Match]
Name=eth0.10

[Link]
MTUBytes=1400

[Network]
IPv6AcceptRA=yes
Address=10.1.0.11/24
""",
            "10-eth0.network": """\
[Match]
MACAddress=00:16:3e:00:00:02
Type=ether

[Link]
MTUBytes=1400

[Network]
VLAN=eth0.10
LinkLocalAddressing=no
IPv6AcceptRA=no
""",
        },
    ),
    "DHCP": (DHCP, {"10-eth0.network": "[Match]\nMACAddress=00:16:3e:00:00:03\n\n[Network]\nDHCP=yes\n"}),
    "DHCPv6 alone": (
        DHCP6,
        {
            "10-eth0.network": "[Match]\nMACAddress=00:16:3e:00:00:06\n\n"
            "[Network]\nDHCP=ipv6\nIPv6AcceptRA=no\n\n[DHCPv6]\nWithoutRA=solicit\n"
        },
    ),
}


@pytest.mark.parametrize(("nic", "expected"), NETWORKS.values(), ids=NETWORKS)
def test_networkd(nic: Nic, expected: dict[str, str]) -> None:
    assert written(networkd, nic) == {f"etc/systemd/network/{name}": data for name, data in expected.items()}


def test_of_networkds_files_that_of_the_vlan_comes_first() -> None:
    """Since the first that matches counts, and that of the card may match the VLAN on older systems, too."""
    names = sorted(name for name in written(networkd, VLAN) if name.endswith(".network"))
    assert names[0].endswith("/10-eth0.10.network")


CONNECTIONS = "etc/NetworkManager/system-connections"
KEYFILES = {
    "everything": (
        FULL,
        {
            "eth0": """\
[connection]
id=eth0
uuid=70ec5eed-8796-5cf4-a8de-a4eaee3fdad8
type=ethernet

[ethernet]
mac-address=00:16:3e:00:00:01
mtu=9000

[ipv4]
method=manual
address1=10.0.0.11/24
address2=10.0.0.12/24
gateway=10.0.0.1
route1=10.9.0.0/16,10.0.0.254
dns=10.0.0.1;
dns-search=a.example;b.example;

[ipv6]
method=manual
address1=fd00::11/64
address2=fd00::12/64
gateway=fe80::1
route1=fd09::/48,fd00::254
dns=fd00::1;
dns-search=a.example;b.example;
"""
        },
    ),
    "VLAN": (
        VLAN,
        {
            "eth0": """\
[connection]
id=eth0
uuid=70ec5eed-8796-5cf4-a8de-a4eaee3fdad8
type=ethernet

[ethernet]
mac-address=00:16:3e:00:00:02
mtu=1400

[ipv4]
method=disabled

[ipv6]
method=ignore
""",
            "eth0.10": """\
[connection]
id=eth0.10
uuid=9b8ae0cd-4019-5583-9caa-409453ba578b
type=vlan
interface-name=eth0.10

[vlan]
id=10
parent=70ec5eed-8796-5cf4-a8de-a4eaee3fdad8

[ipv4]
method=manual
address1=10.1.0.11/24

[ipv6]
method=auto
""",
        },
    ),
}


@pytest.mark.parametrize(("nic", "expected"), KEYFILES.values(), ids=KEYFILES)
def test_networkmanager(nic: Nic, expected: dict[str, str]) -> None:
    assert written(networkmanager, nic) == {
        f"{CONNECTIONS}/{name}.nmconnection": data for name, data in expected.items()
    }


@pytest.mark.parametrize(
    ("nic", "methods"),
    [
        (PLAIN, ("manual", "auto")),
        (DHCP, ("auto", "auto")),
        (ADVERTISED, ("disabled", "auto")),
        (SILENT, ("disabled", "link-local")),
        (DHCP6, ("disabled", "dhcp")),
        (replace(FULL, accept_ra=True), ("manual", "auto")),
        (replace(FULL, accept_ra=None), ("manual", "manual")),
    ],
)
def test_networkmanagers_methods(nic: Nic, methods: tuple[str, str]) -> None:
    (keyfile,) = written(networkmanager, nic).values()
    found = [line.removeprefix("method=") for line in keyfile.splitlines() if line.startswith("method=")]
    assert tuple(found) == methods


def test_a_nameserver_that_networkmanager_would_refuse() -> None:
    lost = replace(SILENT, nameservers=(ip_address("fd00::1"),))
    with pytest.raises(MasterError, match="nameservers: NetworkManager cannot ask fd00::1"):
        written(networkmanager, lost)


def test_keyfiles_are_for_root_alone() -> None:
    entries = list(networkmanager.entries(guest(nics=(FULL, VLAN)), tree()))
    entries += netplan.entries(guest(nics=(FULL, VLAN)), tree())
    assert {entry.metadata.mode for entry in entries if isinstance(entry, File)} == {0o600}


def test_networkmanager_is_enabled_where_it_is_not() -> None:
    unit = text("lib/systemd/system/NetworkManager.service", "")
    wanted = "etc/systemd/system/multi-user.target.wants/NetworkManager.service"
    assert targets(networkmanager.entries(guest(), tree(unit))) == {wanted: f"/{unit.path}"}
    assert not targets(networkmanager.entries(guest(), tree(unit, link(wanted, f"/{unit.path}"))))
    assert not targets(networkmanager.entries(guest(nics=()), tree(unit)))


SCRIPTS = "etc/sysconfig/network-scripts"
IFCFGS = {
    "everything": (
        FULL,
        {
            "ifcfg-eth0": """\
DEVICE=eth0
HWADDR=00:16:3E:00:00:01
TYPE=Ethernet
MTU=9000
ONBOOT=yes
BOOTPROTO=none
IPADDR=10.0.0.11
PREFIX=24
IPADDR1=10.0.0.12
PREFIX1=24
GATEWAY=10.0.0.1
IPV6INIT=yes
IPV6_AUTOCONF=no
IPV6ADDR=fd00::11/64
IPV6ADDR_SECONDARIES="fd00::12/64"
IPV6_DEFAULTGW=fe80::1
DNS1=10.0.0.1
DNS2=fd00::1
DOMAIN="a.example b.example"
""",
            "route-eth0": "10.9.0.0/16 via 10.0.0.254 dev eth0\n",
            "route6-eth0": "fd09::/48 via fd00::254 dev eth0\n",
        },
    ),
    "VLAN": (
        VLAN,
        {
            "ifcfg-eth0": "DEVICE=eth0\nHWADDR=00:16:3E:00:00:02\nTYPE=Ethernet\nMTU=1400\n"
            "ONBOOT=yes\nBOOTPROTO=none\n",
            "ifcfg-eth0.10": """\
DEVICE=eth0.10
VLAN=yes
PHYSDEV=eth0
ONBOOT=yes
BOOTPROTO=none
IPADDR=10.1.0.11
PREFIX=24
IPV6INIT=yes
IPV6_AUTOCONF=yes
""",
        },
    ),
    "DHCP": (
        DHCP,
        {
            "ifcfg-eth0": "DEVICE=eth0\nHWADDR=00:16:3E:00:00:03\nTYPE=Ethernet\nONBOOT=yes\n"
            "BOOTPROTO=dhcp\nIPV6INIT=yes\nDHCPV6C=yes\n"
        },
    ),
}


@pytest.mark.parametrize(("nic", "expected"), IFCFGS.values(), ids=IFCFGS)
def test_ifcfg(nic: Nic, expected: dict[str, str]) -> None:
    assert written(ifcfg, nic) == {f"{SCRIPTS}/{name}": data for name, data in expected.items()}


NETWORK = "etc/sysconfig/network"
WICKEDS = {
    "everything": (
        FULL,
        {
            "ifcfg-eth0": """\
STARTMODE='auto'
MTU='9000'
BOOTPROTO='static'
IPADDR='10.0.0.11/24'
IPADDR_1='10.0.0.12/24'
IPADDR_2='fd00::11/64'
IPADDR_3='fd00::12/64'
""",
            "ifroute-eth0": """\
default 10.0.0.1 - eth0
default fe80::1 - eth0
10.9.0.0/16 10.0.0.254 - eth0
fd09::/48 fd00::254 - eth0
""",
            "ifsysctl-eth0": "net/ipv6/conf/eth0/accept_ra = 0\n",
            "config": """\
NETCONFIG_DNS_POLICY=auto
NETCONFIG_DNS_STATIC_SEARCHLIST="a.example b.example"
NETCONFIG_DNS_STATIC_SERVERS="10.0.0.1 fd00::1"
""",
        },
    ),
    "VLAN": (
        VLAN,
        {
            "ifcfg-eth0": "STARTMODE='auto'\nBOOTPROTO='static'\nMTU='1400'\n",
            "ifcfg-eth0.10": "STARTMODE='auto'\nETHERDEVICE='eth0'\nVLAN_ID='10'\n"
            "BOOTPROTO='static'\nIPADDR='10.1.0.11/24'\n",
            "ifsysctl-eth0.10": "net/ipv6/conf/eth0.10/accept_ra = 1\n",
            "config": 'NETCONFIG_DNS_POLICY=auto\nNETCONFIG_DNS_STATIC_SEARCHLIST=""\n'
            'NETCONFIG_DNS_STATIC_SERVERS=""\n',
        },
    ),
}
CONFIG = text(
    f"{NETWORK}/config",
    'NETCONFIG_DNS_POLICY=auto\nNETCONFIG_DNS_STATIC_SEARCHLIST="old.example"\nNETCONFIG_DNS_STATIC_SERVERS=""\n',
)


@pytest.mark.parametrize(("nic", "expected"), WICKEDS.values(), ids=WICKEDS)
def test_wicked(nic: Nic, expected: dict[str, str]) -> None:
    files = written(wicked, nic, master=(CONFIG,))
    assert files == {f"{NETWORK}/{name}": data for name, data in expected.items()}


@pytest.mark.parametrize(
    ("nic", "protocol"), [(DHCP, "dhcp"), (replace(DHCP, dhcp6=False), "dhcp4"), (DHCP6, "dhcp6"), (SILENT, "static")]
)
def test_wickeds_protocols(nic: Nic, protocol: str) -> None:
    assert f"BOOTPROTO='{protocol}'\n" in written(wicked, nic)[f"{NETWORK}/ifcfg-eth0"]


OWN = {
    "netplan": (
        netplan,
        ["etc/netplan/50-cloud-init.yaml", "etc/netplan/10-guest.yaml", "etc/netplan/README"],
        ["etc/netplan/50-cloud-init.yaml"],
    ),
    "NetworkManager": (
        networkmanager,
        [f"{CONNECTIONS}/Wired connection 1", f"{CONNECTIONS}/office.nmconnection"],
        [f"{CONNECTIONS}/Wired connection 1"],
    ),
    "ifcfg": (
        ifcfg,
        [f"{SCRIPTS}/{name}" for name in ("ifcfg-lo", "ifcfg-ens3", "route-ens3", "ifcfg-eth0", "ifup-eth")],
        [f"{SCRIPTS}/ifcfg-ens3", f"{SCRIPTS}/route-ens3"],
    ),
    "wicked": (
        wicked,
        [f"{NETWORK}/{name}" for name in ("ifcfg-lo", "ifcfg-eth1", "ifroute-eth1", "ifcfg-eth0", "routes", "config")],
        [f"{NETWORK}/ifcfg-eth1", f"{NETWORK}/ifroute-eth1"],
    ),
}


@pytest.mark.parametrize(("tool", "there", "gone"), OWN.values(), ids=OWN)
def test_what_the_master_had_for_its_own_cards_goes(tool: ModuleType, there: list[str], gone: list[str]) -> None:
    kinds = {"Wired connection 1": "802-3-ethernet", "office.nmconnection": "vpn"}
    layer = [text(path, f"[connection]\ntype={kinds.get(path.rpartition('/')[2], '')}\n") for path in there]
    removed = [entry.path for entry in tool.entries(guest(), tree(*layer)) if isinstance(entry, Removal)]
    assert sorted(removed) == gone


def links(tool: ModuleType, *nics: Nic, master: tuple[Entry, ...] = ()) -> dict[str, str]:
    entries = tool.entries(guest(nics=nics), tree(*master))
    return {path: data.decode() for path, data in contents(entries).items() if "udev" in path or path.endswith(".link")}


@pytest.mark.parametrize("tool", [ifupdown, ifcfg, wicked])
def test_cards_are_named_by_their_mac_addresses(tool: ModuleType) -> None:
    assert links(tool, PLAIN, master=(UDEV,)) == {
        "etc/systemd/network/10-eth0.link": "[Match]\nMACAddress=00:16:3e:00:00:07\n\n[Link]\nName=eth0\n"
    }


@pytest.mark.parametrize("tool", [ifupdown, ifcfg, wicked])
def test_several_cards_have_names_that_the_kernel_gives_to_none(tool: ModuleType) -> None:
    assert links(tool, PLAIN, VLAN, master=(UDEV,)) == {
        "etc/systemd/network/10-net0.link": "[Match]\nMACAddress=00:16:3e:00:00:07\n\n[Link]\nName=net0\n",
        "etc/systemd/network/10-net1.link": "[Match]\nMACAddress=00:16:3e:00:00:02\nType=ether\n\n[Link]\nName=net1\n",
    }
    files = written(tool, PLAIN, VLAN, master=(UDEV,))
    assert "net1.10" in "".join([*files, *files.values()])
    assert "eth" not in "".join(files.values()).replace("PHYSDEV", "").replace("ETHERDEVICE", "")


def test_an_older_udev_has_rules() -> None:
    assert links(ifcfg, PLAIN, VLAN, master=(text("sbin/udevd", ""),)) == {
        "etc/udev/rules.d/70-guest-net.rules": (
            'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:16:3e:00:00:07", NAME="eth0"\n'
            'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:16:3e:00:00:02", NAME="eth1"\n'
        )
    }


@pytest.mark.parametrize("tool", [ifupdown, netplan, networkd, networkmanager, ifcfg, wicked])
def test_every_card_is_found_by_its_mac_address(tool: ModuleType) -> None:
    everything = "".join(data.decode() for data in contents(tool.entries(guest(nics=ALL), tree())).values()).lower()
    assert [nic.mac for nic in ALL if nic.mac not in everything] == []


def test_resolver_of_no_card() -> None:
    assert resolver.nameservers(guest(nics=())) == resolver.search(guest(nics=())) == []


# The words by which each tool says: DHCP, DHCPv6 without advertisements, advertisements to be taken, or not, the VLAN.
WORDS: dict[ModuleType, tuple[str, ...]] = {
    ifupdown: ("inet dhcp", "inet6 dhcp\n    accept_ra 0", "inet6 auto", "accept_ra 0", "auto eth1.10"),
    netplan: ("dhcp4: true", "dhcp6: true\n      accept-ra: false", "accept-ra: true", "accept-ra: false", "id: 10"),
    networkd: ("DHCP=yes", "DHCP=ipv6\nIPv6AcceptRA=no", "IPv6AcceptRA=yes", "IPv6AcceptRA=no", "Id=10"),
    networkmanager: ("method=auto", "method=dhcp", "[ipv6]\nmethod=auto", "[ipv6]\nmethod=manual", "id=10"),
    ifcfg: ("BOOTPROTO=dhcp", "DHCPV6C=yes", "IPV6_AUTOCONF=yes", "IPV6_AUTOCONF=no", "PHYSDEV=eth1"),
    wicked: ("BOOTPROTO='dhcp'", "BOOTPROTO='dhcp6'", "accept_ra = 1", "accept_ra = 0", "VLAN_ID='10'"),
}


@pytest.mark.parametrize("tool", WORDS, ids=lambda tool: str(vars(tool)["__name__"]).rpartition(".")[2])
def test_every_tool_is_told_everything(tool: ModuleType) -> None:
    resolvconf = link("etc/resolv.conf", "../run/resolvconf/resolv.conf")  # what has ifupdown be told of nameservers
    told = "\n".join(written(tool, *ALL, master=(resolvconf,)).values())
    for card in ALL:
        values: list[object] = [
            *(address.ip for address in card.addresses),
            *card.gateways,
            *card.nameservers,
            *card.search,
        ]
        values += [*(route.via for route in card.routes), *(route.to.network_address for route in card.routes)]
        values += [card.mtu] if card.mtu is not None else []
        for value in values:
            assert str(value) in told
    for words in WORDS[tool]:
        assert words in told
