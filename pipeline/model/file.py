"""What the list says of files in guests."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class PutFile:
    """A file that the list puts into a guest."""

    path: PurePosixPath
    text: str | None = None
    source: Path | None = None
    """A file of this machine that it is a copy of; where there is none, it has the text."""
    mode: int | None = None
    owner: str = "root"
    group: str | None = None
    template: bool = field(default=False, repr=False)  # filled in, it is a file as any other: so its digest is, too
    """Whether text and source are in Jinja2's language, still to be filled in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutDirectory:
    """A directory that the list has in a guest; what is in it stays."""

    path: PurePosixPath
    mode: int | None = None
    owner: str = "root"
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutLink:
    """A symlink that the list puts into a guest."""

    path: PurePosixPath
    target: str
    owner: str = "root"
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """What the list removes from a guest, with all that is in it."""

    path: PurePosixPath


Put = PutFile | PutDirectory | PutLink | Absent
"""What the list says of a path in a guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeItem:
    """A file, directory or symlink in a folder of this machine that goes into guests."""

    path: str
    """Relative to the folder."""
    mode: int
    data: bytes | None = None
    """What is in it, if it is a file."""
    target: str | None = None
    """Where it leads, if it is a symlink."""
