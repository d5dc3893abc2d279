"""What QEMU is told of guests' networks: it is the gateway where it can be, and nobody else is there."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from pipeline.model.network import NicModel
from pipeline.qemu.machine import cards
from tests.guests import guest, nic

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("address", "gateway", "network"),
    [
        ("10.0.0.11/24", "10.0.0.1", "user,restrict=on,ipv6=off,net=10.0.0.0/24,host=10.0.0.1,dns=10.0.0.2"),
        ("10.0.0.2/24", "10.0.0.1", "user,restrict=on,ipv6=off,net=10.0.0.0/24,host=10.0.0.1,dns=10.0.0.3"),
        ("10.0.0.2/29", "10.0.0.1", "hubport,hubid=0"),
        ("10.0.0.2/24", "10.9.0.1", "hubport,hubid=0"),
        ("10.0.0.2/24", None, "hubport,hubid=0"),
        ("2001:db8::2/64", "2001:db8::1", "hubport,hubid=0"),
        (None, None, "user,restrict=on"),
    ],
)
def test_networks(address: str | None, gateway: str | None, network: str) -> None:
    (card,) = cards(guest(nics=(nic(address, gateway),)))
    assert (card.mac, card.network, card.model) == ("00:16:3e:00:00:01", network, "virtio-net-pci")


def test_vlans_and_models() -> None:
    tagged = replace(nic(None), vlan=5)
    also = replace(nic("10.0.0.2/24", "10.0.0.1"), vlan=6, model=NicModel.E1000)
    two = replace(nic(None), dhcp4=False, addresses=(ip_interface("2001:db8::2/64"), ip_interface("10.0.0.2/24")))
    two = replace(two, gateways=(ip_address("2001:db8::1"), ip_address("10.0.0.1")), model=NicModel.VIRTIO)
    found = [(card.network.partition(",")[0], card.model) for card in cards(guest(nics=(tagged, also, two)))]
    assert found == [("hubport", "virtio-net-pci"), ("hubport", "e1000"), ("user", "virtio-net-pci")]
