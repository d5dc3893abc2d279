"""The toolstacks that run guests on this machine, behind one small interface: what runs, and the commands to use."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pipeline import process
from pipeline.errors import HostError, ProcessError
from pipeline.hypervisors import virsh, xl

Argv = Sequence[str | Path]
"""A command, as process.py takes it."""


class Toolstack(Protocol):
    """What a module here offers. Only `active` starts a program; commands are for the caller to show and run."""

    program: str
    suffix: str
    """Of the configurations that it reads."""
    needs: Sequence[str]
    """The variables of the user's environment that it has a right to know."""

    def active(self) -> Mapping[str, str]:
        """Every domain that it knows and that is not down, by name, and the state it is in, in the toolstack's words.

        Raises HostError or ProcessError when it cannot tell.
        """

    def create(self, name: str, config: Path, *, paused: bool) -> Sequence[Argv]:
        """The commands that start the domain of `config`; `paused`, it waits for `unpause`."""

    def unpause(self, name: str) -> Argv:
        """The command that lets a paused domain run."""

    def shutdown(self, name: str) -> Argv:
        """The command that asks a guest to shut down."""

    def destroy(self, name: str) -> Argv:
        """The command that ends a domain at once."""

    def console(self, name: str) -> Argv:
        """The command that attaches to the console of a guest."""


BY_HYPERVISOR: Mapping[str, Toolstack] = {"xen": xl, "libvirt": virsh}
"""By the names of the hypervisors in the guest list."""


def present() -> Iterator[tuple[str, Toolstack]]:
    """The toolstacks that this machine has, and the hypervisors that they are for."""
    for hypervisor, toolstack in BY_HYPERVISOR.items():
        if process.available(toolstack.program):
            yield hypervisor, toolstack


def states(name: str) -> Iterator[tuple[Toolstack, str]]:
    """The toolstacks that have an active domain `name`, and what they say of it. Raises HostError or ProcessError."""
    for _, toolstack in present():
        state = toolstack.active().get(name)
        if state is not None:
            yield toolstack, state


def check_stopped(name: str) -> None:
    """Raise HostError unless every toolstack that this machine has says that there is no active domain `name`."""
    for _, toolstack in present():
        try:
            state = toolstack.active().get(name)
        except (HostError, ProcessError) as error:
            raise HostError(f"whether guest '{name}' is down cannot be told: {error.message}", error.hint) from error
        if state is not None:
            raise HostError(f"guest '{name}' is not down: {toolstack.program} says that it is {state}", "stop it first")


__all__ = ["BY_HYPERVISOR", "Argv", "Toolstack", "check_stopped", "present", "states"]
