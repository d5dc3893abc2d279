"""What masters are, and the bases that are made of them."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from pipeline.model import sizes
from pipeline.model.disk import Allocation, FileSystem


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """A master made from Debian's packages, by mmdebstrap."""

    suite: str
    packages: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    keyring: Path | None = None
    variant: str = "minbase"
    run: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tar:
    """A master that is a root file system in a tar file: plain, gz, xz or zst."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A master that is a folder of the host."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A master that is an ext2, ext3 or ext4 image made by hand."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Oci:
    """A master that is an image of an OCI image layout, a folder."""

    path: Path
    tag: str | None = None
    """None: the only one for the processor of guests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A master that is the root file system of a whole disk, raw or qcow2, as clouds have them."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A master that is another one with more packages in it, or changed by commands."""

    parent: "Master"
    packages: tuple[str, ...] = ()
    run: tuple[str, ...] = ()


class Family(StrEnum):
    """Where a guest's system looks for its name, its clock and the like; of the network, its tool decides."""

    DEBIAN = "debian"
    REDHAT = "redhat"
    SUSE = "suse"
    GENERIC = "generic"
    """As systemd and BusyBox have it, where no distribution has its own way."""
    NONE = "none"
    """The same, and nothing of the network: the guest's own files say it."""


class Identity(StrEnum):
    """What tells a guest who it is: its name, network, users, and SSH host keys."""

    FILES = "files"
    """Files on its root disk, which are there before it boots."""
    CLOUD_INIT = "cloud-init"
    """cloud-init in it, by a seed: a small disk with what it is to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Master:
    """What guests' root file systems start from."""

    name: str
    source: "Source"
    kernel: PurePosixPath | None = None
    """The kernel inside the master; None: the one that /vmlinuz or /boot/vmlinuz leads to, else the newest."""
    initrd: PurePosixPath | None = None
    family: Family | None = None
    """None: what its os-release(5) says."""
    identity: Identity = Identity.FILES
    """Of guests that say nothing of theirs."""


Source = Bootstrap | Tar | Directory | Image | Oci | Cloud | Derived
"""What a master is made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """One populated root file system that many guests are clones of."""

    master: Master
    filesystem: FileSystem | None
    """None: the file system that an image master has."""
    size: int
    allocation: Allocation

    @property
    def name(self) -> str:
        """For people and for paths, as debian-ext4-2G; different for different bases."""
        parts = [self.master.name, self.filesystem or "image", sizes.format_size(self.size)]
        return "-".join(parts + ["full"] * (self.allocation is Allocation.FULL))
