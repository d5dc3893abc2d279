"""Toolstacks: the programs of a host that run guests, behind one small interface."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

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
