"""`doit start`, `doit stop` and `doit console`: guests of this host, by its toolstack; `doit retire`: their end."""

import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase

from pipeline.commands.disk import belongs_to_others, store_of
from pipeline.commands.site_command import SiteCommand
from pipeline.errors import GuestfarmError, command, did_you_mean, quoted
from pipeline.host import lifecycle, retired
from pipeline.host.store import Store
from pipeline.host.toolstacks import UnknownStateError
from pipeline.model.guest import Guest
from pipeline.signals import INTERRUPTED
from pipeline.tasks import deployment

_CONSOLE = {
    "name": "attach",
    "short": "c",
    "long": "console",
    "type": bool,
    "default": False,
    "help": "attach this terminal to the guest's console then",
}
_TIMEOUT = {
    "name": "timeout",
    "short": "t",
    "long": "timeout",
    "type": int,
    "default": 120,
    "help": "seconds that guests have to shut down [default: %(default)s]",
}
_NOW = {
    "name": "now",
    "long": "now",
    "type": bool,
    "default": False,
    "help": "end them at once, as if their power failed",
}


class DomainCommand(SiteCommand):
    """A command for guests that are deployed, whether they are in the list or not."""

    takes_guests = True

    @property
    def store(self) -> Store:
        """The image store of this host."""
        return store_of(self.site)

    def own(self, names: list[str]) -> list[str]:
        """The same as known(), without guests that other farms have in the store: patterns do not stand for these.

        Raises GuestfarmError for one that is named.
        """
        found = []
        for name in self.known(names):
            there = self.store.find(name)
            if there is None or not belongs_to_others(self.store, there):
                found.append(name)
            elif name in names:
                self.store.check_own(there)
        if not found:
            raise GuestfarmError(f"no guest of farm '{self.site.farm.name}' matches {' '.join(map(quoted, names))}")
        return found

    def known(self, names: list[str]) -> list[str]:
        """The guests of list and store that `names` stand for, each once; * and ? are what they are to shells.

        Raises GuestfarmError for names that no guest has, and for none.
        """
        if not names:
            raise GuestfarmError("which guests?", f"doit {self.name} GUEST ...; '*' stands for all")
        guests = list(dict.fromkeys((*self.site.farm.guests, *self.store.guests())))
        found: dict[str, None] = {}
        for name in names:
            matches = [guest for guest in guests if fnmatchcase(guest, name)]
            if not matches:
                hint = did_you_mean(name, guests)
                raise GuestfarmError(f"no such guest in the list or in {self.store.folder}: {quoted(name)}", hint)
            found |= dict.fromkeys(matches)
        return list(found)

    def say(self, line: str) -> None:
        """Show a line to the user, before what comes next."""
        self.outstream.write(f"{line}\n")
        self.outstream.flush()

    def tried(self, names: Iterable[str], act: lifecycle.Say) -> list[str]:
        """Do `act` for each guest, and return those with which it succeeded; the others' errors are shown."""
        good = []
        told: set[str] = set()
        for name in names:
            try:
                act(name)
                good.append(name)
            except UnknownStateError as error:  # all guests of a toolstack have the same cause
                print(f"{name}: {error.short if error.cause in told else error}", file=sys.stderr)
                told.add(error.cause)
            except GuestfarmError as error:
                print(f"{name}: {error}", file=sys.stderr)
        return good

    def hypervisors(self, name: str) -> tuple[str, ...]:
        """Those that the list has for a guest; none for one that left the list."""
        guest = self.site.farm.guests.get(name)
        return tuple(guest.hypervisors) if guest else ()


class Start(DomainCommand):
    """Starts guests."""

    name = "start"
    doc_purpose = "start deployed guests, by xl or virsh"
    doc_usage = "[-c] GUEST ..."
    cmd_options = (_CONSOLE,)

    def _execute(self, attach: bool, pos_args: list[str]) -> int:
        names = self.own(pos_args)
        if attach and len(names) > 1:
            raise GuestfarmError(f"{len(names)} guests, and one terminal", "name one guest with -c")

        def start(name: str) -> None:
            guest = self.site.farm.guests.get(name)
            if lifecycle.start(self.store, name, self.hypervisors(name), self.say) and guest:
                self._tell_what_is_stale(guest)

        if self.tried(names, start) != names:
            return 1
        return lifecycle.console(self.store, names[0], self.hypervisors(names[0]), self.say) if attach else 0

    def _tell_what_is_stale(self, guest: Guest) -> None:
        there, tasks = self.store.get(guest.name), self.tasks
        built = deployment.built(self.site, guest, tasks)
        if changes := list(deployment.changes(guest, tasks, built, there)):
            self.say(f"{guest.name}: runs as it was deployed, and the list has changed since: {'; '.join(changes)}")


class Stop(DomainCommand):
    """Stops guests."""

    name = "stop"
    doc_purpose = "shut guests down, and wait until they are"
    doc_usage = "[-t SECONDS] [--now] GUEST ..."
    cmd_options = (_TIMEOUT, _NOW)

    def _execute(self, timeout: int, now: bool, pos_args: list[str]) -> int:
        names = self.own(pos_args)
        asked: list[str] = []

        def stop(name: str) -> None:
            if lifecycle.stop(self.store, name, self.hypervisors(name), self.say, now=now):
                asked.append(name)

        good = self.tried(names, stop)
        try:
            left = lifecycle.wait(self.store, {name: self.hypervisors(name) for name in asked}, timeout)
        except KeyboardInterrupt:
            print("interrupted; the guests were asked to shut down all the same", file=sys.stderr)
            return INTERRUPTED
        for name in left:
            hint = f"end it at once: {command('stop', '--now', name)}"
            print(f"{name}: is still up after {timeout} seconds; {hint}", file=sys.stderr)
        return 0 if good == names and not left else 1


class Console(DomainCommand):
    """Attaches to a guest's console."""

    name = "console"
    doc_purpose = "attach this terminal to the console of a guest"
    doc_usage = "GUEST"
    cmd_options = ()

    def _execute(self, pos_args: list[str]) -> int:
        names = self.own(pos_args)
        if len(names) > 1:
            raise GuestfarmError(f"{len(names)} guests, and one terminal", "name one guest")
        return lifecycle.console(self.store, names[0], self.hypervisors(names[0]), self.say)


class Retire(DomainCommand):
    """Sets the folders of guests aside that left the list."""

    name = "retire"
    doc_purpose = "move the folder of a guest that left the list aside"
    doc_usage = "GUEST ..."
    cmd_options = ()

    def _execute(self, pos_args: list[str]) -> int:
        names = self.own(pos_args)
        listed = [name for name in names if name in self.site.farm.guests]
        if listed:
            hint = "take it out of the list first; or, for new disks: doit redeploy"
            raise GuestfarmError(f"{', '.join(listed)}: still in the list", hint)
        good = self.tried(names, lambda name: self.say(f"{name}: is now {retired.retire(self.store, name)}"))
        return 0 if good == names else 1
