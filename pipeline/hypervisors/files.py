"""Where the host that runs a guest has the guest's files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline.model.sizes import MIB


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as a hypervisor sees it."""

    number: int
    """Its place among the guest's disks. Root has 0, swap 1, and the others follow, whether there is swap or not."""
    image: PurePosixPath
    name: str | None = None
    """What the list calls it; root and swap are known by their places."""
    read_only: bool = False


SEED = 20
"""The seed's place, which is after those of all other disks and of network cards, see pc.py: it moves none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Paths on the host, as a hypervisor's configuration names them."""

    root: PurePosixPath
    swap: PurePosixPath | None
    kernel: PurePosixPath
    ramdisk: PurePosixPath | None

    boot: PurePosixPath
    """The disk with a boot loader, where there is one."""
    header: PurePosixPath
    """What makes a whole disk of the root disk, where there is such."""
    header_size: int = MIB
    """In bytes."""

    others: Mapping[str, PurePosixPath] = field(default_factory=dict)
    """The disks besides root and swap, by name."""

    seed: PurePosixPath | None = None
    """The disk that tells cloud-init who the guest is, where that does."""
    seed_size: int = MIB
    """In bytes."""

    @property
    def disks(self) -> tuple[Disk, ...]:
        """The disks in the order in which the guest has them: the first is the root disk."""
        swap = () if self.swap is None else (Disk(1, self.swap),)
        others = (Disk(number, image, name) for number, (name, image) in enumerate(self.others.items(), start=2))
        seed = () if self.seed is None else (Disk(SEED, self.seed, "seed", read_only=True),)
        return (Disk(0, self.root), *swap, *others, *seed)
