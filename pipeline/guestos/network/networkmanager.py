"""NetworkManager: its keyfiles, nm-settings-keyfile(5)."""

import re
from collections.abc import Iterator
from uuid import UUID, uuid5

from pipeline.errors import MasterError
from pipeline.guestos.network import interface_names
from pipeline.guestos.network.tool import NetworkTool
from pipeline.image.layer.entries import Entry, Metadata, Removal, Symlink, text
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.network import Nic

_FOLDER = "etc/NetworkManager/system-connections"
_UNITS = ("usr/lib/systemd/system", "lib/systemd/system")
_ENABLED = {  # what `systemctl enable NetworkManager` links, as its unit's [Install] section says
    "multi-user.target.wants/NetworkManager.service": "NetworkManager.service",
    "dbus-org.freedesktop.nm-dispatcher.service": "NetworkManager-dispatcher.service",
    "network-online.target.wants/NetworkManager-wait-online.service": "NetworkManager-wait-online.service",
}
_ETHERNET = re.compile(r"^type\s*=\s*(ethernet|802-3-ethernet)\s*$", re.MULTILINE)


def is_in(tree: Tree) -> bool:
    """Whether the master has it installed."""
    return tree.exists("usr/sbin/NetworkManager")


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """A keyfile for each card, and for the VLAN on it; the master's own for such cards go.

    NetworkManager takes none that others can read, and is enabled where it is not.
    """
    for name in tree.names(_FOLDER):
        path = f"{_FOLDER}/{name}"
        if not tree.names(path) and _ETHERNET.search(tree.read(path).decode(errors="replace")):
            yield Removal(path)
    for number, nic in enumerate(guest.nics):
        for name, contents in _keyfiles(guest.uuid, f"eth{number}", nic).items():
            yield text(f"{_FOLDER}/{name}.nmconnection", contents, mode=0o600)
    for link, unit in _ENABLED.items() if guest.nics else ():
        there = next((f"/{folder}/{unit}" for folder in _UNITS if tree.exists(f"{folder}/{unit}")), None)
        if there is not None and tree.readlink(f"etc/systemd/system/{link}") is None:
            yield Symlink(f"etc/systemd/system/{link}", Metadata(mode=0o777), there)


def _keyfiles(guest: UUID, card: str, nic: Nic) -> dict[str, str]:
    """By name; the names are for people, since the interface may be called something else."""
    uuid = uuid5(guest, card)
    ethernet = ["[ethernet]", f"mac-address={nic.mac}", *([f"mtu={nic.mtu}"] if nic.mtu is not None else []), ""]
    if nic.vlan is None:
        return {card: _keyfile(_connection(card, uuid, "ethernet"), ethernet, _ipv4(nic), _ipv6(nic))}
    name = interface_names.interface(card, nic.vlan)
    connection = [*_connection(name, uuid5(guest, name), "vlan")[:-1], f"interface-name={name}", ""]
    vlan = ["[vlan]", f"id={nic.vlan}", f"parent={uuid}", ""]
    nothing = [["[ipv4]", "method=disabled", ""], ["[ipv6]", "method=ignore", ""]]
    return {
        card: _keyfile(_connection(card, uuid, "ethernet"), ethernet, *nothing),
        name: _keyfile(connection, vlan, _ipv4(nic), _ipv6(nic)),
    }


def _connection(name: str, uuid: UUID, kind: str) -> list[str]:
    return ["[connection]", f"id={name}", f"uuid={uuid}", f"type={kind}", ""]


def _keyfile(*sections: list[str]) -> str:
    return "\n".join(line for section in sections for line in section)


def _ipv4(nic: Nic) -> list[str]:
    has_address = any(address.version == 4 for address in nic.addresses)
    method = "auto" if nic.dhcp4 else "manual" if has_address else "disabled"
    return ["[ipv4]", f"method={method}", *_settings(nic, 4, bare=method == "disabled"), ""]


def _ipv6(nic: Nic) -> list[str]:
    """Advertisements say whether to ask DHCPv6, unless none are taken; NetworkManager takes none besides `dhcp`."""
    has_address = any(address.version == 6 for address in nic.addresses)
    if nic.dhcp6 and nic.accept_ra is False:
        method = "dhcp"
    elif nic.dhcp6 or nic.accept_ra or (nic.accept_ra is None and not has_address):
        method = "auto"
    else:
        method = "manual" if has_address else "link-local"
    return ["[ipv6]", f"method={method}", *_settings(nic, 6, bare=method == "link-local"), ""]


def _settings(nic: Nic, version: int, *, bare: bool) -> Iterator[str]:
    """What goes with the method. A `bare` one is for no addresses, and NetworkManager refuses it with a nameserver.

    Raises MasterError for one that would be lost.
    """
    servers = [str(server) for server in nic.nameservers if server.version == version]
    if bare:
        if servers:
            raise MasterError(
                f"nameservers: NetworkManager cannot ask {servers[0]} by a card without an IPv{version} address",
                "give the card one, or another nameserver",
            )
        return
    for number, address in enumerate((each for each in nic.addresses if each.version == version), 1):
        yield f"address{number}={address}"
    for gateway in nic.gateways:
        if gateway.version == version:
            yield f"gateway={gateway}"
    for number, route in enumerate((each for each in nic.routes if each.via.version == version), 1):
        yield f"route{number}={route.to},{route.via}"
    if servers:
        yield f"dns={';'.join(servers)};"
    if nic.search:
        yield f"dns-search={';'.join(nic.search)};"


TOOL = NetworkTool(name="networkmanager", preference=50, is_in=is_in, entries=entries)
