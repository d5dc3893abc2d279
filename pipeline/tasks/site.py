"""The site: a farm, and the folder that its artifacts are built in."""

from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path, PurePosixPath

from pipeline import hypervisors
from pipeline.hypervisors import KernelNeed
from pipeline.model.farm import Farm
from pipeline.model.guest import Guest
from pipeline.model.master import Base, Derived, Image, Master, Tar


class Site:
    """A farm, which is read when it is asked for, and where in `build` each of its artifacts is."""

    def __init__(self, farm: Farm | Callable[[], Farm], build: Path, keys: Path) -> None:
        self._farm = farm
        self._folder = f"{build / 'guests'}/"
        self.build = build
        self.keys = keys
        """Where guests' SSH host keys are, in a folder for each."""

    def __getstate__(self) -> None:
        raise TypeError("a site may be a large farm: nothing is gained by keeping it elsewhere")

    @property
    def farm(self) -> Farm:
        """The farm."""
        if not isinstance(self._farm, Farm):
            self._farm = self._farm()
        return self._farm

    @property
    def guests(self) -> Collection[Guest]:
        """The guests, in the order of the list."""
        return self.farm.guests.values()

    @property
    def name(self) -> str:
        """The farm's name."""
        return self.farm.name

    @property
    def images(self) -> PurePosixPath:
        """Where the host that runs the guests keeps their disks."""
        return self.farm.images

    @cached_property
    def bases(self) -> tuple[Base, ...]:
        """Every base that a guest asks for, once, in the order in which guests first ask."""
        return self.farm.bases

    @cached_property
    def masters(self) -> tuple[Master, ...]:
        """The masters that guests start from, in the order in which they first do, and before each its parents."""
        return tuple(dict.fromkeys(master for base in self.bases for master in lineage(base.master)))

    @cached_property
    def booted_masters(self) -> tuple[Master, ...]:
        """The masters whose own kernel guests boot."""
        return tuple(dict.fromkeys(guest.base.master for guest in self.guests if guest.host_kernel is None))

    @property
    def has_host_keys(self) -> bool:
        """Whether guests have SSH host keys before they boot."""
        return any(guest.host_keys for guest in self.guests)

    def kernel_needs(self, master: Master) -> tuple[KernelNeed, ...]:
        """What the master's own kernel has to be built with, for guests that boot it directly."""
        needs = {
            need.kind: need
            for guest in self.guests
            if guest.base.master == master and guest.host_kernel is None
            for need in (hypervisors.BY_NAME[name].kernel_need(guest) for name in guest.hypervisors)
            if need is not None
        }
        return tuple(needs[kind] for kind in sorted(needs))

    def digest(self, master: Master) -> Path:
        """What the master holds, in a few words; it changes when the contents do."""
        return self.digest_of(master.name)

    def digest_of(self, name: str) -> Path:
        """The same, of the master that is called `name`."""
        return self.build / "masters" / name / "digest"

    def rootfs(self, master: Master) -> Path:
        """The tar file, or image, that the master's files are read from: the user's own, or one that we make."""
        if isinstance(master.source, Tar | Image):
            return master.source.path
        return self._master(master) / "rootfs.tar"

    def kernel(self, master: Master) -> Path:
        """The kernel that the master's guests boot."""
        return self._master(master) / "vmlinuz"

    def initrd(self, master: Master) -> Path:
        """The initrd that belongs to the kernel."""
        return self._master(master) / "initrd.img"

    def zero(self, base: Base) -> Path:
        """The base's zeros."""
        return self._base(base) / "zero.img"

    def formatted(self, base: Base) -> Path:
        """The base's empty file system."""
        return self._base(base) / "format.img"

    def populated(self, base: Base) -> Path:
        """The base itself, which guests' root disks are clones of."""
        return self._base(base) / "root.img"

    def guest(self, guest: Guest) -> Path:
        """The folder of all that is one guest's."""
        return Path(self._folder, guest.name)

    def file_of(self, guest: str, name: str) -> str:
        """The file `name` of a guest's, as text: to join paths takes longer than all else about ten thousand tasks."""
        return f"{self._folder}{guest}/{name}"

    def _master(self, master: Master) -> Path:
        return self.build / "masters" / master.name

    def _base(self, base: Base) -> Path:
        return self.build / "bases" / base.name


def lineage(master: Master) -> tuple[Master, ...]:
    """What the master is derived from, the eldest first, and the master itself."""
    above = lineage(master.source.parent) if isinstance(master.source, Derived) else ()
    return *above, master
