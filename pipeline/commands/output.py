"""What commands print, or write to a file where the user names one."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import doit

from pipeline.errors import GuestfarmError
from pipeline.image.files.publish import publish_text

STANDARD_OUTPUT = Path("-")

OUTPUT = {
    "name": "output",
    "short": "o",
    "long": "output",
    "type": str,
    "default": "",
    "help": "write to this file instead; - is the standard output",
}


def put(text: str, path: Path) -> None:
    """Print `text`, or write it to `path`, which is relative to where the user is. Raises GuestfarmError."""
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    target = Path(doit.get_initial_workdir() or Path.cwd(), path)
    if target.is_dir():
        raise GuestfarmError(f"{path} is a folder", "name a file")
    publish_text(target, text, mode=0o644)


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table: `rows`, the first of which is its head, with each column as wide as it has to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
