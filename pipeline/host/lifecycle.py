"""Guests started and stopped, by the toolstack of the hypervisor that they are for."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic, sleep

from pipeline import process
from pipeline.errors import GuestfarmError, HostError, command
from pipeline.host import fit
from pipeline.host.lock import locked
from pipeline.host.offline import check_down
from pipeline.host.store import Deployed, Store
from pipeline.hypervisors.toolstack import BY_HYPERVISOR, Argv, Toolstack, states
from pipeline.image.files.usage import check_unmounted

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
    if found := next(states(name), None):
        say(f"{name}: is {found[1]} already")
        return False
    toolstack, config = _toolstack(there, hypervisors)
    with locked(store.folder, name):
        disks = list(there.disks.values())
        check_down(name, disks)
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


def stop(name: str, say: Say, *, now: bool) -> bool:
    """Ask a guest to shut down, or end it at once if `now`; whether it was up. Raises HostError or ProcessError."""
    found = list(states(name))
    for toolstack, _ in found:
        _run(toolstack, toolstack.destroy(name) if now else toolstack.shutdown(name), say)
    if not found:
        say(f"{name}: is down already")
    return bool(found)


def wait(names: Iterable[str], timeout: float) -> list[str]:
    """Wait until guests are down, for `timeout` seconds at most, and return those that are not then."""
    deadline = monotonic() + timeout
    left = [name for name in names if list(states(name))]
    while left and monotonic() < deadline:
        sleep(_EVERY)
        left = [name for name in left if list(states(name))]
    return left


def console(name: str, say: Say) -> int:
    """Attach this terminal to the console of a guest that is up; the exit code is the toolstack's. Raises HostError."""
    found = next(states(name), None)
    if found is None:
        raise HostError(
            f"guest '{name}' is not up", f"{command('start', '-c', name)} starts it, and attaches to its console"
        )
    toolstack, _ = found
    argv = toolstack.console(name)
    say(f"$ {_shown(argv)}")
    return process.hand_over(argv, environment=process.inherited(*toolstack.needs))


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
