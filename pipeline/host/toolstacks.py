"""What runs on this machine, by the toolstacks of its hypervisors."""

import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pipeline import process
from pipeline.errors import GuestfarmError, HostError, ProcessError
from pipeline.hypervisors import BY_NAME
from pipeline.hypervisors.toolstack import Toolstack

BY_HYPERVISOR: Mapping[str, Toolstack] = {
    name: hypervisor.toolstack for name, hypervisor in BY_NAME.items() if hypervisor.toolstack is not None
}
"""By the names of the hypervisors in the guest list."""

_SUFFIXES = tuple(hypervisor.suffix for hypervisor in BY_NAME.values())
"""Of the configurations of all hypervisors; not all are for a toolstack."""


class UnknownStateError(HostError):
    """A toolstack cannot tell what runs."""

    def __init__(self, guest: str, toolstack: Toolstack, error: GuestfarmError) -> None:
        super().__init__(f"whether guest '{guest}' is down cannot be told: {error.message}", error.hint)
        self.short = f"whether guest '{guest}' is down, {toolstack.program} cannot tell"
        self.cause = str(error)
        """The same for all guests."""


class Domains:
    """What toolstacks say of their domains; each is asked once at most, when it is needed."""

    def __init__(self) -> None:
        self._said: dict[str, Mapping[str, str] | GuestfarmError] = {}

    def active(self, toolstack: Toolstack) -> Mapping[str, str]:
        """The active domains of `toolstack`, as that says. Raises HostError or ProcessError when it cannot tell."""
        if toolstack.program not in self._said:
            try:
                self._said[toolstack.program] = toolstack.active()
            except (HostError, ProcessError) as error:
                self._said[toolstack.program] = error
        said = self._said[toolstack.program]
        if isinstance(said, GuestfarmError):
            raise said
        return said

    def state(self, guest: str, toolstack: Toolstack) -> str | None:
        """The state of the domain of `guest`, if it is active. Raises UnknownStateError."""
        try:
            return self.active(toolstack).get(guest)
        except (HostError, ProcessError) as error:
            raise UnknownStateError(guest, toolstack, error) from error


def of_guest(name: str, folders: Collection[Path] = (), hypervisors: Collection[str] = ()) -> list[Toolstack]:
    """The toolstacks of this machine that the guest `name` can be under.

    Those are the ones that have a configuration of it in `folders`, where its disks are, and those of `hypervisors`,
    which the list has for it. A configuration that was replaced counts, too: the guest may run by it still. Where
    nothing tells what the guest is for, it can be under any. Raises HostError.
    """
    try:
        files = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
    except OSError as error:
        raise HostError(f"{error.filename}: {error.strerror}") from error
    there = {suffix for suffix in _SUFFIXES if files & {f"{name}.{suffix}", f"{name}.{suffix}.bak"}}
    known = there or hypervisors
    return [
        toolstack
        for hypervisor, toolstack in BY_HYPERVISOR.items()
        if (not known or toolstack.suffix in there or hypervisor in hypervisors)
        and process.available(toolstack.program)
    ]


def states(name: str, asked: Collection[Toolstack]) -> Iterator[tuple[Toolstack, str]]:
    """The toolstacks of `asked` that have an active domain `name`, and what they say of it.

    Raises UnknownStateError.
    """
    domains = Domains()
    for toolstack in asked:
        state = domains.state(name, toolstack)
        if state is not None:
            yield toolstack, state


def check_stopped(name: str, asked: Collection[Toolstack] | None = None, domains: Domains | None = None) -> None:
    """Raise HostError unless every toolstack of `asked` says that there is no active domain `name`.

    Without `asked`, it can be under any that this machine has. They are asked now, unless they said it already when
    `domains` asked them.
    """
    domains = domains or Domains()
    for toolstack in of_guest(name) if asked is None else asked:
        state = domains.state(name, toolstack)
        if state is not None:
            raise HostError(
                f"guest '{name}' is not down: {toolstack.program} says that it is {state}",
                f"stop it first: doit stop {shlex.quote(name)}",
            )
