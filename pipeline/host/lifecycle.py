"""Guests started and stopped, by the toolstack of the hypervisor that they are for."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep

from pipeline import process
from pipeline.errors import GuestfarmError, HostError, ProcessError, command
from pipeline.host import fit
from pipeline.host.lock import locked
from pipeline.host.offline import check_down
from pipeline.host.store import Deployed, Store
from pipeline.host.toolstacks import BY_HYPERVISOR, of_guest, states
from pipeline.hypervisors.toolstack import Argv, Toolstack
from pipeline.image.files.usage import check_unmounted, users
from pipeline.image.resize import undo

Say = Callable[[str], object]
"""What shows a line to the user."""

_EVERY = 0.5
"""Seconds between looks whether a guest is down yet."""

_PACKAGES = {"xl": "xen-system-amd64", "virsh": "libvirt-clients"}
"""Debian's, which have the toolstacks."""


def start(store: Store, name: str, hypervisors: Sequence[str], say: Say) -> bool:
    """Start a deployed guest by the first of `hypervisors` that this host has; whether it was down before.

    It starts paused while its lock is ours, so that nobody who knows of locks can be at work on its disks; and before
    it runs, it is looked at once more whether anybody has mounted one. Who does neither can still come in between.
    One that would not boot by its configuration, or not be reached, is not started; nor is one of another farm.
    Raises HostError, ImageError or ProcessError.
    """
    there = store.get(name)
    store.check_own(there)
    if found := next(states(name, of_guest(name, [there.folder], hypervisors)), None):
        say(f"{name}: is {found[1]} already")
        return False
    with locked(store.folder, name):
        there = store.get(name)
        toolstack, config = _toolstack(there, hypervisors or tuple(BY_HYPERVISOR))
        disks = list(there.disks.values())
        check_down(name, disks, hypervisors, folder=there.folder)
        _check_finished(name, disks)
        if faults := list(fit.start_faults(there, config)):
            raise HostError(f"\n{name}: ".join(faults))
        for argv in toolstack.create(name, config, paused=True):
            _run(toolstack, argv, say)
        try:
            for disk in disks:
                check_unmounted(disk)
            if name not in toolstack.active():
                raise HostError(
                    f"{config} has started something else than '{name}', which is paused now",
                    f"end that by {toolstack.program}; {command('deploy', name)} makes the file anew",
                )
        except GuestfarmError:
            if name in toolstack.active():
                _run(toolstack, toolstack.destroy(name), say)
            raise
        _run(toolstack, toolstack.unpause(name), say)
    return True


def stop(store: Store, name: str, hypervisors: Sequence[str], say: Say, *, now: bool) -> bool:
    """Ask a guest to shut down, or end it at once if `now`; whether it was up.

    `hypervisors` are those that the list has for it. Raises HostError, ImageError or ProcessError.
    """
    asked = _asked(store, name, hypervisors)
    found = list(states(name, asked))
    for toolstack, _ in found:
        try:
            _run(toolstack, toolstack.destroy(name) if now else toolstack.shutdown(name), say)
        except ProcessError:
            if list(states(name, [toolstack])):
                raise
            say(f"{name}: is down by now")
    if not found:
        say(f"{name}: is down already{_in_use(store.find(name))}")
    return bool(found)


def wait(store: Store, guests: Mapping[str, Sequence[str]], timeout: float) -> list[str]:
    """Wait until guests are down, for `timeout` seconds at most, and return those that are not then.

    `guests` are names, and the hypervisors that the list has for each.
    """
    deadline = monotonic() + timeout

    def up(names: Iterable[str]) -> list[str]:
        return [name for name in names if list(states(name, _asked(store, name, guests[name])))]

    left = up(guests)
    while left and monotonic() < deadline:
        sleep(_EVERY)
        left = up(left)
    return left


def console(store: Store, name: str, hypervisors: Sequence[str], say: Say) -> int:
    """Attach this terminal to the console of a guest that is up; the exit code is the toolstack's. Raises HostError."""
    found = next(states(name, _asked(store, name, hypervisors)), None)
    if found is None:
        raise HostError(
            f"guest '{name}' is not up", f"{command('start', '-c', name)} starts it, and attaches to its console"
        )
    toolstack, _ = found
    argv = toolstack.console(name)
    say(f"$ {_shown(argv)}")
    return process.hand_over(argv, environment=process.inherited(*toolstack.needs))


def _asked(store: Store, name: str, hypervisors: Sequence[str]) -> list[Toolstack]:
    return of_guest(name, [store.place(name)], hypervisors)


def _in_use(there: Deployed | None) -> str:
    """Who uses a disk of a guest that no toolstack runs: one that was stopped may have left the guest running."""
    disks = there.disks.values() if there else ()
    return next((f", but {disk} is in use by {user}" for disk in disks for user in users(disk)), "")


def _check_finished(name: str, disks: Iterable[Path]) -> None:
    """Raise HostError for a disk that is of no use until a resize of it is taken up again."""
    for disk in disks:
        if undo.is_unfinished(disk):
            raise HostError(
                f"{disk}: a resize of it was interrupted", f"finish that first: doit resize {shlex.quote(name)} --yes"
            )


def _toolstack(there: Deployed, hypervisors: Sequence[str]) -> tuple[Toolstack, Path]:
    known = [BY_HYPERVISOR[name] for name in hypervisors if name in BY_HYPERVISOR]
    if not known:
        scripts = [path for path in there.files if path.suffix == ".sh"]
        hint = f"run {shlex.quote(str(scripts[0]))}" if scripts else "start it by that"
        raise HostError(f"guest '{there.name}' is for {', '.join(hypervisors)}, which doit does not start", hint)
    for toolstack in known:
        config = there.folder / f"{there.name}.{toolstack.suffix}"
        if process.available(toolstack.program):
            if not config.exists():
                raise HostError(f"there is no {config}", command("deploy", there.name))
            return toolstack, config
    programs = [toolstack.program for toolstack in known]
    packages = [_PACKAGES[program] for program in programs]
    raise HostError(
        f"guest '{there.name}' is for {', '.join(hypervisors)}, and this host has no {' or '.join(programs)}",
        f"install {' or '.join(packages)}",
    )


def _run(toolstack: Toolstack, argv: Argv, say: Say) -> None:
    say(f"$ {_shown(argv)}")
    process.run(argv, environment=process.inherited(*toolstack.needs))


def _shown(argv: Argv) -> str:
    return shlex.join(map(str, argv))
