"""Deploying: what the build has of a guest goes to the image store, and no disk that is there is ever touched."""

import errno
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import HostError, command
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
from pipeline.image.files.private import sync_directory
from pipeline.image.files.publish import sweep
from pipeline.model.sizes import approximate_size


def deploy(store: Store, built: Built, owner: Owner | None, *, adopt: bool = False) -> Outcome:
    """Install a guest that is not in the store; or give one that is there what may change without its disks.

    Disks that are there are never touched. A configuration takes the place of one that differs, which becomes NAME.bak.
    Boot files do only if the root disk that is there has the modules of the same master, and none of them where the
    guest would not boot then, or not be reached. With `adopt` that is done also to a guest that somebody made by hand,
    and what is inside one that we deployed is taken to be what the list says. A folder that belongs to another farm or
    guest is left alone. Raises HostError or ImageError.
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
        known = check_deployable(store, there, adopt=adopt)
        sweep(there.folder)
        return update(there, known or _BY_HAND, built, owner, believed=adopt)


def check_deployable(store: Store, there: Deployed, *, adopt: bool) -> Receipt | None:
    """The receipt of a guest that deploy() may update, if it has one. Raises HostError for one that it leaves alone."""
    if owner := store.owner(there):
        raise HostError(
            f"{there.folder} belongs to {owner}, not to guest '{there.name}' of farm '{store.farm}'",
            "look at 'farm:' and 'images:' in the list; to replace it all the same, and keep it under another name: "
            f"{command('redeploy', '--foreign', there.name)}",
        )
    known = there.receipt
    if known is None and not adopt:
        hint = f"{command('deploy', '--adopt', there.name)} replaces its configuration, and leaves its disks alone"
        raise HostError(f"{there.folder} was not made by Guestfarm, and so is left alone", hint)
    return known


def check_redeployable(store: Store, there: Deployed, *, foreign: bool, hypervisors: Collection[str] = ()) -> None:
    """Raise HostError or ImageError unless redeploy() may replace a guest that is there.

    `hypervisors` are those that the list has for it: with its configurations, they tell what it can run under.
    """
    if not foreign and (owner := _owner_if_known(store, there)):
        raise HostError(
            f"{there.folder} belongs to {owner}, not to guest '{there.name}' of farm '{store.farm}'",
            "look at 'farm:' and 'images:' in the list; if it may be replaced all the same, say --foreign",
        )
    _check_down(there, hypervisors, foreign=foreign)


def _check_down(there: Deployed, hypervisors: Collection[str], *, foreign: bool) -> None:
    # What the list has for a guest does not hold for a guest of another farm that has its name.
    check_down(there.name, there.disks.values(), () if foreign else hypervisors, folder=there.folder)


def _owner_if_known(store: Store, there: Deployed) -> str | None:
    try:
        return store.owner(there)
    except HostError:  # the receipt is damaged, and new disks are the way out
        return None


def redeploy(store: Store, built: Built, owner: Owner | None, *, foreign: bool = False) -> Path | None:
    """Install a guest anew, and return what the folder that it had is called now, if it had one.

    Without `owner`, the new disks get the one that the old root disk has. A folder that belongs to another farm or
    guest is replaced with `foreign` only. Raises HostError or ImageError, also unless it is certain that the guest is
    down; then what was there is there still.
    """
    place = store.place(built.guest)
    with _host_errors(place), locked(store.folder, built.guest):
        staging.sweep(place)
        there = store.find(built.guest)
        if there is not None:
            check_redeployable(store, there, foreign=foreign, hypervisors=built.hypervisors)
        with staging.draft(place) as folder:
            _fill(folder, built, owner or (owner_of(there) if there else None))
            if there is None:
                staging.publish(folder, place)
                return None
            _check_down(there, built.hypervisors, foreign=foreign)
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
        farm=built.farm,
        guest=built.guest,
        inside=built.inside,
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
