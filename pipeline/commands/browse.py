"""`doit files`, `doit cat` and `doit get`: what is on a guest's disk, without mounting it."""

import stat
import sys
from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import ClassVar

import doit

from pipeline.commands.disk import BUILT, DISK, Found, find
from pipeline.commands.site_command import SiteCommand
from pipeline.errors import GuestfarmError, ImageError
from pipeline.host.offline import check_down
from pipeline.image import ext
from pipeline.image.ext import browse
from pipeline.image.ext.browse import Listed, escaped
from pipeline.image.ext.filesystem import FileSystem
from pipeline.image.files.usage import check_unused

_RECURSIVE = {
    "name": "recursive",
    "short": "R",
    "long": "recursive",
    "type": bool,
    "default": False,
    "help": "list what is in directories, too",
}
_NAMES = {
    "name": "names",
    "short": "1",
    "long": "names",
    "type": bool,
    "default": False,
    "help": "list names alone, one a line",
}
_LONG = {
    "name": "long",
    "short": "l",
    "long": "long",
    "type": bool,
    "default": False,
    "help": "list mode, owner, group, size and time of modification as well, as is done anyway",
}


class _LookCommand(SiteCommand):
    """A command that reads from a disk of a guest."""

    only_looks = True
    takes_guests = True
    doc_description = "Reads the deployed disk, else the built one, without mounting it, also while the guest runs."
    least: ClassVar[int]
    """How many arguments it needs."""

    def _read(self, disk: str, built: bool, arguments: Sequence[str]) -> int:
        if len(arguments) < self.least:
            raise GuestfarmError(f"too few arguments for doit {self.name}", f"use doit {self.name} {self.doc_usage}")
        found = find(self.site, arguments[0], disk, built=built)
        self.say(f"reading {found}")
        in_use = self._is_in_use(found)  # before we are one of those who have it open
        try:
            with ext.glance(found.image) as filesystem:
                if not in_use and not filesystem.is_clean:
                    self.say("warning: not cleanly unmounted: what only its journal has, the newest, is not seen")
                self.look(filesystem, arguments[1:])
        except OSError as error:
            if error.filename is None:  # the standard output
                raise
            raise ImageError(f"{error.filename}: {error.strerror}") from error
        return 0

    @abstractmethod
    def look(self, filesystem: FileSystem, arguments: Sequence[str]) -> None:
        """Do it, with the arguments after the guest."""

    def say(self, line: str) -> None:
        """Tell something about what is done, on standard error: the standard output may be somebody's file."""
        print(f"{self.name}: {line}", file=sys.stderr)

    def _is_in_use(self, found: Found) -> bool:
        """Whether somebody uses the disk, or may do so: then it is said."""
        try:
            if found.deployed:
                guest = self.site.farm.guests.get(found.guest)
                check_down(found.guest, [found.image], guest.hypervisors if guest else ())
            else:
                check_unused(found.image)
        except GuestfarmError as error:
            self.say(f"warning: {error.message}: what is read may be half written, and the newest may be missing")
            return True
        return False


class Files(_LookCommand):
    """Lists what is on a guest's disk."""

    name = "files"
    doc_purpose = "list files on a guest's disk"
    doc_usage = "GUEST [PATH ...]"
    cmd_options = (_RECURSIVE, _NAMES, _LONG, DISK, BUILT)
    least = 1

    def _execute(self, disk: str, built: bool, recursive: bool, names: bool, pos_args: list[str]) -> int:
        self._recursive, self._names = recursive, names
        return self._read(disk, built, pos_args)

    def look(self, filesystem: FileSystem, arguments: Sequence[str]) -> None:
        """List what is at each path, or everything in the root directory."""
        for path in arguments or ["/"]:
            for each in browse.listed(filesystem, path, recursive=self._recursive):
                self.outstream.write(escaped(each.path) + "\n" if self._names else _line(each))


class _ContentsCommand(_LookCommand):
    """A command that reads what files have in them."""

    cmd_options = (DISK, BUILT)

    def _execute(self, disk: str, built: bool, pos_args: list[str]) -> int:
        return self._read(disk, built, pos_args)


class Cat(_ContentsCommand):
    """Prints files of a guest's disk."""

    name = "cat"
    doc_purpose = "print files of a guest's disk"
    doc_usage = "GUEST PATH ..."
    least = 2

    def look(self, filesystem: FileSystem, arguments: Sequence[str]) -> None:
        """Print the bytes of each file, as they are."""
        for path in arguments:
            for chunk in filesystem.contents(path):
                sys.stdout.buffer.write(chunk)


class Get(_ContentsCommand):
    """Copies from a guest's disk to the host."""

    name = "get"
    doc_purpose = "copy files and directories from a guest's disk"
    doc_usage = "GUEST PATH ... DESTINATION"
    least = 3

    def look(self, filesystem: FileSystem, arguments: Sequence[str]) -> None:
        """Copy what is at each path into the folder that the last argument names, or to that name."""
        *paths, last = arguments
        destination = Path(doit.get_initial_workdir() or Path.cwd(), last)
        if len(paths) > 1 and not destination.is_dir():
            raise GuestfarmError(f"{last} is no folder", "several files are copied into a folder that is there")
        for path in paths:
            target = destination / _own_name(path) if destination.is_dir() else destination
            try:
                browse.copy_out(filesystem, path, target, self.say)
            except OSError as error:
                raise ImageError(f"{error.filename or target}: {error.strerror}") from error


def _own_name(path: str) -> str:
    name = PurePosixPath(path).name
    if name in ("", ".."):
        raise GuestfarmError(f"{path} has no name of its own", "name what is to be made, as ./deb01-root")
    return name


def _line(each: Listed) -> str:
    """As `ls -ln --time-style=long-iso` shows it, on one line whatever the name."""
    status = each.status
    when = datetime.fromtimestamp(status.mtime // 10**9).astimezone().strftime("%Y-%m-%d %H:%M")
    link = "" if each.target is None else f" -> {escaped(each.target)}"
    owner = f"{status.uid:>5} {status.gid:>5}"
    return f"{stat.filemode(status.mode)} {owner} {status.size:>10} {when} {escaped(each.path)}{link}\n"
