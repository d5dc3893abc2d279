"""Whose build/ and keys/ are: the farm's that is written in each of them, and no other user's.

Two lists in one folder share build/ and keys/ unless they are told apart: one would build over what the other has
built, and their guests would have the same private host keys. A folder of an earlier version, in which no farm is
written, becomes the farm's that builds there next, unless what is on record in it was derived from another name.
"""

import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, NoReturn

from pipeline.engine import recorded_inputs
from pipeline.errors import GuestfarmError, ImageError, quoted
from pipeline.image.files import private, publish
from pipeline.inputs import host_keys
from pipeline.model import identity
from pipeline.tasks.site import Site

MARK = ".farm"
"""The file with the farm's name."""

_LONGEST = 1 << 10
"""Bytes of a mark; a farm's name has no more than a few dozen."""
_OWN_FOLDERS = ("boot", "catalogue", "logs")
_OWN_FILES = (MARK, "report.html")
_STATE = "state."
"""What the names of the state's files in build/ begin with: the database with its journals, and the lock."""
_SHARED = ("masters", "bases")
_GUESTS = "guests"
_MANIFESTS = ".manifests.draft-"
"""What is in build/ as long as `doit manifest` writes."""


def check(site: Site, farm: str) -> None:
    """Raise GuestfarmError if build/, or keys/ where guests have such, is another farm's. Nothing is written."""
    refusals = [*_of_build(site, farm), *_of_keys(site, farm)]
    if refusals:
        raise GuestfarmError("\n".join(map(str, refusals)))


def claim(site: Site) -> None:
    """Write into build/, and into keys/ if it is there, that they are the farm's, unless something is written there.

    Whoever calls it has the lock of build/. Raises GuestfarmError.
    """
    if _marked(site.build) is None:
        _mark(site.build, site.name)
    if site.keys.is_dir() and _marked(site.keys) is None and site.has_host_keys:
        claim_keys(site)


def claim_keys(site: Site) -> None:
    """Make keys/ if need be, and write into it that it is the farm's. Raises GuestfarmError if it is another's."""
    host_keys.prepare(site.keys)
    if _marked(site.keys) is None:
        _mark(site.keys, site.name)
        for refusal in _of_keys(site, site.name):  # another run was faster
            raise refusal


def check_users(build: Path) -> None:
    """Raise ImageError if build/, or a folder in it that is shared by guests, is another user's."""
    private.check_owner(build)
    for folder in _folders(build):
        private.check_owner(folder)
        if folder.name in _SHARED:
            for each in _folders(folder):
                private.check_owner(each)


def sweep(site: Site, unfinished: Iterable[Path]) -> None:
    """Remove what killed runs left in build/ and keys/: in folders that are not a guest's, and in those `unfinished`.

    Whoever calls it has the lock of build/. Raises OSError or GuestfarmError.
    """
    build, unfinished = site.build, [*unfinished]
    if any(build.glob(f"{_MANIFESTS}*")):
        sweep_guests(build)
    for folder in dict.fromkeys((build, *(each for name in _SHARED for each in _folders(build / name)), *unfinished)):
        publish.sweep(folder)
    host_keys.sweep(site.keys, {folder.name for folder in unfinished})


def sweep_guests(build: Path) -> None:
    """Remove what killed commands left in guests' folders. Raises ImageError if one of these is another user's."""
    for folder in _folders(build / _GUESTS):
        private.check_owner(folder)
        if any(map(publish.is_draft, os.listdir(folder))):  # noqa: PTH208  # a Path for each of 60,000 files takes a second
            publish.sweep(folder)


@contextmanager
def writing_manifests(build: Path) -> Iterator[None]:
    """Have what the block leaves in guests' folders be found by sweep() if it is killed."""
    note = build / f"{_MANIFESTS}{token_hex(4)}"
    private.create(note)
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def files(build: Path) -> Iterator[Path]:
    """The files in build/, and what else is no folder, but for those that Guestfarm itself works with."""
    for place, folders, names in os.walk(build, onerror=_raise):
        folder = Path(place)
        folders.sort()
        if folder == build:
            folders[:] = [name for name in folders if name not in _OWN_FOLDERS]
            names = [name for name in names if name not in _OWN_FILES and not name.startswith(_STATE)]  # noqa: PLW2901  # of these
        links = [name for name in folders if (folder / name).is_symlink()]
        yield from (folder / name for name in sorted((*names, *links)))


def _raise(error: OSError) -> NoReturn:
    raise error


def _of_build(site: Site, farm: str) -> Iterator[GuestfarmError]:
    marked = _marked(site.build)
    if marked is None and _is_of_another(site.build, farm):
        yield _refusal(site.build, f"was built for another farm than {quoted(farm)}", "build", farm)
    elif marked not in (None, farm):
        yield _refusal(site.build, f"is the build of farm {quoted(str(marked))}, not {quoted(farm)}", "build", farm)


def _of_keys(site: Site, farm: str) -> Iterator[GuestfarmError]:
    if not os.access(site.keys, os.X_OK):  # private to another user: who only looks needs no keys, and claim() fails
        return
    marked = _marked(site.keys)
    if marked not in (None, farm) and site.has_host_keys:
        what = f"has the host keys of farm {quoted(str(marked))}, not {quoted(farm)}"
        yield _refusal(site.keys, what, "keys", farm)


def _refusal(folder: Path, what: str, option: str, farm: str) -> GuestfarmError:
    other = shlex.quote(str(folder.with_name(f"{folder.name}-{farm}")))
    mark = shlex.quote(str(folder / MARK))
    return GuestfarmError(
        f"{folder} {what}",
        f"name another folder with: doit {option}={other}; "
        f"or, if the farm has only got another name, say so with: echo {shlex.quote(farm)} >{mark}",
    )


def _is_of_another(build: Path, farm: str) -> bool:
    """Whether there are records of UUIDs that were derived from a farm's name, and none of them from that of `farm`."""
    if not (build / "state.db").exists():
        return False
    pairs = [pair for task, inputs in recorded_inputs(build, ("format", "root")) for pair in _uuids(task, inputs, farm)]
    return bool(pairs) and all(recorded != derived for recorded, derived in pairs)


def _uuids(task: str, inputs: Mapping[str, Any], farm: str) -> Iterator[tuple[str, str]]:
    """The UUID on record of a base's or a root disk's task, and the one that it has in `farm`."""
    group, _, name = task.partition(":")
    if group == "format" and "UUID" in inputs:
        yield str(inputs["UUID"]), str(identity.base_uuid(farm, name))
    elif group == "root" and "root UUID" in inputs:
        yield str(inputs["root UUID"]), str(identity.root_uuid(farm, name))


def _marked(folder: Path) -> str | None:
    """The farm whose `folder` is; None where that is not written in it."""
    try:
        descriptor = os.open(folder / MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ImageError(f"{folder / MARK}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ImageError(f"{folder / MARK}: not a regular file", f"remove it: rm {shlex.quote(str(folder / MARK))}")
        return file.read(_LONGEST).decode(errors="replace").strip() or None


def _mark(folder: Path, farm: str) -> None:
    """Write into `folder` that it is the farm's, unless something is written there. Raises GuestfarmError."""
    mark = folder / MARK
    if _marked(folder) is not None:
        return
    try:
        mark.unlink(missing_ok=True)  # it is empty
        publish.publish_new_text(mark, f"{farm}\n")
    except FileExistsError:  # another run was faster
        return
    except OSError as error:
        raise ImageError(f"{mark}: {error.strerror}") from error


def _folders(folder: Path) -> list[Path]:
    """The folders in `folder`, in which there may be links to such; none if it is none itself."""
    try:
        with os.scandir(folder) as found:
            return [Path(each.path) for each in found if each.is_dir() or each.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return []
