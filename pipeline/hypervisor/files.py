"""Where the host that runs a guest has the guest's files."""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Paths on the host, as a hypervisor's configuration names them."""

    root: PurePosixPath
    swap: PurePosixPath | None
    kernel: PurePosixPath
    ramdisk: PurePosixPath | None

    @property
    def disks(self) -> tuple[PurePosixPath, ...]:
        """The disks in the order in which the guest has them: the first is the root disk."""
        return (self.root,) if self.swap is None else (self.root, self.swap)
