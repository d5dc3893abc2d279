"""Network cards for the tests of network tools: one that has everything, and others with what goes without that."""

from ipaddress import ip_address, ip_interface, ip_network

from pipeline.model.network import Nic, Route
from tests.guests import nic

FULL = Nic(
    mac="00:16:3e:00:00:01",
    bridge="xenbr0",
    addresses=tuple(map(ip_interface, ("10.0.0.11/24", "10.0.0.12/24", "fd00::11/64", "fd00::12/64"))),
    accept_ra=False,
    gateways=(ip_address("10.0.0.1"), ip_address("fe80::1")),
    routes=(
        Route(to=ip_network("10.9.0.0/16"), via=ip_address("10.0.0.254")),
        Route(to=ip_network("fd09::/48"), via=ip_address("fd00::254")),
    ),
    nameservers=(ip_address("10.0.0.1"), ip_address("fd00::1")),
    search=("a.example", "b.example"),
    mtu=9000,
)
VLAN = Nic(
    mac="00:16:3e:00:00:02",
    bridge="xenbr0",
    addresses=(ip_interface("10.1.0.11/24"),),
    accept_ra=True,
    mtu=1400,
    vlan=10,
)
DHCP = Nic(mac="00:16:3e:00:00:03", bridge="xenbr0", dhcp4=True, dhcp6=True)
ADVERTISED = Nic(mac="00:16:3e:00:00:04", bridge="xenbr0", accept_ra=True, mtu=1400)
SILENT = Nic(mac="00:16:3e:00:00:05", bridge="xenbr0", accept_ra=False)
DHCP6 = Nic(mac="00:16:3e:00:00:06", bridge="xenbr0", dhcp6=True, accept_ra=False)
PLAIN = nic("10.0.0.11/24", "10.0.0.1", "10.0.0.1", mac="00:16:3e:00:00:07")

ALL = (FULL, VLAN, DHCP, ADVERTISED, SILENT, DHCP6, PLAIN)
