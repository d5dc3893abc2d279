"""Two farms whose guests are booted: the example, and variants of its master."""

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
      ext4: {address: dhcp, disks: {raw: {size: 1M, fs: none}, data: {size: 16M, fs: ext3, mount: /srv/the data}}}
"""
_EXAMPLES, _NETWORKDS, _BUSYBOXES = ("deb01", "deb02"), ("networkd",), ("ext2", "ext3", "ext4")
_DEBIANS = (*_EXAMPLES, *_NETWORKDS)


@dataclass
class Boot:
    """A guest that was switched on: what the list says of it, and what it turns out to be."""

    guest: Guest
    domain: qemu.Domain
    machine: qemu.Machine

    @cached_property
    def facts(self) -> dict[str, str]:
        """What it said of itself before it powered off."""
        self.machine.wait()
        facts = report.read(self.machine.report)
        assert facts, f"there is no whole report from the guest:\n{self.machine.console}"
        return facts


@pytest.fixture(scope="session")
def example() -> Iterator[Workshop]:
    """The farm in guests.yaml. Its master of Debian's packages is kept for the next time; the rest is built anew.

    Test sessions that run side by side use it one after the other.
    """
    need_programs("mmdebstrap", "mke2fs", "mkswap")
    workshop = Workshop(ROOT / "build/tests/example")
    workshop.folder.mkdir(parents=True, exist_ok=True)
    with (workshop.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for kind in ("bases", "guests"):
            shutil.rmtree(workshop.path(kind), ignore_errors=True)
        shutil.copy(ROOT / "dodo.py", workshop.folder)
        shutil.copy(ROOT / "guests.yaml", workshop.folder)
        workshop.doit()
        yield workshop


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
    workshop.doit()
    return workshop


@pytest.fixture(scope="session")
def debians(example: Workshop, variants: Workshop, scratch: Path) -> Iterator[dict[str, Boot]]:
    """Guests with all of Debian. They run at the same time."""
    with ExitStack() as stack:
        boots = [_boot(example, name, scratch, report.for_debian) for name in _EXAMPLES]
        boots += [_boot(variants, name, scratch, report.for_debian) for name in _NETWORKDS]
        yield {boot.guest.name: boot for boot in map(stack.enter_context, boots)}


@pytest.fixture(scope="session")
def busyboxes(variants: Workshop, scratch: Path) -> Iterator[dict[str, Boot]]:
    """Guests with BusyBox. They run at the same time."""
    with ExitStack() as stack:
        # There is no udev in them that would give network cards the names which those of Debian get.
        boots = [_boot(variants, name, scratch, report.for_busybox, "net.ifnames=0") for name in _BUSYBOXES]
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
def _boot(
    workshop: Workshop, name: str, scratch: Path, addition: Callable[[Guest], Layer], kernel_options: str = ""
) -> Iterator[Boot]:
    need_programs("qemu-system-x86_64", "e2fsck")
    guest = farm.load(workshop.folder / "guests.yaml").guests[name]
    domain = qemu.read(workshop.path(f"guests/{name}/{name}.cfg"))
    folder = scratch / name
    folder.mkdir()
    with qemu.running(domain, folder, addition(guest), kernel_options) as machine:
        yield Boot(guest, domain, machine)
