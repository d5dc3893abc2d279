"""The farm as other programs want to know it: Ansible's inventory, /etc/hosts, DHCP servers' host entries. Pure text.

Names, addresses and MAC addresses of the model are made of letters, digits and `-.:` alone (names.py, addresses.py,
mac.py), which none of these formats has a second meaning for. Where a name can be a word of the format it is quoted, or
refused where the format has no quotes.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pipeline.errors import GuestfarmError, quoted
from pipeline.model.farm import Farm
from pipeline.model.guest import Guest

_HEAD: Final = "# Farm {}, by doit inventory"
# The groups that Ansible has of its own.
_ANSIBLE_WORDS = re.compile("all|ungrouped|localhost", re.IGNORECASE)
# What dnsmasq(8), --dhcp-host, takes for a lease time or for an order to ignore the machine.
_DNSMASQ_WORDS = re.compile("ignore|infinite|[0-9]+[smhdw]", re.IGNORECASE)


def ansible(farm: Farm, guests: Iterable[Guest]) -> str:
    """An inventory in YAML: all guests, and a group for the farm, for each master and for each hypervisor.

    Groups have names that Ansible takes for variables as well: letters, digits and `_`. Raises GuestfarmError.
    """
    guests = _without(_ANSIBLE_WORDS, "Ansible", guests)
    taken: dict[str, tuple[str, str]] = {}
    groups: dict[str, list[str]] = {}
    lines = [_HEAD.format(farm.name), "all:", "  hosts:"]
    for guest in guests:
        addresses = _fixed(guest)
        variables: dict[str, str | list[str]] = {"ansible_host": addresses[0]} if addresses else {}
        if len(addresses) > 1:
            variables["addresses"] = addresses
        lines.append(f"    {json.dumps(guest.name)}: {json.dumps(variables)}")
        kinds = [("farm", farm.name), ("master", guest.base.master.name)]
        for kind, name in [*kinds, *(("hypervisor", hypervisor) for hypervisor in guest.hypervisors)]:
            groups.setdefault(_group(kind, name, taken), []).append(guest.name)
    lines.append("  children:")
    for group, names in sorted(groups.items()):
        lines += [f"    {group}:", "      hosts:", *(f"        {json.dumps(name)}:" for name in names)]
    return "\n".join(lines) + "\n"


def hosts(farm: Farm, guests: Iterable[Guest]) -> str:
    """Lines for /etc/hosts: the fixed addresses of each guest, those of its first network card first."""
    lines = [_HEAD.format(farm.name)]
    for guest in guests:
        addresses = _fixed(guest)
        lines += [f"{address}\t{guest.name}" for address in addresses]
        lines += [] if addresses else [f"# {guest.name} has no fixed address"]
    return "\n".join(lines) + "\n"


def dnsmasq(farm: Farm, guests: Iterable[Guest]) -> str:
    """Lines for dnsmasq.conf: a dhcp-host for each network card, with its guest's name and fixed addresses.

    Raises GuestfarmError.
    """
    guests = _without(_DNSMASQ_WORDS, "dnsmasq", guests)
    lines = [_HEAD.format(farm.name)]
    for guest in guests:
        for nic in guest.nics:
            addresses = [f"[{each.ip}]" if each.version == 6 else str(each.ip) for each in nic.addresses]
            lines.append(f"dhcp-host={','.join([nic.mac, *addresses, guest.name])}")
    return "\n".join(lines) + "\n"


def dhcpd(farm: Farm, guests: Iterable[Guest]) -> str:
    """Declarations for dhcpd.conf, DHCP over IPv4: a host for each network card."""
    lines = [_HEAD.format(farm.name)]
    for guest in guests:
        for number, nic in enumerate(guest.nics, 1):
            # A host name has no underscore, so that no other guest is called like that.
            lines.append(f"host {guest.name if number == 1 else f'{guest.name}_{number}'} {{")
            lines.append(f"    hardware ethernet {nic.mac};")
            fixed = [str(address.ip) for address in nic.addresses if address.version == 4]
            lines += [f"    fixed-address {', '.join(fixed)};"] if fixed else []
            lines += [f'    option host-name "{guest.name}";', "}"]
    return "\n".join(lines) + "\n"


FORMATS: Final[Mapping[str, Callable[[Farm, Iterable[Guest]], str]]] = {
    "ansible": ansible,
    "hosts": hosts,
    "dnsmasq": dnsmasq,
    "dhcpd": dhcpd,
}


def _without(words: re.Pattern[str], program: str, guests: Iterable[Guest]) -> list[Guest]:
    """`guests`, none of which has a name that `program` takes for one of these words. Raises GuestfarmError."""
    listed = list(guests)
    taken = [guest.name for guest in listed if words.fullmatch(guest.name)]
    if taken:
        names = ", ".join(map(quoted, taken))
        raise GuestfarmError(f"{program} does not take {names} for a guest", "rename it, or name the guests to print")
    return listed


def _fixed(guest: Guest) -> list[str]:
    """The fixed addresses of all its network cards."""
    return list(dict.fromkeys(str(address.ip) for nic in guest.nics for address in nic.addresses))


def _group(kind: str, name: str, taken: dict[str, tuple[str, str]]) -> str:
    """The group for what is called `name`; another one than those of other names."""
    group = f"{kind}_{re.sub('[^A-Za-z0-9]', '_', name)}"
    while taken.setdefault(group, (kind, name)) != (kind, name):
        group += "_"
    return group
