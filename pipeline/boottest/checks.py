"""Checks: what a guest says of itself, compared with what the list says of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface

from pipeline.boottest.inside import Facts
from pipeline.model.guest import Guest
from pipeline.model.network import Nic
from pipeline.model.sizes import format_size

_SWAP_HEADER = 4096
"""Bytes at the start of a swap area that describe it: see mkswap(8)."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at."""

    name: str
    passed: bool | None
    """None: it could not be looked at."""
    found: str
    """What was found, or why nothing was looked at."""


def of_report(guest: Guest, facts: Facts) -> Iterator[Check]:
    """What the report of `guest` proves."""
    yield _equal("host name", guest.name.partition(".")[0], facts["host name"])
    for nic in guest.nics:
        yield from _addresses(nic, facts)
    yield _root(facts)
    yield _swap(guest, facts)
    for disk in guest.disks:
        if disk.mount is not None:
            yield _mount(disk.name, str(disk.mount), facts)
    if "firmware" in facts:
        yield _equal("firmware", "UEFI", facts["firmware"])
    yield _equal("machine ID", guest.machine_id, facts["machine ID"])
    if "failed units" in facts:
        failed = [line.split()[0] for line in facts["failed units"].splitlines()]
        yield Check("units", not failed, f"failed: {', '.join(failed)}" if failed else "none failed")


def names(guest: Guest) -> list[str]:
    """What can be looked at only from inside."""
    addresses = ["address"] if guest.nics else []
    return ["host name", *addresses, "root", "swap", "machine ID"]


def _equal(name: str, expected: str, found: str) -> Check:
    return Check(name, found == expected, found if found == expected else f"{found or 'none'}, not {expected}")


def _addresses(nic: Nic, facts: Facts) -> Iterator[Check]:
    found = _found_addresses(nic.mac, facts)
    for address in nic.addresses:
        if str(address) in found:
            yield Check("address", True, f"{address} on {nic.mac}")
        else:
            yield Check("address", False, f"{', '.join(found) or 'none'} on {nic.mac}, not {address}")
    if nic.dhcp4 and nic.vlan is None:
        leased = [address for address in found if ip_interface(address).version == 4]
        yield Check("address", bool(leased), f"{', '.join(leased) or 'none'} by DHCP on {nic.mac}")
    elif nic.dhcp4:
        yield Check("address", None, f"nobody answers DHCP in VLAN {nic.vlan} here, on {nic.mac}")
    if nic.dhcp6:
        yield Check("address", None, f"nobody gives IPv6 addresses by DHCP here, on {nic.mac}")


def _found_addresses(mac: str, facts: Facts) -> list[str]:
    """The addresses of the card with `mac`, and of VLANs on it, which have the same."""
    cards = re.findall(r"^/sys/class/net/([^/]+)/address:(.*)$", facts["MAC addresses"], re.MULTILINE)
    mine = {card for card, own in cards if own.lower() == mac}
    # A VLAN's interface is shown as eth0.5@eth0.
    addresses = re.findall(r"^\d+: ([^\s@]+)\S* +inet6? (\S+)", facts["addresses"], re.MULTILINE)
    return [address for card, address in addresses if card in mine and not ip_interface(address).is_link_local]


def _root(facts: Facts) -> Check:
    device, kind, options = _mounts(facts).get("/", ("none", "", ""))
    if options.split(",")[0] != "rw":
        return Check("root", False, f"{device} {kind} is not writable: {options}")
    expected = facts["root device"]
    if expected.startswith("/dev/") and device.startswith("/dev/") and device not in (expected, "/dev/root"):
        return Check("root", False, f"{device} {kind}, not {expected}")
    return Check("root", True, f"{device}, {kind}, writable")


def _swap(guest: Guest, facts: Facts) -> Check:
    areas = [line.split() for line in facts["swaps"].splitlines()[1:]]  # see proc(5)
    shown = ", ".join(f"{area[0]} of {format_size(int(area[2]) * 1024 + _SWAP_HEADER)}" for area in areas) or "none"
    if guest.swap is None:
        return Check("swap", not areas, shown)
    sizes = [int(area[2]) * 1024 + _SWAP_HEADER for area in areas]
    expected = facts["swap device"]
    right = sizes == [guest.swap] and (not expected.startswith("/dev/") or areas[0][0] == expected)
    return Check("swap", right, shown if right else f"{shown}, not {format_size(guest.swap)}")


def _mount(name: str, point: str, facts: Facts) -> Check:
    mounted = _mounts(facts).get(point)
    return Check(f"disk {name}", mounted is not None, f"{mounted[0] if mounted else 'nothing'} at {point}")


def _mounts(facts: Facts) -> dict[str, tuple[str, str, str]]:
    """Device, file system and options by mount point, the last where there are several; see fstab(5) for escapes."""
    fields = [line.split() for line in facts["mounts"].splitlines()]
    return {_unescaped(point): (device, kind, options) for device, point, kind, options, *_ in fields}


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
