"""What network cards are, and how guests use them."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.model.addresses import Address, Interface, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to a network besides that through the gateway."""

    to: Network
    via: Address


class NicModel(StrEnum):
    """Cards that full virtualization can imitate. Xen's PV and PVH guests have none: theirs is always Xen's own."""

    VIRTIO = "virtio"
    E1000 = "e1000"
    E1000E = "e1000e"
    RTL8139 = "rtl8139"
    VMXNET3 = "vmxnet3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A network interface: a MAC address on a bridge of the host, and what the guest does with it."""

    mac: str
    """Six lower case hexadecimal pairs with colons."""
    bridge: str
    addresses: tuple[Interface, ...] = ()
    """The fixed ones, IPv4 and IPv6, in the order of the list."""
    dhcp4: bool = False
    dhcp6: bool = False
    accept_ra: bool | None = None
    """Whether IPv6 routers may configure it by their advertisements; None: as the guest's system has it."""
    gateways: tuple[Address, ...] = ()
    """The way out: at most one for each version of IP."""
    routes: tuple[Route, ...] = ()
    nameservers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()
    """The domains that names without a dot are looked for in."""
    mtu: int | None = None
    """Bytes in a packet; None: 1500, or what DHCP says."""
    vlan: int | None = None
    """The 802.1Q tag of all its packets: the addresses are those of a VLAN interface on the card."""
    model: NicModel | None = None
    """The card that full virtualization imitates; None: what each hypervisor has by default."""
