"""What a guest says of itself, compared with what the list says of it."""

from dataclasses import replace

import pytest

from pipeline.boottest import checks
from pipeline.model.network import Nic
from tests.guests import GUEST, MACHINE_ID, guest, nic

pytestmark = pytest.mark.unit

FACTS = {
    "host name": "deb01",
    "MAC addresses": "/sys/class/net/ens16/address:00:16:3e:00:00:01\n/sys/class/net/lo/address:00:00:00:00:00:00",
    "addresses": """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: ens16    inet 10.0.0.11/24 brd 10.0.0.255 scope global ens16\\       valid_lft forever
2: ens16    inet6 fe80::216:3eff:fe00:1/64 scope link \\       valid_lft forever""",
    "mounts": "rootfs / rootfs ro 0 0\n/dev/vda / ext4 rw,relatime,errors=remount-ro 0 0",
    "swaps": "Filename  Type  Size  Used  Priority\n/dev/vdb  partition  524284  0  -2",
    "machine ID": MACHINE_ID,
    "root device": "/dev/vda",
    "swap device": "/dev/vdb",
    "failed units": "",
}


def test_all_is_well() -> None:
    assert [(check.name, check.passed, check.found) for check in checks.of_report(GUEST, FACTS)] == [
        ("host name", True, "deb01"),
        ("address", True, "10.0.0.11/24 on 00:16:3e:00:00:01"),
        ("root", True, "/dev/vda, ext4, writable"),
        ("swap", True, "/dev/vdb of 512M"),
        ("machine ID", True, MACHINE_ID),
        ("units", True, "none failed"),
    ]


@pytest.mark.parametrize(
    ("changes", "name", "found"),
    [
        ({"host name": "(none)"}, "host name", "(none), not deb01"),
        ({"machine ID": ""}, "machine ID", f"none, not {MACHINE_ID}"),
        (
            {"addresses": FACTS["addresses"].replace("10.0.0.11", "10.0.0.12")},
            "address",
            "10.0.0.12/24 on 00:16:3e:00:00:01, not 10.0.0.11/24",
        ),
        (
            {"MAC addresses": FACTS["MAC addresses"].replace("00:01", "00:02")},
            "address",
            "none on 00:16:3e:00:00:01, not 10.0.0.11/24",
        ),
        ({"mounts": "/dev/vda / ext4 ro,relatime 0 0"}, "root", "/dev/vda ext4 is not writable: ro,relatime"),
        ({"mounts": "/dev/vdc / ext4 rw 0 0"}, "root", "/dev/vdc ext4, not /dev/vda"),
        ({"swaps": "Filename"}, "swap", "none, not 512M"),
        ({"swaps": "Filename\n/dev/vdc partition 524284 0 -2"}, "swap", "/dev/vdc of 512M, not 512M"),
        ({"swaps": "Filename\n/dev/vdb partition 1020 0 -2"}, "swap", "/dev/vdb of 1M, not 512M"),
        ({"failed units": "ssh.service loaded failed failed OpenBSD"}, "units", "failed: ssh.service"),
    ],
)
def test_something_is_not_well(changes: dict[str, str], name: str, found: str) -> None:
    failed = [check for check in checks.of_report(GUEST, FACTS | changes) if not check.passed]
    assert [(check.name, check.passed, check.found) for check in failed] == [(name, False, found)]


def test_a_device_that_cannot_be_told() -> None:
    facts = FACTS | {"root device": "sh: findfs: not found", "swap device": "sh: findfs: not found"}
    assert all(check.passed for check in checks.of_report(GUEST, facts))


def test_no_swap_is_none() -> None:
    assert [check.passed for check in checks.of_report(guest(swap=None), FACTS) if check.name == "swap"] == [False]
    without = FACTS | {"swaps": "Filename"}
    assert all(check.passed for check in checks.of_report(guest(swap=None), without))


@pytest.mark.parametrize(
    ("card", "passed", "found"),
    [
        (nic(None), True, "10.0.0.11/24 by DHCP on 00:16:3e:00:00:01"),
        (replace(nic(None), vlan=5), None, "nobody answers DHCP in VLAN 5 here, on 00:16:3e:00:00:01"),
        (
            replace(nic(None), dhcp4=False, dhcp6=True),
            None,
            "nobody gives IPv6 addresses by DHCP here, on 00:16:3e:00:00:01",
        ),
    ],
)
def test_addresses_by_dhcp(card: Nic, passed: bool | None, found: str) -> None:
    (check,) = (check for check in checks.of_report(guest(nics=(card,)), FACTS) if check.name == "address")
    assert (check.passed, check.found) == (passed, found)


def test_addresses_of_a_vlan() -> None:
    facts = FACTS | {
        "MAC addresses": "\n".join(f"/sys/class/net/{card}/address:00:16:3e:00:00:01" for card in ("eth0", "eth0.5")),
        "addresses": "3: eth0.5@eth0    inet 10.0.0.11/24 scope global eth0.5",
    }
    assert all(check.passed for check in checks.of_report(GUEST, facts))
