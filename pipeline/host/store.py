"""The image store: the folder in which the host keeps its guests' files, a folder for each guest, and who is there."""

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import process
from pipeline.errors import GuestfarmError, HostError, command, quoted
from pipeline.guestlist.keys.names import parse_guest_name
from pipeline.host import receipt
from pipeline.host.disk_uuid import uuid_of
from pipeline.host.receipt import Receipt
from pipeline.model.identity import root_uuid

REPLACED, RETIRED = "replaced", "retired"
"""Why a guest's folder was set aside."""

_ASIDE = re.compile(rf"(?P<guest>.+)\.(?P<why>{REPLACED}|{RETIRED})-(?P<when>[0-9-]{{10}}_[0-9]{{6}}(?:_[0-9]+)?)")
"""NAME.replaced-2026-11-24_224518: with an underscore, which no guest's name has."""

_DISK = re.compile(r"(?!initrd|initramfs)(?P<name>[^.].*)\.img")


@dataclass(frozen=True, slots=True)
class Deployed:
    """A guest's files on the host."""

    name: str
    folder: Path

    @property
    def receipt(self) -> Receipt | None:
        """What was deployed here; None if that was not Guestfarm's work. Raises HostError if it is damaged."""
        return Receipt.read(self.folder)

    @property
    def disks(self) -> Mapping[str, Path]:
        """Its disks that are there, by name: the file NAME.img each; root and swap come first. Raises HostError."""
        names = {match["name"]: path for path in self.files if (match := _DISK.fullmatch(path.name))}
        first = [name for name in ("root", "swap") if name in names]
        return {name: names[name] for name in [*first, *sorted(names.keys() - first)]}

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is in its folder, but for what is hidden. Raises HostError."""
        with host_errors(self.folder):
            return tuple(sorted(path for path in self.folder.iterdir() if not path.name.startswith(".")))


@dataclass(frozen=True, slots=True)
class Aside:
    """A guest's folder that was set aside, with all that the guest had on its disks."""

    guest: str
    why: str
    """REPLACED or RETIRED."""
    when: str
    """The moment in UTC, as 2026-11-24_224518."""
    folder: Path

    @property
    def age(self) -> timedelta:
        """How long ago that was."""
        return datetime.now(UTC) - datetime.strptime(self.when[:17], "%Y-%m-%d_%H%M%S").replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Store:
    """The image store at `folder`, which need not be there."""

    folder: Path
    farm: str | None = None
    """The farm whose guests are looked for; None: those of any farm."""

    def prepare(self) -> None:
        """Make the folder, if only that itself is missing. Raises HostError.

        A store that is to be a file system of its own and is not mounted is not made: guests would fill another one.
        """
        with host_errors(self.folder):
            if missing := _unmounted(self.folder):
                hint = f"mount {shlex.quote(str(missing))}"
                raise HostError(f"{self.folder}: {missing} is in /etc/fstab, and is not mounted", hint)
            if not self.folder.is_dir() and not self.folder.parent.is_dir():
                hint = f"is it to be mounted? Or make it: mkdir -p {shlex.quote(str(self.folder))}"
                raise HostError(f"{self.folder}: the image store is not there, nor is the folder above it", hint)
            self.folder.mkdir(exist_ok=True)

    def place(self, guest: str) -> Path:
        """Where the files of `guest` are, or would be."""
        return self.folder / guest

    def find(self, guest: str) -> Deployed | None:
        """What is there of `guest`, in the list or not. Raises HostError for what is there and no folder."""
        place = self.place(guest)
        with host_errors(place):
            if place.is_dir():
                return Deployed(guest, place)
            if place.exists() or place.is_symlink():
                raise HostError(f"{place} is not a folder, as that of a guest would be", "move it away")
        return None

    def get(self, guest: str) -> Deployed:
        """The same, of a guest that must be there. Raises HostError."""
        found = self.find(guest)
        if found is None:
            raise HostError(
                f"guest '{guest}' is not deployed: there is no {self.place(guest)}", command("deploy", guest)
            )
        return found

    def owner(self, there: Deployed) -> str | None:
        """Whose folder this is, in words, if it was deployed for another farm or another guest. Raises HostError.

        Receipts of earlier versions do not name the farm. From its name and the guest's follows the UUID of the root
        file system, which is on record in digest, and on the disk.
        """
        known = there.receipt
        if self.farm is None or known is None:
            return None
        if known.farm is not None:
            if (known.farm, known.guest) == (self.farm, there.name):
                return None
            farm = [] if known.farm == self.farm else [f"farm {quoted(known.farm)}"]
            guest = [] if known.guest == there.name else [f"guest {quoted(known.guest or '?')}"]
            return " of ".join([*guest, *farm])
        expected = str(root_uuid(self.farm, there.name))
        recorded = known.disks.get("root.img", {}).get("root UUID")
        if recorded == receipt.digest(expected):
            return None
        found = uuid_of(there.disks["root"]) if "root" in there.disks else None
        return None if found == expected or (found is None and recorded is None) else "another farm or guest"

    def check_own(self, there: Deployed) -> None:
        """Raise HostError if the folder was deployed for another farm or another guest."""
        if owner := self.owner(there):
            raise HostError(
                f"{there.folder} belongs to {owner}, not to guest '{there.name}' of farm '{self.farm}'",
                "look at 'farm:' and 'images:' in the list",
            )

    def guests(self) -> Mapping[str, Deployed]:
        """All guests that are there, by name, in the list or not; none without the folder. Raises HostError."""
        names = sorted(path.name for path in self._folders() if _is_guest(path.name))
        return {name: Deployed(name, self.place(name)) for name in names}

    def aside(self) -> list[Aside]:
        """The folders of guests that were replaced or retired, in the order of names. Raises HostError."""
        matches = [(match, path) for path in sorted(self._folders()) if (match := _ASIDE.fullmatch(path.name))]
        return [Aside(match["guest"], match["why"], match["when"], path) for match, path in matches]

    def _folders(self) -> list[Path]:
        with host_errors(self.folder):
            try:
                return [path for path in self.folder.iterdir() if path.is_dir()]
            except FileNotFoundError:
                return []


def _unmounted(folder: Path) -> Path | None:
    """The mount point at `folder` or above it that /etc/fstab has, see fstab(5), and that nothing is mounted at."""
    listed = process.run(["findmnt", "--fstab", "--noheadings", "--list", "--output", "TARGET"], codes=(0, 1)).stdout
    points = {Path(line.strip()) for line in listed.splitlines()}
    absolute = folder.absolute()
    return next((place for place in (absolute, *absolute.parents) if place in points and not place.is_mount()), None)


def _is_guest(name: str) -> bool:
    try:
        parse_guest_name(name)
    except GuestfarmError:
        return False
    return True


@contextmanager
def host_errors(place: Path) -> Iterator[None]:
    """OSErrors of the block, at `place` where they name no file, as HostError."""
    try:
        yield
    except OSError as error:
        raise HostError(f"{error.filename or place}: {error.strerror}") from error
