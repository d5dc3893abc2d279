"""Debian's ifupdown: interfaces(5). BusyBox reads the same file."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import MasterError
from pipeline.guestos import resolver
from pipeline.guestos.network import interface_names
from pipeline.guestos.network.tool import NetworkTool
from pipeline.image.layer.entries import Entry, text
from pipeline.image.layer.tree import Tree, resolve
from pipeline.model.addresses import Interface
from pipeline.model.guest import Guest
from pipeline.model.network import Nic

_PROGRAMS = ("usr/sbin/ifup", "sbin/ifup")
_NOT_DEBIANS = ("etc/sysconfig/network", "etc/sysconfig/network-scripts")
_DEBIANS = ("usr/lib/ifupdown", "lib/ifupdown")
_DHCP_CLIENTS = tuple(
    f"{folder}/{name}" for name in ("dhclient", "dhcpcd", "udhcpc") for folder in ("usr/sbin", "sbin")
)


def is_in(tree: Tree) -> bool:
    """Whether the master has it installed. Red Hat and SuSE have another ifup, which reads etc/sysconfig."""
    return any(map(tree.exists, _PROGRAMS)) and not any(map(tree.exists, _NOT_DEBIANS))


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """/etc/network/interfaces, and what makes udev call the card with the guest's MAC address eth0.

    Raises MasterError for what BusyBox cannot do.
    """
    busybox = any(resolve(tree, path).endswith("/busybox") for path in _PROGRAMS if tree.exists(path))
    _check_dhcp(guest, tree)
    interfaces = _Interfaces(busybox, for_resolvconf=resolver.is_made_at_boot(tree))
    stanzas = ["auto lo\niface lo inet loopback\n"]
    for card, nic in zip(interface_names.names(guest, tree), guest.nics, strict=True):
        stanzas += interfaces.of(card, nic)
    yield from interface_names.entries(guest, tree)
    yield text("etc/network/interfaces", "\n".join(stanzas))
    yield from resolver.for_resolved(guest, tree)


def _check_dhcp(guest: Guest, tree: Tree) -> None:
    """Raise MasterError where Debian's would look for a DHCP client in vain: it comes without one."""
    asks = any(nic.dhcp4 or nic.dhcp6 for nic in guest.nics)
    if asks and any(map(tree.exists, _DEBIANS)) and not any(map(tree.exists, _DHCP_CLIENTS)):
        raise MasterError("dhcp: the master has ifupdown, but no DHCP client", "install isc-dhcp-client in it")


@dataclass(frozen=True, slots=True)
class _Interfaces:
    """The stanzas of a file, which may be read by BusyBox, and by the hooks of resolvconf(8)."""

    busybox: bool
    for_resolvconf: bool

    def of(self, card: str, nic: Nic) -> Iterator[str]:
        """Those of one network card, and of the VLAN interface on it."""
        size = [f"    pre-up ip link set dev {card} mtu {nic.mtu}"] if nic.mtu is not None else []
        if nic.vlan is None:
            yield self._text(card, nic, size)
            return
        yield _joined([f"auto {card}", f"iface {card} inet manual", *size, f"    up ip link set dev {card} up"])
        name = interface_names.interface(card, nic.vlan)
        # Debian's makes it, because there is a dot in its name.
        made = f"    pre-up ip link add link {card} name {name} type vlan id {nic.vlan}"
        yield self._text(name, nic, [made] if self.busybox else [])

    def _text(self, name: str, nic: Nic, first: list[str]) -> str:
        four, six = list(self._version_4(name, nic)), list(self._version_6(name, nic))
        stanzas = [*four, *six] or [[f"iface {name} inet manual", f"    up ip link set dev {name} up"]]
        stanzas[0] += [*first, *self._advertisements(name, nic), *self._nameservers(nic)]
        for route in nic.routes:
            own = six if route.via.version == 6 else four
            family = "-6 " if route.via.version == 6 else ""
            (own or stanzas)[-1].append(f"    up ip {family}route add {route.to} via {route.via} dev {name}")
        return _joined([f"auto {name}", *(line for stanza in stanzas for line in stanza)])

    def _version_4(self, name: str, nic: Nic) -> Iterator[list[str]]:
        if nic.dhcp4:
            yield [f"iface {name} inet dhcp"]
        yield from (_static(name, address, nic) for address in nic.addresses if address.version == 4)

    def _version_6(self, name: str, nic: Nic) -> Iterator[list[str]]:
        static = [_static(name, address, nic) for address in nic.addresses if address.version == 6]
        if nic.dhcp6 and self.busybox:
            raise MasterError("dhcp6: BusyBox's ifup does not know DHCPv6", "install ifupdown, or another network tool")
        if nic.dhcp6:
            static.append([f"iface {name} inet6 dhcp"])
        if static and nic.accept_ra is not None and not self.busybox:
            # Without autoconf, no address is made of what is advertised, and with dhcp it is not asked for.
            more = ["    autoconf 1"] if nic.accept_ra else []
            static[0] += [f"    accept_ra {int(nic.accept_ra)}", *more]
        elif nic.accept_ra and not self.busybox:
            static.append([f"iface {name} inet6 auto"])
        yield from static

    def _advertisements(self, name: str, nic: Nic) -> list[str]:
        """What BusyBox has no option for, nor Debian's without an address."""
        told = not self.busybox and (nic.accept_ra or nic.dhcp6 or any(each.version == 6 for each in nic.addresses))
        if nic.accept_ra is None or told:
            return []
        return [f"    pre-up echo {int(nic.accept_ra)} >/proc/sys/net/ipv6/conf/{name}/accept_ra"]

    def _nameservers(self, nic: Nic) -> list[str]:
        if not self.for_resolvconf:
            return []
        servers = [f"    dns-nameservers {' '.join(map(str, nic.nameservers))}"] if nic.nameservers else []
        return servers + ([f"    dns-search {' '.join(nic.search)}"] if nic.search else [])


def _static(name: str, address: Interface, nic: Nic) -> list[str]:
    # Debian's takes 10.0.0.11/24 as an address; BusyBox wants the netmask by itself, and for IPv6 the prefix's length.
    family, netmask = ("inet", address.netmask) if address.version == 4 else ("inet6", address.network.prefixlen)
    lines = [f"iface {name} {family} static", f"    address {address.ip}", f"    netmask {netmask}"]
    if address == next(each for each in nic.addresses if each.version == address.version):
        lines += [f"    gateway {gateway}" for gateway in nic.gateways if gateway.version == address.version]
    return lines


def _joined(lines: list[str]) -> str:
    return "\n".join([*lines, ""])


TOOL = NetworkTool(name="ifupdown", preference=10, is_in=is_in, entries=entries)
