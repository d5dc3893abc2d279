"""Bad guest lists: every problem is one line, at its place, and none is left for the next run."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import guestlist
from pipeline.errors import GuestfarmError, ListError
from pipeline.guestlist.keys.guest import MAXMEM, ON_CRASH
from pipeline.guestlist.keys.hypervisor import Hypervisors
from pipeline.hypervisors import BY_NAME
from tests.hypervisors.fake import Fake

pytestmark = pytest.mark.unit

MIB = 1 << 20
HYPERVISORS: Hypervisors = {
    "xen": Fake("xen", BY_NAME["xen"].options),
    "libvirt": Fake("libvirt", BY_NAME["libvirt"].options),
    "qemu": Fake("qemu", BY_NAME["qemu"].options),
    "vmware": Fake("vmware", BY_NAME["vmware"].options),
    "other": Fake("other", unsupported_keys=(MAXMEM, ON_CRASH)),
}

# Guests start in line 5.
HEAD = """\
farm: example
masters: {debian: {bootstrap: {suite: bookworm}}}
defaults: {master: debian, network: {bridge: xenbr0, gateway: 10.0.0.1}}
guests:
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lists are named as by a user who is in their folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(text: str | bytes, needs: dict[str, int] | None = None) -> list[str]:
    path = Path("guests.yaml")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ListError) as caught:
        guestlist.load(path, needs or {}, hypervisors=HYPERVISORS)
    lines = str(caught.value).split("\n")
    assert len(lines) == len(caught.value.problems)
    assert all(line.startswith("guests.yaml:") for line in lines)
    return [line.removeprefix("guests.yaml:") for line in lines]


A_SIZE = "expected a size like 512M, found"
AN_ADDRESS = "expected an address with its prefix length like 10.0.0.11/24, found"
GUEST_KEYS = (
    "master, memory, maxmem, vcpus, maxvcpus, root, swap, disks, network, address, mac, users, roles, files, units,"
    " vars, host_keys, identity, timezone, locale, keyboard, hypervisors, kernel, ramdisk, extra, on_poweroff,"
    " on_reboot, on_crash, description, firmware, xen, libvirt, qemu, vmware, other"
)
A_GUEST = f"expected a mapping of {GUEST_KEYS}, found"
VCPUS = "expected a whole number from 1 to 4096, found"
NETWORK_KEYS = "use, bridge, address, gateway, routes, nameservers, search, dhcp6, accept_ra, mtu, vlan, model, mac"
A_NETWORK = f"expected a mapping of {NETWORK_KEYS}, a list of such, or none, found"
ARGUMENTS = "expected arguments for the kernel like quiet net.ifnames=0"
NO_FILE = "No such file or directory"
A_MASTER = "expected a mapping with one of bootstrap, tar, directory, image, oci, cloud, from, found"
NO_UNIT = "add a unit: B, K, M, G or T"
GUESTS = [
    # Values.
    ("  web3: {address: dhcp, memory: 12x}", [f"5:33: guest 'web3': memory: {A_SIZE} '12x'"]),
    ("  web3: {address: dhcp, memory: 512}", [f"5:33: guest 'web3': memory: {A_SIZE} '512'; {NO_UNIT}"]),
    ("  a: {address: dhcp, memory: }", [f"5:30: guest 'a': memory: {A_SIZE} nothing"]),
    ("  a: {address: dhcp, memory: ''}", [f"5:30: guest 'a': memory: {A_SIZE} ''"]),
    ("  a: {address: dhcp, memory: [1G]}", [f"5:30: guest 'a': memory: {A_SIZE} a list"]),
    ("  a: {address: dhcp, memory: {size: 1G}}", [f"5:30: guest 'a': memory: {A_SIZE} a mapping"]),
    ("  a: {address: dhcp, memory: 8M}", ["5:30: guest 'a': memory: expected a size from 16M to 16T, found '8M'"]),
    ("  a: {address: dhcp, memory: 17T}", ["5:30: guest 'a': memory: expected a size from 16M to 16T, found '17T'"]),
    (
        "  a: {address: dhcp, memory: 20000K}",
        ["5:30: guest 'a': memory: expected a multiple of 1M, found '20000K'; the next is 20M"],
    ),
    ("  a: {address: dhcp, vcpus: two}", [f"5:29: guest 'a': vcpus: {VCPUS} 'two'"]),
    ("  a: {address: dhcp, vcpus: 0}", [f"5:29: guest 'a': vcpus: {VCPUS} '0'"]),
    ("  a: {address: dhcp, vcpus: ٣}", [f"5:29: guest 'a': vcpus: {VCPUS} '٣'"]),
    ("  a: {address: dhcp, root: 2 GB}", [f"5:28: guest 'a': root: {A_SIZE} '2 GB'; write 2G"]),
    (
        "  a: {address: dhcp, root: {size: 1025K, fs: xfs, allocate: ful}}",
        [
            "5:35: guest 'a': root.size: expected a multiple of 1M, found '1025K'; the next is 2M",
            "5:46: guest 'a': root.fs: expected one of ext2, ext3, ext4, found 'xfs'",
            "5:61: guest 'a': root.allocate: expected one of sparse, full, found 'ful'; did you mean 'full'?",
        ],
    ),
    ("  a: {address: dhcp, root: 17T}", ["5:28: guest 'a': root: expected a size from 1M to 16T, found '17T'"]),
    ("  a: {address: dhcp, root: 512K}", ["5:28: guest 'a': root: expected a size from 1M to 16T, found '512K'"]),
    ("  a: {address: dhcp, swap: 17T}", ["5:28: guest 'a': swap: expected a size from 40K to 16T, found '17T'"]),
    ("  a: {address: dhcp, vcpus: 4097}", [f"5:29: guest 'a': vcpus: {VCPUS} '4097'"]),
    (
        "  a: {address: dhcp, root: [2G]}",
        ["5:28: guest 'a': root: expected a mapping of size, fs, allocate, or a size like 512M, found a list"],
    ),
    ("  a: {address: dhcp, swap: 36K}", ["5:28: guest 'a': swap: expected a size from 40K to 16T, found '36K'"]),
    (
        "  a: {address: dhcp, swap: 41K}",
        ["5:28: guest 'a': swap: expected a multiple of 4K, found '41K'; the next is 44K"],
    ),
    (
        "  a: {address: dhcp, swap: no}",
        ["5:28: guest 'a': swap: expected a size like 512M, or none, found 'no'; did you mean 'none'?"],
    ),
    ("  a: {address: dhcp, swap: [1G]}", [f"5:28: guest 'a': swap: {A_SIZE} a list"]),
    (
        "  a: {address: DHCP}",
        [f"5:16: guest 'a': address: {AN_ADDRESS[:-7]}, dhcp, next or none, found 'DHCP'; did you mean 'dhcp'?"],
    ),
    (
        "  a: {address: dhcp, hypervisors: [xen, other, xen]}",
        [
            "5:48: guest 'a': hypervisors: 'xen' is in the list already",
        ],
    ),
    (
        "  a: {address: dhcp, hypervisors: [xen, xne, vbox]}",
        [
            "5:41: guest 'a': there is no hypervisor 'xne'; did you mean 'xen'?",
            "5:46: guest 'a': there is no hypervisor 'vbox'; known: xen, libvirt, qemu, vmware, other",
        ],
    ),
    (
        "  a: {address: dhcp, hypervisors: vbox}",
        ["5:35: guest 'a': there is no hypervisor 'vbox'; known: xen, libvirt, qemu, vmware, other"],
    ),
    (
        "  a: {address: dhcp, hypervisors: []}",
        ["5:35: guest 'a': hypervisors: expected the name of a hypervisor like xen, or a list of such, found a list"],
    ),
    (
        "  a: {address: dhcp, kernel: boot/x, ramdisk: /boot/../y}",
        [
            "5:30: guest 'a': kernel: expected an absolute path without '..', found 'boot/x'",
            "5:47: guest 'a': ramdisk: expected an absolute path without '..', found '/boot/../y'",
        ],
    ),
    (
        "  a: {address: 10.0.0.11}",
        [f"5:16: guest 'a': address: {AN_ADDRESS} '10.0.0.11'; write 10.0.0.11/24 if its subnet is a /24"],
    ),
    ("  a: {address: 10.0.0.300/24}", [f"5:16: guest 'a': address: {AN_ADDRESS} '10.0.0.300/24'"]),
    (
        "  a: {network: {address: 10.0.0.255/24}}",
        [
            "5:26: guest 'a': network.address: 10.0.0.255 is the broadcast address of the subnet 10.0.0.0/24;"
            " choose an address inside it"
        ],
    ),
    (
        "  a: {address: dhcp, network: {bridge: a/b, nameservers: [x, 10.0.0.1/8]}}",
        [
            "5:40: guest 'a': network.bridge: expected the name of a bridge like xenbr0, found 'a/b';"
            " 1 to 15 letters, digits, '_', '.' and '-'",
            "5:59: guest 'a': network.nameservers: expected an IP address like 10.0.0.1, found 'x'",
            "5:62: guest 'a': network.nameservers: expected an IP address like 10.0.0.1, found '10.0.0.1/8';"
            " leave the prefix length out",
        ],
    ),
    (
        "  a: {address: dhcp, network: {nameservers: [10.0.0.2, 10.0.0.3, 10.0.0.2]}}",
        ["5:66: guest 'a': network.nameservers: '10.0.0.2' is in the list already"],
    ),
    (
        "  a: {address: dhcp, network: {nameservers: [10.0.0.2, *ns]}, mac: {a: *mac}}",
        [
            "5:56: guest 'a': network.nameservers: the alias '*ns' is not read here; use 'defaults' or a range",
            "5:72: guest 'a': mac.a: the alias '*mac' is not read here; use 'defaults' or a range",
        ],
    ),
    (
        "  a: {network: xenbr0}",
        [f"5:16: guest 'a': network: {A_NETWORK} 'xenbr0'"],
    ),
    (
        "  a: {address: dhcp, mac: 01:00:5E:00:00:01}",
        ["5:27: guest 'a': mac: 01:00:5e:00:00:01 is a multicast address, which no network card may have"],
    ),
    (
        "  a: {address: dhcp, mac: [00:16:3e:00:00:01]}",
        [
            "5:27: guest 'a': mac: expected a MAC address like 00:16:3e:12:34:56,"
            " or a mapping of a range's guests to such, found a list"
        ],
    ),
    # Keys and their places.
    ("  a: {address: dhcp, memroy: 1G}", ["5:22: guest 'a': unknown key 'memroy'; did you mean 'memory'?"]),
    ("  a: {address: dhcp, Memory: 1G}", ["5:22: guest 'a': unknown key 'Memory'; did you mean 'memory'?"]),
    ("  a: {address: dhcp, gateway: 10.0.0.1}", ["5:22: guest 'a': unknown key 'gateway'; it belongs into 'network'"]),
    (
        "  a: {address: dhcp, root: {sise: 1G}}",
        ["5:29: guest 'a': root: unknown key 'sise'; did you mean 'size'?"],
    ),
    (
        "  a: {address: dhcp, colour: red}",
        [f"5:22: guest 'a': unknown key 'colour'; known: {GUEST_KEYS}"],
    ),
    (
        "  a: {address: dhcp, memory: 1G, memory: 2G}",
        ["5:34: guest 'a': memory: given twice; the first is in line 5"],
    ),
    (
        "  a: {address: dhcp, network: {address: dhcp}}",
        ["5:41: guest 'a': network.address: given twice; the first is in line 5"],
    ),
    ("  a: 10.0.0.11/24", [f"5:6: guest 'a': {A_GUEST} '10.0.0.11/24'"]),
    ("  a: [memory]", [f"5:6: guest 'a': {A_GUEST} a list"]),
    ("  - a", ["5:3: guests: expected a mapping of names to guests, found a list"]),
    ("", ["4:8: guests: there are none; add one, as deb01: {address: 10.0.0.11/24}"]),
    # Names.
    (
        "  ../../etc: {address: dhcp}",
        [
            "5:3: guest '../../etc': '../../etc' is not a host name; write letters, digits and '-',"
            " and '.' between parts; no part starts or ends with '-' (RFC 1123)"
        ],
    ),
    (
        f"  {'a' * 64}: {{address: dhcp}}",
        [f"5:3: guest '{'a' * 64}': a name of 64 characters; a host name has at most 63"],
    ),
    (
        "  123: {address: dhcp}",
        ["5:3: guest '123': a name of digits alone, which xl takes for a domain ID; add a letter"],
    ),
    (
        "  a: {address: dhcp}\n  a: {address: dhcp}",
        ["6:3: guest 'a': given twice; the first is in line 5"],
    ),
    (
        "  a: {address: dhcp}\n  A: {address: dhcp}",
        [
            "6:3: guest 'A': the name is that of guest 'a' in line 5;"
            " upper and lower case are the same in host names (RFC 4343)"
        ],
    ),
    (
        "  web05: {address: dhcp}\n  web06: {address: dhcp}\n  web[01:20]: {address: dhcp}",
        ["7:3: guest 'web05': the name is that of guest 'web05' in line 5"],
    ),
    # What a guest needs, and what contradicts itself.
    (
        "  a: {}",
        [f"5:3: guest 'a': network.address is missing; give {AN_ADDRESS[9:-7]}, dhcp, next or none, or a list of such"],
    ),
    (
        "  a: {address: dhcp, master: debain}",
        ["5:30: guest 'a': there is no master 'debain'; did you mean 'debian'?"],
    ),
    (
        "  a: {address: dhcp, master: fedora}",
        ["5:30: guest 'a': there is no master 'fedora'; declare it under 'masters'"],
    ),
    (
        "  a: {network: none, address: 10.0.0.9/24}",
        ["5:31: guest 'a': an address needs a network; remove 'network: none' or the address"],
    ),
    (
        "  a: {address: 10.0.0.9/24, network: none}",
        ["5:16: guest 'a': an address needs a network; remove 'network: none' or the address"],
    ),
    (
        "  a: {network: none, mac: 00:16:3e:00:00:01}",
        ["5:27: guest 'a': a MAC address needs a network; give one, or remove the mac"],
    ),
    (
        "  a: {address: dhcp, ramdisk: /boot/initrd.img}",
        ["5:31: guest 'a': a ramdisk needs the kernel that it belongs to; give kernel: as well"],
    ),
    (
        "  a: {address: dhcp, kernel: none, ramdisk: /boot/initrd.img}",
        ["5:45: guest 'a': a ramdisk needs the kernel that it belongs to; give kernel: as well"],
    ),
    # What hypervisors are asked for.
    (
        "  a: {address: dhcp, xen: hvn, libvirt: {type: xen}, hypervisors: [xen, libvirt]}",
        [
            "5:27: guest 'a': xen: expected one of pv, pvh, hvm, found 'hvn'; did you mean 'hvm'?",
            "5:48: guest 'a': libvirt.type: expected one of kvm, qemu, found 'xen'",
        ],
    ),
    (
        "  a: {address: dhcp, xen: {device_names: hda1, on_crash: destroy}, on_crash: reboot}",
        [
            "5:42: guest 'a': xen.device_names: expected one of xvda1, sda1, found 'hda1'; did you mean 'sda1'?",
            "5:48: guest 'a': xen: unknown key 'on_crash'; known: type, device_names, boot",
            "5:78: guest 'a': on_crash: expected one of destroy, restart, preserve, coredump-destroy,"
            " coredump-restart, found 'reboot'",
        ],
    ),
    (
        "  a: {address: dhcp, hypervisors: other, xen: pv}",
        ["5:47: guest 'a': xen is not among its hypervisors; add it, or remove this"],
    ),
    (
        "  a: {address: dhcp, hypervisors: [xen, other], maxmem: 1G, on_crash: restart}",
        [
            "5:57: guest 'a': other has nothing like maxmem; say 'maxmem: none' for guests of other",
            "5:71: guest 'a': other has nothing like on_crash; say 'on_crash: destroy' for guests of other",
        ],
    ),
    (
        "  a: {address: dhcp, maxmem: 256M, maxvcpus: 2, vcpus: 4}",
        [
            "5:30: guest 'a': maxmem: 256M is less than memory, which is 512M; give more, or 'maxmem: none'",
            "5:46: guest 'a': maxvcpus: 2 is less than vcpus, which is 4; give more, or 'maxvcpus: none'",
        ],
    ),
    (
        "  a: {address: dhcp, on_poweroff: restart, on_reboot: destroy}",
        ["5:55: guest 'a': it would end by a reboot, and restart when it is powered off; swap the two"],
    ),
    (
        "  a: {address: dhcp, extra: \"quiet\\t\"}\n  b: {address: dhcp, extra: ''}",
        [
            f"5:29: guest 'a': extra: {ARGUMENTS}, found 'quiet\\t'; 900 printable ASCII characters at most",
            f"6:29: guest 'b': extra: {ARGUMENTS}, found ''; 900 printable ASCII characters at most",
        ],
    ),
    # The gateway.
    (
        "  a: {address: 10.0.1.11/24}",
        [
            "5:16: guest 'a': the gateway 10.0.0.1 is outside the subnet 10.0.1.0/24;"
            " give the guest a gateway of its own, or none"
        ],
    ),
    (
        "  a: {network: {address: 10.0.1.11/24, gateway: 10.0.2.1}}",
        ["5:49: guest 'a': the gateway 10.0.2.1 is outside the subnet 10.0.1.0/24"],
    ),
    (
        "  a: {network: {address: 2001:db8::9/64, gateway: 10.0.0.1}}",
        ["5:51: guest 'a': the gateway 10.0.0.1 is outside the subnet 2001:db8::/64"],
    ),
    (
        "  a: {network: {address: 2001:db8::9/64, gateway: 2001:db8:1::1}}",
        ["5:51: guest 'a': the gateway 2001:db8:1::1 is outside the subnet 2001:db8::/64"],
    ),
    (
        "  a: {network: {address: 10.0.0.9/24, gateway: 169.254.0.1}}",
        ["5:48: guest 'a': the gateway 169.254.0.1 is outside the subnet 10.0.0.0/24"],
    ),
    (
        "  a: {network: {address: 10.0.0.9/24, gateway: fe80::1}}",
        ["5:48: guest 'a': the gateway fe80::1 is outside the subnet 10.0.0.0/24"],
    ),
    (
        "  a: {address: 10.0.0.1/24}",
        [
            "5:16: guest 'a': the gateway 10.0.0.1 is the guest's own address;"
            " give the guest a gateway of its own, or none"
        ],
    ),
    (
        "  a: {network: {address: 10.0.0.9/24, gateway: 10.0.0.255}}",
        ["5:48: guest 'a': the gateway 10.0.0.255 is the broadcast address of the subnet 10.0.0.0/24"],
    ),
    (
        "  a: {network: {address: dhcp, gateway: 10.0.0.1}}",
        ["5:41: guest 'a': DHCP says what the gateway is; remove it, or give an address"],
    ),
    # What two guests share.
    (
        "  a: {address: 10.0.0.9/24}\n  b: {address: 10.0.0.9/16}\n  c: {network: {address: 10.0.0.9/24}}",
        [
            "6:16: guest 'b': its subnet 10.0.0.0/16 overlaps with 10.0.0.0/24 of guest 'a' in line 5;"
            " give both the same prefix length, as they are on bridge xenbr0",
            "6:16: guest 'b': the address 10.0.0.9 is that of guest 'a' in line 5; give another",
            "7:26: guest 'c': the address 10.0.0.9 is that of guest 'a' in line 5; give another",
        ],
    ),
    (
        "  a: {address: dhcp, mac: 00:16:3e:00:00:01}\n  b: {address: dhcp, mac: 00:16:3E:00:00:01}",
        [
            "6:27: guest 'b': the MAC address 00:16:3e:00:00:01 is that of guest 'a' in line 5;"
            " pin a free one, mac: 00:16:3e:1c:35:bf"
        ],
    ),
    (
        "  web00844: {address: dhcp}\n  web01378: {address: dhcp}",
        [
            "6:3: guest 'web01378': its derived MAC address 00:16:3e:10:08:b2 is that of guest 'web00844' in line 5;"
            " pin a free one, mac: 00:16:3e:0b:bf:a7"
        ],
    ),
    (
        "  web[05017:05039]: {address: dhcp}",
        [
            "5:3: guest 'web05039': its derived MAC address 00:16:3e:0b:81:c2 is that of guest 'web05017' in line 5;"
            " pin a free one, mac: {web05039: 00:16:3e:33:5e:e5}"
        ],
    ),
    # Ranges.
    (
        '  web[01:20]: {address: "10.0.0.[11:29]/24"}',
        [
            "5:25: guest 'web[01:20]': address: '10.0.0.[11:29]/24' has 19 values for 20 guests;"
            " make ranges equally long"
        ],
    ),
    (
        '  web1: {address: "10.0.0.[11:12]/24"}',
        ["5:19: guest 'web1': address: '10.0.0.[11:12]/24' has 2 values for 1 guest; make ranges equally long"],
    ),
    (
        '  web[01:20]: {address: "10.0.0.[11-30]/24"}',
        [
            "5:25: guest 'web[01:20]': address: expected one range of numbers like [01:20], found '10.0.0.[11-30]/24';"
            " write [first:last] in digits, once"
        ],
    ),
    (
        '  web[01:20]: {address: "10.0.0.[240:259]/24"}',
        [
            "5:25: guest 'web[01:20]': address: 10.0.0.255 is the broadcast address of the subnet 10.0.0.0/24;"
            " choose an address inside it"
        ],
    ),
    (
        '  web[01:20]: {address: "10.0.0.[01:20]/24"}',
        [f"5:25: guest 'web[01:20]': address: {AN_ADDRESS} '10.0.0.01/24'; write numbers without leading zeros"],
    ),
    (
        '  web[20:01]: {address: "10.0.0.[1:2]/24", memory: 1}',
        [
            "5:3: guest 'web[20:01]': the range [20:01] ends before it starts; write [01:20]",
            f"5:52: guest 'web[20:01]': memory: {A_SIZE} '1'; {NO_UNIT}",
        ],
    ),
    ('  web[1:3]: "10.0.0.[1:3]/24"', [f"5:13: guest 'web[1:3]': {A_GUEST} '10.0.0.1/24'"]),
    ('  web[1:3]: ["10.0.0.[1:3]/24"]', [f"5:13: guest 'web[1:3]': {A_GUEST} a list"]),
    (
        "  web_[1:3]: {address: dhcp}",
        [
            "5:3: guest 'web_[1:3]': 'web_1' is not a host name; write letters, digits and '-',"
            " and '.' between parts; no part starts or ends with '-' (RFC 1123)"
        ],
    ),
    (
        '  web[1:3]: {address: "10.0.1.[1:3]/24"}',
        [
            "5:23: guest 'web1': the gateway 10.0.0.1 is outside the subnet 10.0.1.0/24;"
            " give the guest a gateway of its own, or none"
        ],
    ),
    (
        "  web[1:3]: {address: 10.0.0.9/24, memory: 12x}",
        [
            "5:23: guest 'web2': the address 10.0.0.9 is that of guest 'web1' in line 5; give another",
            f"5:44: guest 'web[1:3]': memory: {A_SIZE} '12x'",
        ],
    ),
    (
        "  web[1:3]: {address: dhcp, mac: 00:16:3e:00:00:01}",
        [
            "5:34: guest 'web2': the MAC address 00:16:3e:00:00:01 is that of guest 'web1' in line 5;"
            " pin a free one, mac: {web2: 00:16:3e:22:39:49}"
        ],
    ),
    (
        "  web[1:3]: {address: dhcp, mac: {web1: 00:16:3e:00:00:01, web4: 00:16:3e:00:00:02, web2: x}}",
        [
            "5:91: guest 'web[1:3]': mac.web2: expected a MAC address like 00:16:3e:12:34:56, found 'x'",
        ],
    ),
    (
        "  web[1:3]: {address: dhcp, mac: {web1: 00:16:3e:00:00:01, web4: 00:16:3e:00:00:02}}",
        ["5:60: guest 'web[1:3]': mac: there is no guest 'web4' here; did you mean 'web3'?"],
    ),
    (
        "  a[1:65536]: {network: none}\n  b[1:3]: {network: none, vcpus: 0}\n  c: {vcpus: 0}",
        [
            "6:3: guest 'b[1:3]': the list has more than 65,536 guests; split the farm",
            "6:34: guest 'b[1:3]': vcpus: expected a whole number from 1 to 4096, found '0'",
        ],
    ),
    (  # a regular expression may try each of them, and then each again
        f"  a: {{network: none, users: {{root: {{sudo: '{'=' * 90_000}\\'}}}}}}",
        [
            "5:43: guest 'a': users.root.sudo: expected true, nopasswd, or what may follow a user in sudoers(5), found"
            f" '{'=' * 77}...'; write one like ALL=(www-data) NOPASSWD: /usr/bin/systemctl restart nginx",
        ],
    ),
    (
        "  a: {network: none}\n  b[1:65536]: {files: {" + ", ".join(f"/a{number}: b" for number in range(200)) + "}}",
        [
            "6:3: guest 'b[1:65536]': up to here the guests have more than 16,777,216 keys and values, the defaults'"
            " included; give roles what guests have in common, or split the farm",
        ],
    ),
    (
        "  a[1:65536]: {vars: {b: '[1:65536]', " + ", ".join(f"b{number}: c" for number in range(20)) + "}}",
        [
            "5:3: guest 'a[1:65536]': up to here the guests have more than 16,777,216 keys and values, the defaults'"
            " included; give roles what guests have in common, or split the farm",
        ],
    ),
]


@pytest.mark.parametrize(("guests", "lines"), GUESTS)
def test_a_bad_guest(guests: str, lines: list[str]) -> None:
    assert problems(f"{HEAD}{guests}\n") == lines


A_NAME = "a name of letters, digits, '-', '_' and '.'"
LISTS = [
    ("", [f"1:1: farm is missing; give {A_NAME}", "1:1: guests is missing; give a mapping of names to guests"]),
    ("# no\n", [f"1:1: farm is missing; give {A_NAME}", "1:1: guests is missing; give a mapping of names to guests"]),
    ("deb01\n", ["1:1: expected a mapping of farm, images, masters, networks, roles, defaults, guests, found 'deb01'"]),
    (
        "- deb01\n",
        ["1:1: expected a mapping of farm, images, masters, networks, roles, defaults, guests, found a list"],
    ),
    ("farm: f\nguests:\n", ["2:8: guests: there are none; add one, as deb01: {address: 10.0.0.11/24}"]),
    ("farm: f\nguests: *all\n", ["2:9: guests: the alias '*all' is not read here; use 'defaults' or a range"]),
    (
        "farm: f\nguests: {a: {}}\n",
        ["2:10: guest 'a': master is missing; give the name of a master, here or under 'defaults'"],
    ),
    (
        "farm: f\nguests: {a: {master: m}}\n",
        ["2:22: guest 'a': there is no master 'm'; declare it under 'masters'"],
    ),
    (
        "farm: my farm\nimages: images\ndefault: {}\nmasters: [m]\ndefaults: 512M\nguests: {a: {master: m}}\n",
        [
            f"1:7: farm: expected {A_NAME}, found 'my farm'; start with a letter or digit, 64 characters at most",
            "2:9: images: expected an absolute path without '..', found 'images'",
            "3:1: unknown key 'default'; did you mean 'defaults'?",
            "4:10: masters: expected a mapping of names to masters, found a list",
            f"5:11: defaults: {A_GUEST} '512M'",
        ],
    ),
]


@pytest.mark.parametrize(("text", "lines"), LISTS)
def test_a_bad_list(text: str, lines: list[str]) -> None:
    assert problems(text) == lines


RELATIVE = "paths are relative to the folder of the list"
MASTERS = [
    ("  m:", [f"3:5: master 'm': {A_MASTER} nothing"]),
    ("  m: bookworm", [f"3:6: master 'm': {A_MASTER} 'bookworm'"]),
    ("  m: {}", ["3:3: master 'm': made from nothing; give one of bootstrap, tar, directory, image, oci, cloud, from"]),
    (
        "  m: {kernel: /vmlinuz}",
        ["3:3: master 'm': made from nothing; give one of bootstrap, tar, directory, image, oci, cloud, from"],
    ),
    (
        "  m: {directory: ., bootstrap: {suite: sid}}",
        ["3:3: master 'm': made from bootstrap and directory; a master is made from one of them"],
    ),
    ("  m: {bootstrap: {}}", ["3:3: master 'm': bootstrap.suite is missing; give a suite like bookworm"]),
    (
        "  m: {from: n, packages: [-x], run: ['']}\n  n: {tar: guests.yaml}",
        [
            "3:27: master 'm': packages: expected the name of a Debian package, found '-x';"
            " lower case letters, digits, '+', '-', '.'; then perhaps :ARCHITECTURE, and =VERSION or /SUITE",
            "3:38: master 'm': run: expected a shell command, found ''",
        ],
    ),
    (
        "  m: {from: debain, packages: nginx}\n  debian: {tar: guests.yaml}",
        ["3:13: master 'm': from: there is no master 'debain'; did you mean 'debian'?"],
    ),
    (
        "  m: {from: a}\n  a: {from: b}\n  b: {from: a}\n  self: {from: self}",
        [
            "4:13: master 'a': from: it is its own parent: 'a' from 'b' from 'a';"
            " one of them has to start from something else",
            "6:16: master 'self': from: it is its own parent: 'self' from 'self';"
            " one of them has to start from something else",
        ],
    ),
    ("  m: {from: n, run: x}\n  n: {tar: no}", [f"4:12: master 'n': tar: 'no' cannot be used: {NO_FILE}; {RELATIVE}"]),
    (
        "  m: {from: n}\n  n: {from: o}\n  o: {image: guests.yaml}",
        [
            "4:13: master 'n': from: master 'o' is an image, which no master can be derived from;"
            " take its files out of it, and give them as `tar:` or `directory:`"
        ],
    ),
    (
        "  m: {tar: guests.yaml, packages: nginx}",
        [
            "3:35: master 'm': packages is for masters derived from another;"
            " give from: as well; a bootstrap's own belong into 'bootstrap'"
        ],
    ),
    ("  m: {cloud: no}", [f"3:14: master 'm': cloud: 'no' cannot be used: {NO_FILE}; {RELATIVE}"]),
    ("  m: {oci: no}", [f"3:12: master 'm': oci.folder: 'no' cannot be used: {NO_FILE}; {RELATIVE}"]),
    ("  m: {oci: guests.yaml}", [f"3:12: master 'm': oci.folder: 'guests.yaml' is not a folder; {RELATIVE}"]),
    ("  m: {oci: {tag: latest}}", ["3:3: master 'm': oci.folder is missing; give a path"]),
    (
        "  m: {oci: {folder: ., tag: ../x}}",
        [
            "3:29: master 'm': oci.tag: expected a tag like latest, found '../x';"
            " letters, digits, and '-._:@/+' between them"
        ],
    ),
    ("  m: {bootsrap: {suite: sid}}", ["3:7: master 'm': unknown key 'bootsrap'; did you mean 'bootstrap'?"]),
    ("  m: {suite: sid}", ["3:7: master 'm': unknown key 'suite'; it belongs into 'bootstrap'"]),
    (
        "  m: {bootstrap: sid}",
        [
            "3:18: master 'm': bootstrap: expected a mapping of suite, packages, mirror, components, keyring, variant,"
            " run, found 'sid'"
        ],
    ),
    (
        "  m: {bootstrap: {suite: -x, packages: [-o, nginx, nginx], mirror: ftp://x, components: [-a],"
        " variant: minibase}}",
        [
            "3:26: master 'm': bootstrap.suite: expected a suite like bookworm, found '-x'",
            "3:41: master 'm': bootstrap.packages: expected the name of a Debian package, found '-o';"
            " lower case letters, digits, '+', '-', '.'; then perhaps :ARCHITECTURE, and =VERSION or /SUITE",
            "3:52: master 'm': bootstrap.packages: 'nginx' is in the list already",
            "3:68: master 'm': bootstrap.mirror: expected the URL of a Debian mirror like http://mirror.example.org/debian,"
            " found 'ftp://x'; http, https, file or copy, without blanks",
            "3:90: master 'm': bootstrap.components: expected a component like main, found '-a'",
            "3:104: master 'm': bootstrap.variant: expected one of extract, custom, essential, apt, required, minbase,"
            " buildd, important, debootstrap, standard, found 'minibase'; did you mean 'minbase'?",
        ],
    ),
    (
        "  m: {bootstrap: {suite: sid, keyring: keys.gpg, run: ''}}",
        [
            f"3:40: master 'm': bootstrap.keyring: 'keys.gpg' cannot be used: No such file or directory; {RELATIVE}",
            "3:55: master 'm': bootstrap.run: expected a shell command, found ''",
        ],
    ),
    (
        "  m: {tar: root.tar}",
        [f"3:12: master 'm': tar: 'root.tar' cannot be used: No such file or directory; {RELATIVE}"],
    ),
    (
        "  m: {tar: /no/root.tar}",
        ["3:12: master 'm': tar: '/no/root.tar' cannot be used: No such file or directory"],
    ),
    ("  m: {tar: ''}", ["3:12: master 'm': tar: expected a path, found ''"]),
    ("  m: {tar: .}", [f"3:12: master 'm': tar: '.' is not a file; {RELATIVE}"]),
    ("  m: {directory: guests.yaml}", [f"3:18: master 'm': directory: 'guests.yaml' is not a folder; {RELATIVE}"]),
    (
        "  m: {image: guests.yaml/x}",
        [f"3:14: master 'm': image: 'guests.yaml/x' cannot be used: Not a directory; {RELATIVE}"],
    ),
    (
        "  m: {directory: ., kernel: boot/vmlinuz, initrd: /../x}",
        [
            "3:29: master 'm': kernel: expected an absolute path without '..', found 'boot/vmlinuz'",
            "3:51: master 'm': initrd: expected an absolute path without '..', found '/../x'",
        ],
    ),
    (
        "  m: {directory: .}\n  ../m: {tar: x}",
        [
            f"4:3: master '../m': expected {A_NAME}, found '../m'; start with a letter or digit, 64 characters at most",
            f"4:15: master '../m': tar: 'x' cannot be used: No such file or directory; {RELATIVE}",
        ],
    ),
]


@pytest.mark.parametrize(("masters", "lines"), MASTERS)
def test_a_bad_master(masters: str, lines: list[str]) -> None:
    assert problems(f"farm: f\nmasters:\n{masters}\nguests: {{a: {{master: m}}}}\n") == lines


DEFAULTS = [
    ("{master: m, memory: 12x}", [f"3:31: defaults: memory: {A_SIZE} '12x'"]),
    ("{master: m, mac: 00:16:3e:00:00:01}", ["3:28: defaults: mac belongs to a single guest; move it there"]),
    (
        "{master: m, address: 10.0.0.9/24, network: {bridge: b}}",
        ["3:32: defaults: network.address belongs to a single guest; move it there; 'dhcp' or 'next' may be said here"],
    ),
    (
        "{master: m, network: xenbr0}",
        [f"3:32: defaults: network: {A_NETWORK} 'xenbr0'"],
    ),
    (
        "{master: m, hypervisors: [xen, other], xen: pvh, maxmem: 1G}",
        ["3:68: defaults: other has nothing like maxmem; say 'maxmem: none' for guests of other"],
    ),
    (
        "{master: m, hypervisors: [xen, vbox]}",
        ["3:42: defaults: there is no hypervisor 'vbox'; known: xen, libvirt, qemu, vmware, other"],
    ),
    ("{master: n}", ["3:20: defaults: there is no master 'n'; declare it under 'masters'"]),
    (
        "{master: m, ramdisk: /x}",
        ["3:32: defaults: a ramdisk needs the kernel that it belongs to; give kernel: as well"],
    ),
    ("{master: m, memroy: 1G}", ["3:23: defaults: unknown key 'memroy'; did you mean 'memory'?"]),
]


def test_what_does_not_go_with_the_defaults_is_at_the_guest() -> None:
    head = "farm: f\nmasters: {m: {bootstrap: {suite: sid}}}\n"
    defaults = "{master: m, maxmem: 1G, on_reboot: destroy}"
    assert problems(f"{head}defaults: {defaults}\nguests: {{a: {{memory: 2G, on_poweroff: restart}}}}\n") == [
        "4:22: guest 'a': maxmem: 1G is less than memory, which is 2G; give more, or 'maxmem: none'",
        "4:39: guest 'a': it would end by a reboot, and restart when it is powered off; swap the two",
    ]


@pytest.mark.parametrize(("defaults", "lines"), DEFAULTS)
def test_what_is_wrong_with_the_defaults_is_said_once(defaults: str, lines: list[str]) -> None:
    head = "farm: f\nmasters: {m: {bootstrap: {suite: sid}}}\n"
    assert problems(f"{head}defaults: {defaults}\nguests: {{a: {{}}, b: {{}}, 'c[1:9]': {{}}}}\n") == lines


def test_a_root_disk_that_its_master_does_not_fit_into() -> None:
    text = """\
farm: f
masters: {debian: {bootstrap: {suite: sid}}, large: {bootstrap: {suite: sid}}}
defaults: {master: debian, root: {fs: ext3, size: 256M}}
guests:
  a: {}
  b: {root: 600M}
  c: {root: {size: 700M}}
  d: {master: large, root: {size: 4G}}
  e[1:9]: {root: 1M}
"""
    lines = problems(text, {"debian": 700 * MIB - 1, "large": (5 << 30) + 1})
    assert lines == [
        "3:51: defaults: root: 256M is too small for master 'debian', which needs at least 700M",
        "6:13: guest 'b': root: 600M is too small for master 'debian', which needs at least 700M",
        "8:35: guest 'd': root: 4G is too small for master 'large', which needs at least 5121M",
        "9:18: guest 'e1': root: 1M is too small for master 'debian', which needs at least 700M",
    ]
    text = "farm: f\nmasters: {m: {bootstrap: {suite: sid}}}\nguests: {a: {master: m}}\n"
    assert problems(text, {"m": 3 << 30}) == [
        "3:10: guest 'a': root: 2G is too small for master 'm', which needs at least 3G"
    ]


def test_every_problem_of_a_list_is_reported_at_once_in_the_order_of_the_file() -> None:
    text = """\
farm: example
imgaes: /opt/xen/images
masters:
  debian: {bootstrap: {suite: bookworm, packages: [openssh_server]}}
  legacy: {image: root.img, tar: root.tar}
defaults:
  master: debian
  memory: lots
  network: {bridge: xenbr0, gateway: 10.0.0.1}
guests:
  deb01: {address: 10.0.0.11/24, vcpus: none}
  deb02: &two {address: 10.0.0.11/24}
  deb03: {<<: *two, address: 10.0.9.13/24}
  deb04: {address: 10.0.0.14, mac: 00:16:3E:17:35:50}
  deb04: {address: 10.0.0.15/24}
  $(reboot): {address: 10.0.0.16/24, mac: 00:16:3e:17:35:50}
  web[01:20]:
    address: "10.0.0.[21:39]/24"
    root: {size: 3G, fs: zfs}
    swap: 1.5G
  db: {address: dhcp, master: lagacy, memory: 1G}
"""
    assert problems(text) == [
        "2:1: unknown key 'imgaes'; did you mean 'images'?",
        "4:52: master 'debian': bootstrap.packages: expected the name of a Debian package, found 'openssh_server';"
        " lower case letters, digits, '+', '-', '.'; then perhaps :ARCHITECTURE, and =VERSION or /SUITE",
        "5:3: master 'legacy': made from tar and image; a master is made from one of them",
        f"5:19: master 'legacy': image: 'root.img' cannot be used: No such file or directory; {RELATIVE}",
        f"5:34: master 'legacy': tar: 'root.tar' cannot be used: No such file or directory; {RELATIVE}",
        f"8:11: defaults: memory: {A_SIZE} 'lots'",
        "11:41: guest 'deb01': vcpus: expected a whole number from 1 to 4096, found 'none'",
        "12:10: guest 'deb02': the anchor '&two' is not read here; use 'defaults' or a range",
        "12:25: guest 'deb02': the address 10.0.0.11 is that of guest 'deb01' in line 11; give another",
        "13:11: guest 'deb03': the merge key '<<' is not read here; put what guests share under 'defaults'",
        "13:30: guest 'deb03': the gateway 10.0.0.1 is outside the subnet 10.0.9.0/24;"
        " give the guest a gateway of its own, or none",
        f"14:20: guest 'deb04': address: {AN_ADDRESS} '10.0.0.14'; write 10.0.0.14/24 if its subnet is a /24",
        "15:3: guest 'deb04': given twice; the first is in line 14",
        "16:3: guest '$(reboot)': '$(reboot)' is not a host name; write letters, digits and '-',"
        " and '.' between parts; no part starts or ends with '-' (RFC 1123)",
        "16:43: guest '$(reboot)': the MAC address 00:16:3e:17:35:50 is that of guest 'deb04' in line 14;"
        " pin a free one, mac: 00:16:3e:7a:32:48",
        "18:14: guest 'web[01:20]': address: '10.0.0.[21:39]/24' has 19 values for 20 guests; make ranges equally long",
        "19:26: guest 'web[01:20]': root.fs: expected one of ext2, ext3, ext4, found 'zfs'",
        f"20:11: guest 'web[01:20]': swap: {A_SIZE} '1.5G'; write 1536M",
        "21:31: guest 'db': there is no master 'lagacy'; did you mean 'legacy'?",
    ]


def test_a_syntax_error_is_reported_with_what_came_before() -> None:
    lines = problems("farm: f\nfarm: g\nguests:\n  a: {address: dhcp\n  b: {}\n")
    assert lines[0] == "2:1: farm: given twice; the first is in line 1"
    assert len(lines) == 2
    assert lines[1].startswith("5:4: guest 'a': not YAML: ")


def test_problems_name_the_file_as_the_user_did(folder: Path) -> None:
    path = folder / "site.yaml"
    path.write_text("farm: f\n")
    with pytest.raises(ListError) as caught:
        guestlist.load(path, hypervisors=None)
    assert str(caught.value) == f"{path}:1:1: guests is missing; give a mapping of names to guests"


def test_what_the_list_says_never_reaches_the_terminal_raw() -> None:
    lines = problems(
        """\
farm: f
masters: {"debian\\e": {directory: .}}
guests:
  "a\\e\\n": {"b\\e": "\\a", master: debian}
  c: {master: "\\u202e"}
"""
    )
    assert [line.partition(":")[0] for line in lines] == ["2", "4", "4", "4", "5"]
    assert all(line.isprintable() for line in lines)


GOOD = """\
farm: example
images: /opt/xen/images
masters: {debian: {bootstrap: {suite: bookworm, packages: [nginx]}}}
defaults: {master: debian, memory: 512M, root: {size: 2G, fs: ext4}, network: {bridge: xenbr0, gateway: 10.0.0.1}}
guests:
  deb01: {address: 10.0.0.11/24, mac: 00:16:3E:17:35:50}
  web[01:03]: {address: "10.0.0.[21:23]/24", mac: {web02: 00:16:3e:00:00:02}}
"""
POSITIONS = st.integers(0, len(GOOD))
PIECES = [
    "",
    " ",
    "\n",
    "\t",
    ":",
    "{",
    "}",
    "[",
    "]",
    "[1:2]",
    ",",
    "'",
    "#",
    "&a ",
    "*a",
    "none",
    "~",
    "-",
    "\0",
    "\x1b",
    "é",
]


@given(st.lists(st.tuples(POSITIONS, st.integers(0, 12), st.sampled_from(PIECES)), max_size=3))
def test_any_damage_to_a_list_gives_a_farm_or_lines_at_places_in_the_file(damage: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for start, length, piece in damage:
        text = text[:start] + piece + text[start + length :]
    path = Path("guests.yaml")
    path.write_bytes(text.encode())
    try:
        loaded = guestlist.load(path, hypervisors=None)
    except ListError as error:
        found = error.problems
    else:
        assert loaded.guests
        return
    assert found
    for problem in found:
        assert str(problem).isprintable()
        assert 1 <= problem.place.line <= text.count("\n") + 1


def test_a_missing_list_is_no_list_of_problems() -> None:
    with pytest.raises(GuestfarmError) as caught:
        guestlist.load(Path("missing.yaml"), hypervisors=None)
    assert not isinstance(caught.value, ListError)
    assert str(caught.value) == "missing.yaml: there is no such file; name the list with doit guests=FILE"
