"""Guests boot, and are what the list says; seen from inside."""

import re
from ipaddress import ip_interface
from itertools import combinations

from pipeline.image import ext
from pipeline.model.network import Nic
from tests.boot import qemu
from tests.boot.conftest import Boot
from tests.machine import run


def test_knows_its_name(boot: Boot) -> None:
    assert boot.facts["host name"] == boot.guest.name


def test_is_the_machine_that_it_should_be(boot: Boot) -> None:
    assert boot.facts["machine ID"] == boot.guest.machine_id


def test_has_its_addresses_on_its_network_cards(boot: Boot) -> None:
    lines = re.findall(r"^\d+: (\S+) +inet6? (\S+)(?: .*)? scope global", boot.facts["addresses"], re.MULTILINE)
    assert len(boot.guest.nics) == (1 if boot.guest.name in {"deb01", "deb02", "ext2", "ext4"} else 2)
    for nic in boot.guest.nics:
        interface = card(boot, nic) if nic.vlan is None else vlan(boot, nic)
        addresses = {ip_interface(address) for name, address in lines if name == interface}
        if nic.dhcp4:
            networks = [address.network for address in addresses if address.version == 4]
            assert networks == [ip_interface(f"{qemu.GATEWAY_BY_DHCP}/24").network]
        else:
            assert {*nic.addresses} <= addresses
            assert all(address.version == 6 for address in addresses - {*nic.addresses})  # routers may have given those


def test_has_nothing_but_a_vlan_on_its_second_card(tool: Boot) -> None:
    _, nic = tool.guest.nics
    sizes = dict(re.findall(r"^\d+: ([^@:]+).* mtu (\d+) ", tool.facts["links"], re.MULTILINE))
    assert sizes[vlan(tool, nic)] == sizes[card(tool, nic)] == str(nic.mtu)
    with_addresses = re.findall(r"^\d+: (\S+) +inet6? .* scope global", tool.facts["addresses"], re.MULTILINE)
    assert card(tool, nic) not in with_addresses
    (route,) = nic.routes
    routes = [line.split()[:5] for line in tool.facts["routes"].splitlines()]
    assert [str(route.to), "via", str(route.via), "dev", vlan(tool, nic)] in routes


def test_its_network_tool_has_no_complaints(tool: Boot) -> None:
    assert tool.facts["complaints of networkd"] == ""


def test_reaches_its_gateway(boot: Boot) -> None:
    for gateway in boot.guest.nics[0].gateways:
        assert f"default via {gateway} " in boot.facts["routes"]
    assert boot.facts["routes"].count("default ") == len(boot.guest.nics[0].gateways)
    assert boot.facts["gateway"] == "answers"


def test_asks_its_nameservers(boot: Boot) -> None:
    asked = re.findall(r"^nameserver (.*)", boot.facts["resolver"], re.MULTILINE)
    assert asked == [str(server) for nic in boot.guest.nics for server in nic.nameservers]


def test_can_write_to_its_root_file_system(boot: Boot) -> None:
    mounts = [line.split() for line in boot.facts["mounts"].splitlines()]
    ((device, kind, options),) = ((device, kind, options) for device, at, kind, options, *_ in mounts if at == "/")
    assert device == boot.facts["root device"]
    assert kind == boot.guest.base.filesystem
    assert options.startswith("rw,")


def test_mounts_its_other_disks(boot: Boot) -> None:
    mounted = {at: (device, kind) for device, at, kind, *_ in map(str.split, boot.facts["mounts"].splitlines())}
    expected = [disk for disk in boot.guest.disks if disk.mount is not None]
    assert len(expected) == (boot.guest.name == "ext4")
    for disk in expected:
        device, kind = mounted[str(disk.mount).replace(" ", r"\040")]
        assert (device, kind) == (boot.facts[f"device of {disk.name}"], disk.filesystem)


def test_swaps_to_its_swap_disk(boot: Boot) -> None:
    _, *areas = boot.facts["swaps"].splitlines()
    if boot.guest.swap is None:
        assert areas == []
    else:
        ((device, _, kibibytes, *_),) = map(str.split, areas)
        assert device == boot.facts["swap device"]
        assert int(kibibytes) * 1024 == boot.guest.swap - 4096  # the first page describes the area


def test_finds_its_root_file_system_clean_and_leaves_it_so(boot: Boot) -> None:
    messages = re.findall(r"EXT4-fs .*", boot.console)
    assert messages, "the kernel says so when it mounts a file system"
    assert [message for message in messages if re.search("recover|warning|error", message)] == []
    assert boot.check("file system").found == "clean after it was shut down"  # as e2fsck says


def test_proves_all_that_is_asked_of_it(boot: Boot) -> None:
    assert [check for check in boot.proof.checks if not check.passed] == []
    assert {"boot", "login prompt", "host name", "address", "root", "swap", "machine ID", "file system"} <= {
        check.name for check in boot.proof.checks
    }


def test_need_not_check_its_root_file_system(debian: Boot) -> None:
    assert ": clean, " in debian.facts["check of the root file system"]


def test_knows_its_own_address(debian: Boot) -> None:
    address = debian.guest.nics[0].addresses[0]
    assert debian.facts["own address"].split() == [str(address.ip), debian.guest.name]


def test_starts_everything(debian: Boot) -> None:
    assert debian.facts["failed units"] == ""
    assert "ordering cycle" not in debian.console.lower()  # systemd would leave out a unit


def test_listens_for_ssh_as_its_master_does(debian: Boot) -> None:
    assert debian.facts["SSH socket"] == ("active" if debian.guest.name == "networkd" else "inactive")


def test_has_units_as_the_list_says(debian: Boot) -> None:
    states = debian.facts["units"].split()
    assert states == (["enabled", "masked"] if debian.guest.units.mask else ["disabled", "enabled"])


def test_has_the_ssh_host_keys_that_were_told_before(debian: Boot) -> None:
    told = debian.domain.disks[0].with_name("ssh_host_keys.pub")
    with ext.open(debian.domain.disks[0], write=False) as before:
        names = [name for name in before.names("etc/ssh") if name.startswith("ssh_host_")]
    if debian.guest.host_keys is None:
        assert (told.exists(), names) == (False, [])
        assert fingerprints(debian)
    else:
        assert fingerprints(debian) == set(re.findall(r"SHA256:\S+", run("ssh-keygen", "-lf", told)))
    assert fingerprints(debian, "host keys for clients") == fingerprints(debian)


def test_shares_no_ssh_host_key(debians: dict[str, Boot]) -> None:
    for one, other in combinations(debians.values(), 2):
        assert not fingerprints(one) & fingerprints(other)


def fingerprints(boot: Boot, fact: str = "host keys") -> set[str]:
    return set(re.findall(r"SHA256:\S+", boot.facts[fact]))


def card(boot: Boot, nic: Nic) -> str:
    """What the guest calls the card with the MAC address of `nic`; the VLAN on it, which has the same, aside."""
    macs = re.findall(r"^/sys/class/net/(\w+)/address:(.*)", boot.facts["MAC addresses"], re.MULTILINE)
    (name,) = (name for name, mac in macs if mac == nic.mac)
    return str(name)


def vlan(boot: Boot, nic: Nic) -> str:
    """What it calls the VLAN interface on that card."""
    links = re.findall(r"^\d+: (\S+)@(\S+): ", boot.facts["links"], re.MULTILINE)
    (name,) = (name for name, parent in links if parent == card(boot, nic))
    return str(name)
