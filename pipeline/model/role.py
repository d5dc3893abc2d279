"""What guests have in common: units and variables, and roles, which are bundles of these and of files."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.model.file import Put

Variables = tuple[tuple[str, str | tuple[str, ...]], ...]
"""What templates are filled with: names, each with a text or a list of texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The names of systemd's units that are to be enabled, disabled and masked."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A bundle of files, units and variables that guests have in common."""

    name: str
    tree: Path | None
    files: tuple[Put, ...]
    variables: Variables = ()
    units: Units = Units()
