"""Two farms whose guests are booted: the example, and variants of its master. Both are kept for the next time."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline import farm
from pipeline.farm.model import Guest
from pipeline.image.layer import Layer
from tests.boot import masters, qemu, report
from tests.machine import need_programs
from tests.pipeline.conftest import ROOT, Workshop

_KEPT = ROOT / "build/tests"

_VARIANTS = """\
    farm: variants
    masters:
      networkd: {tar: networkd.tar}
      busybox: {tar: busybox.tar}
    defaults:
      master: busybox
      memory: 256M
      root: 64M
      swap: 64M
      network: {bridge: xenbr0, gateway: 10.0.0.1, nameservers: [10.0.0.1, 10.0.0.2]}
    guests:
      networkd: {address: 10.0.0.30/24, master: networkd, memory: 512M, root: 2G}
      ext2: {address: 10.0.0.32/24, root: {size: 64M, fs: ext2}, swap: none}
      ext3: {address: 10.0.0.33/24, root: {size: 64M, fs: ext3, allocate: full}}
      ext4: {address: dhcp}
"""
_EXAMPLES, _NETWORKDS, _BUSYBOXES = ("deb01", "deb02"), ("networkd",), ("ext2", "ext3", "ext4")
_DEBIANS = (*_EXAMPLES, *_NETWORKDS)


@dataclass
class Boot:
    """A guest that was switched on: what the list says of it, and what it turns out to be."""

    guest: Guest
    machine: qemu.Machine

    @cached_property
    def facts(self) -> dict[str, str]:
        """What it said of itself before it powered off."""
        self.machine.wait()
        facts = report.read(self.machine.report)
        assert facts, f"there is no whole report from the guest:\n{self.machine.console}"
        return facts


@pytest.fixture(scope="session")
def example() -> Workshop:
    """The farm in guests.yaml, built of Debian's packages."""
    need_programs("mmdebstrap", "mke2fs", "mkswap")
    with _kept("example") as workshop:
        workshop.write_list((ROOT / "guests.yaml").read_text())
        workshop.doit()
    return workshop


@pytest.fixture(scope="session")
def variants(example: Workshop) -> Workshop:
    """A farm of guests that bring up their network, or have their disks, in other ways."""
    need_programs("busybox")
    debian = example.path("masters/debian/rootfs.tar")
    with _kept("variants") as workshop:
        workshop.write_list(_VARIANTS)
        masters.write_networkd(debian, workshop.folder / "networkd.tar")
        masters.write_busybox(debian, workshop.folder / "busybox.tar")
        workshop.doit()
    return workshop


@pytest.fixture(scope="session")
def debians(example: Workshop, variants: Workshop) -> Iterator[dict[str, Boot]]:
    """Guests with all of Debian. They run at the same time."""
    with ExitStack() as stack:
        boots = [_boot(example, name, report.for_debian) for name in _EXAMPLES]
        boots += [_boot(variants, name, report.for_debian) for name in _NETWORKDS]
        yield {boot.guest.name: boot for boot in map(stack.enter_context, boots)}


@pytest.fixture(scope="session")
def busyboxes(variants: Workshop) -> Iterator[dict[str, Boot]]:
    """Guests with BusyBox. They run at the same time."""
    with ExitStack() as stack:
        # There is no udev in them that would give network cards the names which those of Debian get.
        boots = [_boot(variants, name, report.for_busybox, "net.ifnames=0") for name in _BUSYBOXES]
        yield {boot.guest.name: boot for boot in map(stack.enter_context, boots)}


@pytest.fixture(params=_DEBIANS)
def debian(request: pytest.FixtureRequest, debians: dict[str, Boot]) -> Boot:
    """Each of the guests with Debian."""
    return debians[request.param]


@pytest.fixture(params=(*_DEBIANS, *_BUSYBOXES))
def boot(request: pytest.FixtureRequest) -> Boot:
    """Each of all the guests."""
    boots: dict[str, Boot] = request.getfixturevalue("debians" if request.param in _DEBIANS else "busyboxes")
    return boots[request.param]


@contextmanager
def _kept(name: str) -> Iterator[Workshop]:
    """A workshop that is still there next time. Test sessions that run side by side use it one after the other."""
    workshop = Workshop(_KEPT / name)
    workshop.folder.mkdir(parents=True, exist_ok=True)
    with (workshop.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copy(ROOT / "dodo.py", workshop.folder)
        yield workshop


@contextmanager
def _boot(
    workshop: Workshop, name: str, addition: Callable[[Guest], Layer], kernel_options: str = ""
) -> Iterator[Boot]:
    need_programs("qemu-system-x86_64", "e2fsck")
    guest = farm.load(workshop.folder / "guests.yaml").guests[name]
    domain = qemu.read(workshop.path(f"guests/{name}/{name}.cfg"))
    with (
        TemporaryDirectory(prefix="boot-", dir=_KEPT) as folder,
        qemu.running(domain, Path(folder), addition(guest), kernel_options) as machine,
    ):
        yield Boot(guest, machine)
