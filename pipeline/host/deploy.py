"""Deploying: what the build has of a guest goes to the image store, and no disk that is there is ever touched."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import HostError
from pipeline.farm.units import approximate_size
from pipeline.host import draft
from pipeline.host.down import check_down
from pipeline.host.draft import Owner
from pipeline.host.lock import locked
from pipeline.host.receipt import Known, Receipt, sha256
from pipeline.host.store import REPLACED, Deployed, Store
from pipeline.image import blank
from pipeline.image.clone import can_share, clone
from pipeline.image.publish import publish, sweep, sync_directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What the build has of a guest. The files keep their names when they are deployed."""

    guest: str
    disks: Mapping[Path, Mapping[str, str]]
    """Each disk, and the digests of what it was made from by name, as a Receipt has them."""
    boot: tuple[Path, ...]
    """The kernel and its initrd; none if the guest boots one of the host's."""
    configs: tuple[Path, ...]
    modules: str | None
    """The digest of the master whose files are on the root disk."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to a guest's files, in words; what was not, because of what is there; and what failed."""

    done: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def deploy(store: Store, built: Built, owner: Owner | None, *, adopt: bool = False) -> Outcome:
    """Install a guest that is not in the store; or give one that is there what may change without its disks.

    Disks that are there are never touched. A configuration takes the place of one that differs, which becomes NAME.bak.
    Boot files do only if the root disk that is there has the modules of the same master. With `adopt` that is done also
    to a guest that somebody made by hand. Raises HostError or ImageError.
    """
    place = store.place(built.guest)
    with _host_errors(place), locked(store.folder, built.guest):
        draft.sweep(place)
        there = store.find(built.guest)
        if there is None:
            with draft.draft(place) as folder:
                _fill(folder, built, owner)
                draft.publish(folder, place)
            return Outcome(done=[f"deployed to {place}"])
        known = there.receipt
        if known is None and not adopt:
            hint = f"doit deploy --adopt {built.guest} replaces its configuration, and leaves its disks alone"
            raise HostError(f"{place} was not made by Guestfarm, and so is left alone", hint)
        sweep(there.folder)
        return _update(there, known or _BY_HAND, built, owner)


def redeploy(store: Store, built: Built, owner: Owner | None) -> Path | None:
    """Install a guest anew, and return what the folder that it had is called now, if it had one.

    Without `owner`, the new disks get the one that the old root disk has. Raises HostError or ImageError, also unless
    it is certain that the guest is down; then what was there is there still.
    """
    place = store.place(built.guest)
    with _host_errors(place), locked(store.folder, built.guest):
        draft.sweep(place)
        there = store.find(built.guest)
        with draft.draft(place) as folder:
            _fill(folder, built, owner or (_owner(there) if there else None))
            if there is None:
                draft.publish(folder, place)
                return None
            check_down(there.name, there.disks.values())
            aside = set_aside(store, there, REPLACED)
            try:  # killed here, there is no guest of this name, and the next try installs it
                draft.publish(folder, place)
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
        return 0 if not blank.is_allocated(file) and can_share(file, store.folder) else blank.space(file)


_BY_HAND = Receipt(deployed="", modules=None, disks={}, boot={}, configs={})


def _fill(folder: Path, built: Built, owner: Owner | None) -> None:
    for disk in built.disks:
        draft.copy_disk(disk, folder / disk.name, owner)
    for source in (*built.configs, *built.boot):
        draft.copy_file(source, folder / source.name)
    Receipt(
        deployed=_now(),
        modules=built.modules,
        disks={disk.name: made_from for disk, made_from in built.disks.items()},
        boot={source.name: Known.of(folder / source.name, sha256(source)) for source in built.boot},
        configs={source.name: Known.of(folder / source.name, sha256(source)) for source in built.configs},
    ).write(folder)


def _update(there: Deployed, known: Receipt, built: Built, owner: Owner | None) -> Outcome:
    outcome = Outcome()
    now = replace(
        known,
        deployed=known.deployed or _now(),
        disks=_add_disks(there, known, built, owner, outcome),
        boot=_replace_boot(there, known, built, outcome),
        configs=_replace_configs(there, known, built, outcome),
    )
    if now != known:
        now.write(there.folder)
    return outcome


def _add_disks(
    there: Deployed, known: Receipt, built: Built, owner: Owner | None, outcome: Outcome
) -> Mapping[str, Mapping[str, str]]:
    """Install disks that the guest never had, and return what is on record of all that it has."""
    disks = dict(known.disks)
    for source, made_from in built.disks.items():
        target = there.folder / source.name
        if _is_there(target):
            continue
        if source.name in known.disks:
            hint = f"put it back, or start anew: doit redeploy {there.name}"
            outcome.failed.append(f"{source.name} was deployed and is gone; {hint}")
            continue
        with publish(target, mode=draft.DISK, room=blank.space(source)) as path:
            draft.copy_disk(source, path, owner or _owner(there))
        disks[source.name] = made_from
        outcome.done.append(f"{source.name} added")
    return disks


def _replace_boot(there: Deployed, known: Receipt, built: Built, outcome: Outcome) -> Mapping[str, Known]:
    boot = dict(known.boot)
    now = {source.name: _sha256_there(there.folder / source.name, boot.get(source.name)) for source in built.boot}
    different = [source for source in built.boot if now[source.name] != sha256(source)]
    names = ", ".join(source.name for source in different)
    touched = [
        source.name
        for source in different
        if now[source.name] and (source.name not in boot or now[source.name] != boot[source.name].sha256)
    ]
    if not different:
        return boot
    if known.modules is None:
        outcome.kept.append(f"{names} kept: which modules the root disk has is not known")
    elif known.modules != built.modules:
        outcome.kept.append(f"{names} kept: the root disk has other modules than the new ones need")
    elif touched:
        outcome.kept.append(f"{names} kept: {', '.join(touched)} changed since it was deployed")
    else:
        for source in different:
            boot[source.name] = _replace(source, there.folder / source.name)
        outcome.done.append(f"{names} installed")
    return boot


def _replace_configs(there: Deployed, known: Receipt, built: Built, outcome: Outcome) -> Mapping[str, Known]:
    configs = dict(known.configs)
    missing = [path.name for path in (*built.disks, *built.boot) if not _is_there(there.folder / path.name)]
    for source in built.configs:
        target = there.folder / source.name
        now = _sha256_there(target, configs.get(source.name))
        if now == sha256(source):
            continue
        if missing:
            outcome.failed.append(f"{source.name} kept: a new one would need {', '.join(missing)}")
            continue
        backup = _back_up(target) if now else None
        configs[source.name] = _replace(source, target)
        outcome.done.append(f"{source.name} replaced, the old one is {backup}" if backup else f"{source.name} added")
    for name in known.configs.keys() - {source.name for source in built.configs}:
        if _is_there(there.folder / name):  # somebody might start the guest by it
            outcome.done.append(f"{name} is not made any more, the old one is {_back_up(there.folder / name)}")
            (there.folder / name).unlink()
        del configs[name]
    return configs


def _replace(source: Path, target: Path) -> Known:
    with publish(target, mode=draft.mode(source), room=blank.space(source)) as path:
        clone(source, path)
    return Known.of(target, sha256(source))


def _back_up(target: Path) -> str:
    backup = target.with_name(f"{target.name}.bak")
    with publish(backup, mode=draft.mode(target)) as path:
        clone(target, path)
    return backup.name


def _owner(there: Deployed) -> Owner | None:
    root = there.disks.get("root")
    return Owner.of(root) if root else None


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _sha256_there(path: Path, known: Known | None) -> str | None:
    if not path.exists():
        return None
    return known.now(path) if known else sha256(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _host_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = approximate_size(blank.free_space(place.parent))
            raise HostError(f"{place}: the disk is full: {free} is free", "make room, and try again") from error
        raise HostError(f"{error.filename or place}: {error.strerror}") from error
