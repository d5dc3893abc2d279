"""`doit mount` and `doit umount`: the disk of a guest that is down, as a folder of this host."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import doit

from pipeline.commands.disk import BUILT, DISK, find, store_of
from pipeline.commands.site_command import SiteCommand, chosen
from pipeline.errors import GuestfarmError, HostError
from pipeline.host import mount
from pipeline.host.offline import down
from pipeline.image.files.usage import check_idle

_WRITE = {
    "name": "write",
    "long": "rw",
    "type": bool,
    "default": False,
    "help": "mount it so that it can be written to",
}


class Mount(SiteCommand):
    """Mounts a guest's disk."""

    name = "mount"
    doc_purpose = "mount the disk of a guest that is down; read-only unless --rw. Needs root"
    doc_usage = "GUEST FOLDER"
    doc_description = "Set-user-ID, devices and programs have no effect there. doit umount ends it."
    cmd_options = (_WRITE, DISK, BUILT)
    takes_guests = True

    def _execute(self, write: bool, disk: str, built: bool, pos_args: list[str]) -> int:
        if len(pos_args) != 2:
            raise GuestfarmError("doit mount takes a guest and a folder", "as in: doit mount deb01 /mnt")
        mount.check_root()
        found = find(self.site, pos_args[0], disk, built=built)
        if write and not found.deployed:
            raise HostError(f"{found.image} is what doit built, and not to be written to", "mount it without --rw")
        point = _folder(pos_args[1])
        store = store_of(self.site)
        guest = self.site.farm.guests.get(found.guest)
        hypervisors = guest.hypervisors if guest else ()
        if found.deployed:
            store.check_own(store.get(found.guest))
        with down(store.folder, found.guest, [found.image], hypervisors) if found.deployed else nullcontext():
            if not found.deployed:
                check_idle(found.image)
            note = mount.mount(found.image, point, write=write)
        if note:
            print(f"warning: {note}", file=sys.stderr)
        how = "to be written to" if write else "read-only"
        self.outstream.write(f"{found} is at {point}, {how}; end it with: doit umount {found.guest}\n")
        return 0


class Umount(SiteCommand):
    """Unmounts guests' disks."""

    name = "umount"
    doc_purpose = "end what doit mount began"
    doc_usage = "GUEST | FOLDER ..."
    doc_description = "For a guest: wherever any of its disks is mounted."
    cmd_options = ()
    takes_guests = True

    def _execute(self, pos_args: list[str]) -> int:
        if not pos_args:
            raise GuestfarmError("doit umount takes guests and folders", "as in: doit umount deb01")
        mount.check_root()
        for each in [found for argument in pos_args for found in self._chosen(argument)]:
            mount.unmount(each.point)
            self.outstream.write(f"{each.image} is no longer at {each.point}\n")
        return 0

    def _chosen(self, argument: str) -> list[mount.Mount]:
        """What a guest or a folder stands for, the newest first."""
        ours = list(self._ours())[::-1]
        if "/" not in argument and argument not in (".", ".."):
            found = [each for each in ours if each.image.parent.name == argument]
            if not found and not _folder(argument).is_dir() and store_of(self.site).find(argument) is None:
                chosen(self.site.farm, [argument])
        else:
            found = []
        found = found or [each for each in ours if each.point == _folder(argument).resolve()][:1]
        if not found:
            raise HostError(f"no disk of a guest is mounted {'at' if '/' in argument else 'for'} {argument}")
        return found

    def _ours(self) -> Iterator[mount.Mount]:
        folders = {store_of(self.site).folder.resolve(), (self.site.build / "guests").resolve()}
        return (each for each in mount.mounts() if each.image.parent.parent.resolve() in folders)


def _folder(text: str) -> Path:
    return Path(doit.get_initial_workdir() or Path.cwd(), text)
