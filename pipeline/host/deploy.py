"""Deploying: what the build has of a guest goes to the image store, and no disk that is there is ever touched."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import HostError
from pipeline.host import staging
from pipeline.host.built import Built
from pipeline.host.lock import locked
from pipeline.host.offline import check_down
from pipeline.host.receipt import Known, Receipt, sha256
from pipeline.host.staging import Owner
from pipeline.host.store import REPLACED, Deployed, Store
from pipeline.host.update import Outcome, now, owner_of, update
from pipeline.image.files import sparse
from pipeline.image.files.clone import can_share
from pipeline.image.files.publish import sweep, sync_directory
from pipeline.model.sizes import approximate_size


def deploy(store: Store, built: Built, owner: Owner | None, *, adopt: bool = False) -> Outcome:
    """Install a guest that is not in the store; or give one that is there what may change without its disks.

    Disks that are there are never touched. A configuration takes the place of one that differs, which becomes NAME.bak.
    Boot files do only if the root disk that is there has the modules of the same master. With `adopt` that is done also
    to a guest that somebody made by hand. Raises HostError or ImageError.
    """
    place = store.place(built.guest)
    with _host_errors(place), locked(store.folder, built.guest):
        staging.sweep(place)
        there = store.find(built.guest)
        if there is None:
            with staging.draft(place) as folder:
                _fill(folder, built, owner)
                staging.publish(folder, place)
            return Outcome(done=[f"deployed to {place}"])
        known = there.receipt
        if known is None and not adopt:
            hint = f"doit deploy --adopt {built.guest} replaces its configuration, and leaves its disks alone"
            raise HostError(f"{place} was not made by Guestfarm, and so is left alone", hint)
        sweep(there.folder)
        return update(there, known or _BY_HAND, built, owner)


def redeploy(store: Store, built: Built, owner: Owner | None) -> Path | None:
    """Install a guest anew, and return what the folder that it had is called now, if it had one.

    Without `owner`, the new disks get the one that the old root disk has. Raises HostError or ImageError, also unless
    it is certain that the guest is down; then what was there is there still.
    """
    place = store.place(built.guest)
    with _host_errors(place), locked(store.folder, built.guest):
        staging.sweep(place)
        there = store.find(built.guest)
        with staging.draft(place) as folder:
            _fill(folder, built, owner or (owner_of(there) if there else None))
            if there is None:
                staging.publish(folder, place)
                return None
            check_down(there.name, there.disks.values())
            aside = set_aside(store, there, REPLACED)
            try:  # killed here, there is no guest of this name, and the next try installs it
                staging.publish(folder, place)
            except BaseException:
                if not place.exists():
                    aside.rename(place)
                raise
            return aside


def set_aside(store: Store, there: Deployed, why: str) -> Path:
    """Give the folder of a guest that is down another name, and return it. Raises OSError."""
    name = f"{there.name}.{why}-{datetime.now(UTC):%Y-%m-%d_%H%M%S}"
    free, number = store.place(name), 1
    while free.exists():
        number += 1
        free = store.place(f"{name}_{number}")
    there.folder.rename(free)
    sync_directory(store.folder)
    return free


def room(store: Store, file: Path) -> int:
    """The bytes that a copy of `file` in the store takes. Raises HostError."""
    with _host_errors(file):
        return 0 if not sparse.is_allocated(file) and can_share(file, store.folder) else sparse.space(file)


_BY_HAND = Receipt(deployed="", modules=None, disks={}, boot={}, configs={})


def _fill(folder: Path, built: Built, owner: Owner | None) -> None:
    for disk in built.disks:
        staging.copy_disk(disk, folder / disk.name, owner)
    for source in (*built.configs, *built.boot):
        staging.copy_file(source, folder / source.name)
    Receipt(
        deployed=now(),
        modules=built.modules,
        disks={disk.name: made_from for disk, made_from in built.disks.items()},
        boot={source.name: Known.of(folder / source.name, sha256(source)) for source in built.boot},
        configs={source.name: Known.of(folder / source.name, sha256(source)) for source in built.configs},
    ).write(folder)


@contextmanager
def _host_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = approximate_size(sparse.free_space(place.parent))
            raise HostError(f"{place}: the disk is full: {free} is free", "make room, and try again") from error
        raise HostError(f"{error.filename or place}: {error.strerror}") from error
