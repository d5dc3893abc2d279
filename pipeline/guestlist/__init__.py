"""Reads and checks guests.yaml, and resolves it to a farm of plain values. Knows no tool, no image and no doit.

    syntax    YAML as text that knows its line and column, and ranges of names
    schema    the keys of a mapping declared as a table, and the readers that turn text into typed values
    keys      the tables of guests.yaml: one module for each kind of thing that has keys
    resolve   from entries to the farm: ranges, defaults, addresses, identities
    checks    what a guest must obey, what no two guests may share, and what is worth a warning
    export    the same tables for editors, people and other programs

Each of these builds on those above it; checks and export stand side by side.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from pipeline.errors import ListError
from pipeline.guestlist.checks import run as checks
from pipeline.guestlist.checks import warnings as advice
from pipeline.guestlist.keys.file import Walk
from pipeline.guestlist.keys.hypervisor import Hypervisors
from pipeline.guestlist.keys.user import Read
from pipeline.guestlist.resolve import draft as schema
from pipeline.guestlist.resolve import model as build
from pipeline.guestlist.syntax import source
from pipeline.guestlist.syntax.nodes import Fault, ReadingError
from pipeline.model.farm import Farm

_NOTHING_KNOWN: Mapping[str, int] = MappingProxyType({})


def load(  # noqa: PLR0913  # as much as there is to be known besides the list
    path: Path,
    needs: Mapping[str, int] = _NOTHING_KNOWN,
    *,
    hypervisors: Hypervisors | None,
    read: Read | None = None,
    walk: Walk | None = None,
    text: str | None = None,
) -> Farm:
    """The farm that the guest list in the file `path` describes; other files are named relative to its folder.

    `text` is what is in that file, if somebody has read it already.

    `needs` has, for masters whose contents are known, the smallest root disk in bytes. `hypervisors` are those that
    guests can be configured for, with what each cannot express; without them, any name is taken for one. `read` reads
    the files that guests are made of, and `walk` the folders; without them, nobody looks into them. Raises ListError
    with every problem of the list at once, other GuestfarmErrors when the file cannot be read.
    """
    with _no_garbage_collection():
        found = text_of(path) if text is None else text
        return _load(path, found, needs, hypervisors, read, walk)


def text_of(path: Path) -> str:
    """What is in the file `path`. Raises GuestfarmError when it cannot be read, ListError where it is no text."""
    try:
        return source.decode(source.read(path))
    except ReadingError as error:
        raise _list_error(path, error.faults) from error


def _load(  # noqa: PLR0913, PLR0917  # those of load()
    path: Path,
    text: str,
    needs: Mapping[str, int],
    hypervisors: Hypervisors | None,
    read: Read | None,
    walk: Walk | None,
) -> Farm:
    try:
        document = source.parse(text)
    except ReadingError as error:
        raise _list_error(path, error.faults) from error
    draft, faults = schema.read(document.root, path.absolute().parent, hypervisors or {})
    faults = [*document.faults, *faults, *checks.check(draft, needs, hypervisors, read, walk)]
    if faults:
        raise _list_error(path, faults)
    farm = build.farm(draft, hypervisors or {})
    if faults := checks.refused(draft, farm, hypervisors or {}):
        raise _list_error(path, faults)
    warnings = sorted(fault.problem(str(path)) for fault in advice.advise(draft.entries))
    needs_of_drivers = sorted(
        advice.driver_needs(draft.entries, farm, hypervisors or {}, str(path)), key=lambda need: need.problem
    )
    return replace(
        farm,
        warnings=tuple(warnings),
        driver_needs=tuple(needs_of_drivers),
    )


def _list_error(path: Path, faults: Iterable[Fault]) -> ListError:
    return ListError([fault.problem(str(path)) for fault in faults])


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Reading makes many objects and no cycles: to look for some again and again takes longer than to read."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
