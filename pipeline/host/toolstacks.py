"""What runs on this machine, by the toolstacks of its hypervisors."""

from collections.abc import Iterator, Mapping

from pipeline import process
from pipeline.errors import HostError, ProcessError
from pipeline.hypervisors import BY_NAME
from pipeline.hypervisors.toolstack import Toolstack

BY_HYPERVISOR: Mapping[str, Toolstack] = {
    name: hypervisor.toolstack for name, hypervisor in BY_NAME.items() if hypervisor.toolstack is not None
}
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
