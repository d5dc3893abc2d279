"""Farms whose guests are booted: the example, variants of its master, and one of other network tools."""

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline import guestlist
from pipeline.boottest.boot import Place, Proof, run
from pipeline.boottest.checks import Check
from pipeline.boottest.inside import Facts
from pipeline.hypervisors import BY_NAME
from pipeline.model.guest import Guest
from pipeline.qemu.session import Limits
from tests.boot import masters, qemu
from tests.e2e.conftest import ROOT, Workshop
from tests.machine import need_programs

_VARIANTS = """\
    farm: variants
    masters:
      networkd: {tar: networkd.tar}
      busybox: {tar: busybox.tar}
      broken: {tar: broken.tar}
    defaults:
      master: busybox
      memory: 256M
      root: 64M
      swap: 64M
      extra: net.ifnames=0  # there is no udev in them that would give network cards the names which those of Debian get
      network: {bridge: xenbr0, gateway: 10.0.0.1, nameservers: [10.0.0.1, 10.0.0.2]}
    guests:
      networkd:
        network:
          - {address: 10.0.0.30/24}
          - bridge: xenbr1
            address: [10.7.0.30/24, 10.8.0.30/24, "2001:db8::30/64"]
            accept_ra: false
            routes: [{to: 10.9.0.0/16, via: 10.7.0.254}]
            mtu: 1400
            vlan: 10
        master: networkd
        units: {enable: getty@tty3, mask: apt-daily.timer}
        memory: 512M
        root: 2G
        host_keys: first-boot
        extra: none
      ext2: {address: 10.0.0.32/24, root: {size: 64M, fs: ext2}, swap: none}
      ext3:
        network: [{address: 10.0.0.33/24}, {bridge: xenbr1, address: [10.7.0.33/24, "2001:db8::33/64"]}]
        root: {size: 64M, fs: ext3, allocate: full}
      ext4: {address: dhcp, disks: {raw: {size: 1M, fs: none}, data: {size: 16M, fs: ext3, mount: /srv/the data}}}
      broken: {address: 10.0.0.35/24, master: broken}
"""
_TOOLS = """\
    farm: tools
    masters:
      debian: {tar: debian.tar}
      netplan: {tar: netplan.tar}
      networkmanager: {tar: networkmanager.tar}
    defaults:
      memory: 512M
      root: 2G
      swap: 64M
      network:
        - {bridge: xenbr0, gateway: 10.0.0.1, nameservers: [10.0.0.1, 10.0.0.2]}
        - bridge: xenbr1
          accept_ra: false
          routes: [{to: 10.9.0.0/16, via: 10.7.0.254}]
          mtu: 1400
          vlan: 10
    guests:
      ifupdown:
        master: debian
        network: [{address: 10.0.0.41/24}, {address: [10.7.0.41/24, 10.8.0.41/24, "2001:db8::41/64"]}]
      netplan:
        master: netplan
        network: [{address: 10.0.0.42/24}, {address: [10.7.0.42/24, 10.8.0.42/24, "2001:db8::42/64"]}]
      networkmanager:
        master: networkmanager
        network: [{address: 10.0.0.43/24}, {address: [10.7.0.43/24, 10.8.0.43/24, "2001:db8::43/64"]}]
"""
_PACKAGES = """\
    farm: packages
    masters:
      packages:
        bootstrap:
          suite: bookworm
          packages:
            [systemd-sysv, udev, kmod, iproute2, iputils-ping, netbase, openssh-server, netplan.io, network-manager,
             cloud-init]
    guests:
      packages: {master: packages, network: none}
"""
_EXAMPLES, _NETWORKDS = ("deb01", "deb02"), ("networkd",)
_OTHER_TOOLS = ("ifupdown", "netplan", "networkmanager")
_BUSYBOXES = ("ext2", "ext3", "ext4")
_DEBIANS = (*_EXAMPLES, *_NETWORKDS, *_OTHER_TOOLS)


@dataclass(frozen=True)
class Boot:
    """A guest that was booted: what the list says of it, and what it turned out to be."""

    guest: Guest
    domain: qemu.Domain
    proof: Proof

    @property
    def facts(self) -> Facts:
        """What it said of itself before it powered off."""
        assert self.proof.facts, f"there is no whole report from the guest:\n{self.console}"
        return self.proof.facts

    @property
    def console(self) -> str:
        """What the kernel and the system said."""
        return self.proof.session.console

    def check(self, name: str) -> Check:
        """What doit boot found."""
        (check,) = (check for check in self.proof.checks if check.name == name)
        return check


@pytest.fixture(scope="session")
def example() -> Iterator[Workshop]:
    """The farm in guests.yaml. Its master of Debian's packages is kept for the next time; the rest is built anew."""
    need_programs("mke2fs", "mkswap")
    with kept("example") as workshop:
        for kind in ("bases", "guests"):
            shutil.rmtree(workshop.path(kind), ignore_errors=True)
        shutil.copy(ROOT / "guests.yaml", workshop.folder)
        workshop.doit()
        yield workshop


@pytest.fixture(scope="session")
def debian_tar() -> Iterator[Path]:
    """The root file system of the example's master alone, kept as well."""
    with kept("example") as workshop:
        shutil.copy(ROOT / "guests.yaml", workshop.folder)
        workshop.doit("master:debian")
        yield workshop.path("masters/debian/rootfs.tar")


@pytest.fixture(scope="session")
def packages() -> Iterator[Path]:
    """The root file system of a master with other network tools, without a kernel. It is kept as well."""
    with kept("packages") as workshop:
        workshop.write_list(_PACKAGES)
        workshop.doit("master:packages")
        yield workshop.path("masters/packages/rootfs.tar")


@pytest.fixture(scope="session")
def scratch(example: Workshop) -> Iterator[Path]:
    """A folder beside the example, to which disks can be cloned at once, if they can be at all."""
    with TemporaryDirectory(prefix="boot-", dir=example.folder.parent) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def variants(example: Workshop, scratch: Path) -> Workshop:
    """A farm of guests that bring up their network, or have their disks, in other ways."""
    need_programs("busybox")
    debian = example.path("masters/debian/rootfs.tar")
    workshop = Workshop(scratch / "variants")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    workshop.write_list(_VARIANTS)
    masters.write_networkd(debian, workshop.folder / "networkd.tar")
    masters.write_busybox(debian, workshop.folder / "busybox.tar")
    masters.write_broken(debian, workshop.folder / "broken.tar")
    workshop.doit()
    return workshop


@pytest.fixture(scope="session")
def tools(example: Workshop, packages: Path, scratch: Path) -> Workshop:
    """A farm of guests that have one network tool each, and a VLAN on a second card."""
    debian = example.path("masters/debian/rootfs.tar")
    workshop = Workshop(scratch / "tools")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    workshop.write_list(_TOOLS)
    (workshop.folder / "debian.tar").symlink_to(debian)
    masters.write_netplan(packages, debian, workshop.folder / "netplan.tar")
    masters.write_networkmanager(packages, debian, workshop.folder / "networkmanager.tar")
    workshop.doit()
    return workshop


@pytest.fixture(scope="session")
def debians(example: Workshop, variants: Workshop, tools: Workshop, scratch: Path) -> dict[str, Boot]:
    """Guests with all of Debian. They run at the same time."""
    names = [(example, name) for name in _EXAMPLES] + [(variants, name) for name in _NETWORKDS]
    names += [(tools, name) for name in _OTHER_TOOLS]
    return _boots(names, scratch, _DEBIAN_FACTS)


@pytest.fixture(scope="session")
def busyboxes(variants: Workshop, scratch: Path) -> dict[str, Boot]:
    """Guests with BusyBox. They run at the same time."""
    return _boots([(variants, name) for name in _BUSYBOXES], scratch, {})


@pytest.fixture(params=_DEBIANS)
def debian(request: pytest.FixtureRequest, debians: dict[str, Boot]) -> Boot:
    """Each of the guests with Debian."""
    return debians[request.param]


@pytest.fixture(params=(*_NETWORKDS, *_OTHER_TOOLS))
def tool(request: pytest.FixtureRequest, debians: dict[str, Boot]) -> Boot:
    """Each of the guests with Debian that have one network tool each, and a VLAN on a second card."""
    return debians[request.param]


@pytest.fixture(params=(*_DEBIANS, *_BUSYBOXES))
def boot(request: pytest.FixtureRequest) -> Boot:
    """Each of all the guests."""
    boots: dict[str, Boot] = request.getfixturevalue("debians" if request.param in _DEBIANS else "busyboxes")
    return boots[request.param]


def _boots(names: Sequence[tuple[Workshop, str]], scratch: Path, more: Facts) -> dict[str, Boot]:
    need_programs("qemu-system-x86_64", "e2fsck")
    with ThreadPoolExecutor(len(names)) as pool:
        boots = list(pool.map(lambda each: _boot(each, scratch, more), names))
    return {boot.guest.name: boot for boot in boots}


def _boot(named: tuple[Workshop, str], scratch: Path, more: Facts) -> Boot:
    workshop, name = named
    guest = guestlist.load(workshop.folder / "guests.yaml", hypervisors=BY_NAME).guests[name]
    domain = qemu.read(workshop.path(f"guests/{name}/{name}.cfg"))
    place = Place(scratch / name, scratch / f"{name}.log")
    more = {**_facts(guest), **more}
    machine = domain.machine(guest)
    if name in _DEBIANS:  # another hypervisor may call the second card the first; without udev, that is what it is
        machine = replace(machine, cards=machine.cards[::-1])
    return Boot(guest, domain, run(guest, machine, place, Limits(qemu.DEADLINE), more=more))


@contextmanager
def kept(name: str) -> Iterator[Workshop]:
    """A workshop that stays for the next time. Test sessions that run side by side use it one after the other."""
    need_programs("mmdebstrap")
    workshop = Workshop(ROOT / "build/tests" / name)
    workshop.folder.mkdir(parents=True, exist_ok=True)
    with (workshop.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copy(ROOT / "dodo.py", workshop.folder)
        yield workshop


def _facts(guest: Guest) -> Facts:
    gateway = next(iter(guest.nics[0].gateways), qemu.GATEWAY_BY_DHCP)
    return {
        "routes": "ip route",
        "gateway": f"ping -c 1 {gateway} >/dev/null && echo answers",
        "resolver": "cat /etc/resolv.conf",
    }


_DEBIAN_FACTS = {
    "own address": "getent hosts $(hostname)",
    "check of the root file system": "journalctl --boot --output=cat --unit=systemd-fsck-root",
    "links": "ip -o link",
    "complaints of networkd": "journalctl --boot --output=cat --unit=systemd-networkd --priority=warning",
    "SSH socket": "systemctl is-active ssh.socket",
    "units": "systemctl is-enabled getty@tty3.service apt-daily.timer",
    "host keys": "for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done",
    "host keys for clients": "ssh-keyscan -T 60 localhost 2>/dev/null | ssh-keygen -lf -",
}
