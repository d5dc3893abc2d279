"""What the build has of a guest, as the host takes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What the build has of a guest. The files keep their names when they are deployed."""

    guest: str
    disks: Mapping[Path, Mapping[str, str]]
    """Each disk, and the digests of what it was made from by name, as a Receipt has them."""
    boot: tuple[Path, ...]
    """The kernel and its initrd; none if the guest boots one of the host's."""
    configs: tuple[Path, ...]
    modules: str | None
    """The digest of the master whose files are on the root disk."""
