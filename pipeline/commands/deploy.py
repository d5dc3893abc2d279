"""`doit deploy` installs guests in the image store of this host; `doit redeploy` makes the disks of some anew."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.commands.build import PROCESS, build, unfinished
from pipeline.commands.disk import store_of
from pipeline.commands.site_command import SiteCommand
from pipeline.errors import GuestfarmError, command, counted
from pipeline.host import deploy, fit
from pipeline.host.built import Built
from pipeline.host.staging import Owner
from pipeline.host.store import Deployed, Store
from pipeline.host.update import Outcome
from pipeline.image.files import sparse
from pipeline.model.guest import Guest
from pipeline.model.sizes import approximate_size
from pipeline.signals import INTERRUPTED
from pipeline.tasks import deployment
from pipeline.tasks.guest import names

_OWNER = {
    "name": "owner",
    "long": "owner",
    "type": str,
    "default": "",
    "help": "USER or USER:GROUP that new disks belong to, as libvirt-qemu",
}
_ADOPT = {
    "name": "adopt",
    "long": "adopt",
    "type": bool,
    "default": False,
    "help": "also give guests that were made by hand, or changed inside, their configuration from the list",
}
_FOREIGN = {
    "name": "foreign",
    "long": "foreign",
    "type": bool,
    "default": False,
    "help": "also replace guests of other farms that have these names",
}
_MOST_NAMES = 10
"""Guests that are named in one line."""

_YES = {
    "name": "yes",
    "long": "yes",
    "type": bool,
    "default": False,
    "help": "do it without asking",
}


class _Installs(SiteCommand):
    """A command that builds guests, and then installs what was built, guest after guest."""

    takes_guests = True
    _stale: dict[str, list[str]]
    """What is not as the list says on deployed disks, by guest."""
    _stale_disks: int

    def install(
        self,
        guests: Iterable[Guest],
        needs: Mapping[str, list[str]],
        processes: int,
        one: Callable[[Guest], Outcome],
        *,
        failed: bool = False,
    ) -> int:
        """Build what each guest `needs` by its name, and do `one` to each for which that could be built.

        Returns the exit code: 1 if anything failed, also if something has `failed` before.
        """
        code = build(self, [name for needed in needs.values() for name in needed], processes)
        if code == INTERRUPTED:
            return code
        ready = []
        for guest in guests:
            problems = unfinished(self, needs[guest.name])
            failed = self.say(guest, Outcome(failed=problems)) or failed
            if not problems:
                ready.append(guest)
        self._check_room(ready, needs)
        unchanged, self._stale, self._stale_disks = 0, {}, 0
        try:
            for guest in ready:
                try:
                    outcome = one(guest)
                except GuestfarmError as error:
                    outcome = Outcome(failed=[str(error)])
                failed = self.say(guest, outcome) or failed
                unchanged += not outcome.done and not outcome.failed
        except KeyboardInterrupt:
            print("interrupted; what was deployed stays deployed, and the rest is as it was", file=sys.stderr)
            return INTERRUPTED
        if unchanged:
            self.outstream.write(f"{unchanged} of {len(needs)} guests: nothing to do\n")
        self._tell_how_many_are_stale()
        return 1 if failed else 0

    @property
    def store(self) -> Store:
        """The image store of this host."""
        return store_of(self.site)

    def stale(self, guest: Guest, built: Built) -> list[str]:
        """What is stale of the disks that are deployed of a guest, one line for each; it is counted, too."""
        there = self.store.find(guest.name)
        known = there.receipt if there is not None else None
        if there is None or known is None:
            return []
        found = dict(fit.stale(there, known, built))
        if found:
            self._stale[guest.name] = [change for changed in found.values() for change in changed]
            self._stale_disks += len(found)
        return [f"{disk} is stale: {', '.join(changed)}" for disk, changed in found.items()]

    def _tell_how_many_are_stale(self) -> None:
        if not self._stale:
            return
        is_size = {name: [change.startswith(fit.SIZE) for change in changes] for name, changes in self._stale.items()}
        ways = {
            "redeploy": [name for name, sizes in is_size.items() if not all(sizes)],
            "resize": [name for name, sizes in is_size.items() if any(sizes)],
        }
        hints = [
            command(verb, *names[:_MOST_NAMES]) + (" ..." if len(names) > _MOST_NAMES else "")
            for verb, names in ways.items()
            if names
        ]
        are = "is" if self._stale_disks == 1 else "are"
        self.outstream.write(
            f"{counted(self._stale_disks, 'deployed disk')} of {counted(len(self._stale), 'guest')} {are} stale: "
            f"{'; '.join(hints)}\n"
        )

    def built(self, guest: Guest) -> Built:
        """What the build has of a guest."""
        return deployment.built(self.site, guest, self.tasks)

    def say(self, guest: Guest, outcome: Outcome) -> bool:
        """Show what became of a guest; whether anything failed."""
        for line in (*outcome.done, *outcome.kept):
            self.outstream.write(f"{guest.name}: {line}\n")
        self.outstream.flush()
        for line in outcome.failed:
            print(f"{guest.name}: {line}", file=sys.stderr)
        return bool(outcome.failed)

    def _check_room(self, guests: Iterable[Guest], needs: Mapping[str, list[str]]) -> None:
        """Raise GuestfarmError unless guests that are to be installed fit; say so if their disks may not for long."""
        tasks, store = self.tasks, self.store
        new = [guest for guest in guests if needs[guest.name] == names(guest)]
        files = [Path(target) for guest in new for name in names(guest) for target in tasks[name].targets]
        if not files:
            return
        free = sparse.free_space(store.folder)
        now = sum(deploy.room(store, file) for file in files)
        if now > free:
            raise GuestfarmError(
                f"{store.folder}: what is to be deployed takes about {approximate_size(now)}, "
                f"and {approximate_size(free)} is free",
                f"make room for {approximate_size(now - free)} more, or deploy fewer guests",
            )
        full = sum(file.stat().st_size for file in files)
        if full > free:
            print(
                f"{store.folder}: warning: guests may fill their sparse disks up to {approximate_size(full)}, "
                f"and {approximate_size(free)} is free",
                file=sys.stderr,
            )


class Deploy(_Installs):
    """Installs guests."""

    name = "deploy"
    doc_purpose = "install guests in this host's image store; give those that are there what changed, but no disks"
    doc_usage = "[GUEST ...]"
    cmd_options = (PROCESS, _OWNER, _ADOPT)

    def _execute(self, processes: int, owner: str, adopt: bool, pos_args: list[str]) -> int:
        guests = self.guests(pos_args)
        owns = Owner.parse(owner) if owner else None
        store = self.store
        store.prepare()
        needs, failed = {}, False
        for guest in guests:
            try:
                there = store.find(guest.name)
                if there is not None:
                    deploy.check_deployable(store, there, adopt=adopt)
                needs[guest.name] = self._needs(guest, there)
            except GuestfarmError as error:  # there is no use in building it
                failed = self.say(guest, Outcome(failed=[str(error)]))

        def one(guest: Guest) -> Outcome:
            built = self.built(guest)
            outcome = deploy.deploy(store, built, owns, adopt=adopt)
            outcome.kept.extend(self.stale(guest, built))
            return outcome

        return self.install([guest for guest in guests if guest.name in needs], needs, processes, one, failed=failed)

    def _needs(self, guest: Guest, there: Deployed | None) -> list[str]:
        if there is None:
            return names(guest)
        present = {path.name for path in there.files}
        tasks = self.tasks
        missing = [
            name
            for name in deployment.disk_tasks(guest)
            if not present.issuperset(Path(target).name for target in tasks[name].targets)
        ]
        return [*missing, *deployment.other_tasks(guest)]


class Redeploy(_Installs):
    """Installs guests anew."""

    name = "redeploy"
    doc_purpose = "replace the disks of guests by new ones; the old ones are kept until doit prune --replaced"
    doc_usage = "GUEST ..."
    cmd_options = (_YES, PROCESS, _OWNER, _FOREIGN)

    def _execute(self, yes: bool, processes: int, owner: str, foreign: bool, pos_args: list[str]) -> int:
        if not pos_args:
            raise GuestfarmError("which guests are to have new disks?", "doit redeploy GUEST ...")
        guests = self.guests(pos_args)
        owns = Owner.parse(owner) if owner else None
        store = self.store
        store.prepare()
        self._check(guests, foreign=foreign)
        for guest in guests:
            self._show(guest, store.find(guest.name))
        if not yes and not _confirmed():
            options = [*(["--owner", owner] if owner else []), *["--foreign"] * foreign]
            raise GuestfarmError("nothing was done", f"to do it: {command('redeploy', *pos_args, *options, '--yes')}")

        def one(guest: Guest) -> Outcome:
            aside = deploy.redeploy(store, self.built(guest), owns, foreign=foreign)
            kept = f"; what was there is now {aside}" if aside else ""
            return Outcome(done=[f"deployed to {store.place(guest.name)}{kept}"])

        return self.install(guests, {guest.name: names(guest) for guest in guests}, processes, one)

    def _check(self, guests: Iterable[Guest], *, foreign: bool) -> None:
        """Raise GuestfarmError with all that stands against it, a line for each guest."""
        problems = []
        for guest in guests:
            try:
                there = self.store.find(guest.name)
                if there is not None:
                    deploy.check_redeployable(self.store, there, foreign=foreign, hypervisors=guest.hypervisors)
            except GuestfarmError as error:
                problems.append(f"{guest.name}: {error}")
        if problems:
            raise GuestfarmError("\n".join(problems))

    def _show(self, guest: Guest, there: Deployed | None) -> None:
        if there is None:
            self.outstream.write(f"{guest.name}: is not deployed, and will be\n")
            return
        try:
            known = there.receipt
        except GuestfarmError:  # new disks are the way out
            known = None
        since = f" of {known.deployed}" if known else ", made by hand,"
        disks = ", ".join(f"{path.name} ({_sizes(path)})" for path in there.disks.values()) or "no disks"
        self.outstream.write(
            f"{guest.name}: {disks}{since} will give way to new ones, and be kept in {there.folder}.replaced-DATE\n"
        )


def _sizes(disk: Path) -> str:
    return f"{approximate_size(disk.stat().st_size)}, {approximate_size(sparse.space(disk))} of it written"


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        return False
    try:
        answer: Any = input("Type yes to go on: ")
    except (EOFError, KeyboardInterrupt):
        print()
        return False
    return bool(answer.strip().lower() == "yes")
