"""The site: a farm, and the folder that its artifacts are built in."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pipeline.model.farm import Farm
from pipeline.model.guest import Guest
from pipeline.model.master import Base, Derived, Image, Master, Tar
from pipeline.model.virtualization import XenType
from pipeline.tasks.outline import Outline


class Site:
    """A farm, which may be one to be loaded when it is asked for, and where in `build` each of its artifacts is."""

    __slots__ = ("_farm", "_folder", "_narrowed", "_outline", "build", "keys", "text")

    def __init__(
        self,
        farm: Farm | Callable[[], Farm],
        build: Path,
        keys: Path,
        text: str = "",
        outline: Outline | Callable[[], Outline] | None = None,
    ) -> None:
        self._farm = farm
        self._outline = outline
        self._narrowed: Farm | None = None
        self._folder = f"{build / 'guests'}/"
        self.build = build
        self.keys = keys
        """Where guests' SSH host keys are, in a folder for each."""
        self.text = text
        """The list."""

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
        """The guests; where only some are of interest, as narrowed() says, these."""
        return (self._narrowed or self.farm).guests.values()

    @contextmanager
    def narrowed(self, excerpt: Farm) -> Iterator[None]:
        """In the block, only the guests of `excerpt` are of interest."""
        self._narrowed = excerpt
        try:
            yield
        finally:
            self._narrowed = None

    @property
    def outline(self) -> Outline:
        """What there is to know of all guests; for this the farm is not loaded, where it is known already."""
        if self._outline is None:
            self._outline = Outline.of(self.farm, self.text)
        elif not isinstance(self._outline, Outline):
            self._outline = self._outline()
        return self._outline

    @outline.setter
    def outline(self, outline: Outline) -> None:
        self._outline = outline

    @property
    def name(self) -> str:
        """The farm's name."""
        return self.outline.name

    @property
    def images(self) -> PurePosixPath:
        """Where the host that runs the guests keeps their disks."""
        return self.outline.images

    @property
    def bases(self) -> tuple[Base, ...]:
        """Every base that a guest asks for, once, in the order in which guests first ask."""
        return tuple(dict.fromkeys(share.base for share in self.outline.shares))

    @property
    def masters(self) -> tuple[Master, ...]:
        """The masters that guests start from, in the order in which they first do, and before each its parents."""
        return tuple(dict.fromkeys(master for base in self.bases for master in lineage(base.master)))

    @property
    def booted_masters(self) -> tuple[Master, ...]:
        """The masters whose own kernel guests boot."""
        return tuple(dict.fromkeys(share.base.master for share in self.outline.shares if share.boots_its_kernel))

    def xen_types(self, master: Master) -> tuple[XenType, ...]:
        """What the master's own kernel is under Xen, where guests boot it there."""
        shares = (share for share in self.outline.shares if share.base.master == master and share.boots_its_kernel)
        return tuple(sorted({share.xen_type for share in shares if share.xen_type} - {XenType.HVM}))  # which is a PC

    @property
    def known_as(self) -> list[tuple[str, ...]]:
        """For each guest that has host keys before it boots, its name and what else it is known as."""
        return [row.known_as for row in self.outline.rows if row.known_as is not None]

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
