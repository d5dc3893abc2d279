"""Which disk of a guest a command is about: the deployed one if there is one, else the one that is built."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.commands.site_command import chosen
from pipeline.errors import GuestfarmError, HostError, did_you_mean, quoted
from pipeline.host.store import Deployed, Store
from pipeline.tasks import Site

DISK = {
    "name": "disk",
    "long": "disk",
    "type": str,
    "default": "root",
    "help": "which of the guest's disks [default: %(default)s]",
}
BUILT = {
    "name": "built",
    "long": "built",
    "type": bool,
    "default": False,
    "help": "the disk in build/, even if the guest is deployed",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A disk, and where it is."""

    guest: str
    image: Path
    deployed: bool

    def __str__(self) -> str:
        return f"{self.image}, as {'deployed' if self.deployed else 'built'}"


def store_of(site: Site) -> Store:
    """The image store of the host, as the list names it."""
    return Store(Path(site.farm.images), site.farm.name)


def belongs_to_others(store: Store, there: Deployed) -> bool:
    """Whether a guest's folder is known to belong to another farm or guest."""
    try:
        return store.owner(there) is not None
    except HostError:  # the receipt is damaged, which is told where it matters
        return False


def find(site: Site, name: str, disk: str, *, built: bool) -> Found:
    """The disk called `disk` of the guest `name`, in the list or just deployed; with `built`, the one in build/.

    Raises GuestfarmError if there is none.
    """
    deployed = None if built or "*" in name or "?" in name else store_of(site).find(name)
    if deployed is not None:
        return Found(name, _pick(deployed.disks, disk, name), deployed=True)
    guest, *others = chosen(site.farm, [name])
    if others:
        raise GuestfarmError(f"{name} is more than one guest", "name one")
    folder = site.guest(guest)
    names = ["root", *["swap"] * (guest.swap is not None), *(each.name for each in guest.disks)]
    image = _pick({each: folder / f"{each}.img" for each in names}, disk, guest.name)
    if not image.exists():
        raise GuestfarmError(f"{image} is not built yet", "run doit first")
    return Found(guest.name, image, deployed=False)


def _pick(disks: Mapping[str, Path], disk: str, guest: str) -> Path:
    if disk not in disks:
        known = did_you_mean(disk, disks) or f"it has {', '.join(disks) or 'none'}"
        raise GuestfarmError(f"guest '{guest}' has no disk {quoted(disk)}", known)
    return disks[disk]
