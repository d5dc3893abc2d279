"""What the build has of a guest, as the host takes it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.host.receipt import Inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What the build has of a guest. The files keep their names when they are deployed."""

    farm: str
    guest: str
    disks: Mapping[Path, Mapping[str, str]]
    """Each disk, and the digests of what it was made from by name, as a Receipt has them."""
    boot: tuple[Path, ...]
    """The kernel and its initrd; none if the guest boots one of the host's."""
    configs: tuple[Path, ...]
    modules: str | None
    """The digest of the master whose files are on the root disk."""
    inside: Inside = field(default_factory=Inside)
    """What is on the disks that the configurations have to fit."""
    bridges: Mapping[str, str] = field(default_factory=dict)
    """The bridge of each network card, by its MAC address, as the configurations have them."""
    looks_for: str | None = None
    """The UUID by which a configuration has the root file system found; None if all name it by its device."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The bytes of each disk that the list has a size for, by file name."""
    hypervisors: Collection[str] = ()
    """Those that the list has for the guest, by name."""
    sized: Collection[str] = ()
    """The names of the configurations that name sizes of disks."""
