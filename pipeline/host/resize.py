"""Deployed disks made as large as they shall be: planned for all guests, then done guest by guest, each while down."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TextIO

from pipeline.errors import GuestfarmError, HostError
from pipeline.host.offline import check_image_ready, check_ready, down, image_down
from pipeline.host.store import Deployed
from pipeline.host.toolstacks import Domains
from pipeline.image import resize
from pipeline.image.files import sparse
from pipeline.image.resize.apply import Content, Disk
from pipeline.image.resize.plan import Change
from pipeline.model.disk import Allocation
from pipeline.model.guest import Guest
from pipeline.model.sizes import approximate_size
from pipeline.process import logged


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done with the disks of one guest, or with one image."""

    name: str
    changes: Mapping[str, Change]
    """By the names of the disks."""
    shrink: bool
    """Whether disks may become smaller."""
    guard: Callable[[], AbstractContextManager[None]]
    """What must be entered before anything is done: it sees to it that nobody uses the disks."""
    check: Callable[[Domains], None]
    """Raises what `guard` would raise now; the toolstacks say it by these domains."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do, or to refuse."""
        return any(change.what or change.refusal for change in self.changes.values())

    @property
    def is_refused(self) -> bool:
        """Whether anything cannot be done."""
        return any(change.refusal for change in self.changes.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went with a disk."""

    result: str
    failed: bool = False


def of_guest(deployed: Deployed, guest: Guest, *, shrink: bool) -> Job:
    """What it takes to make the deployed disks of `guest` as large as the list says. Changes nothing.

    Raises HostError.
    """
    there = deployed.disks
    paths = {name: there.get(name, deployed.folder / f"{name}.img") for name in _wanted(guest)}
    disks = {name: replace(disk, image=paths[name]) for name, disk in _wanted(guest).items()}
    used = (
        deployed.folder.parent,
        guest.name,
        [path for path in paths.values() if path.exists()],
        tuple(guest.hypervisors),
    )
    return Job(
        guest.name,
        {name: resize.plan(disk, shrink=shrink) for name, disk in disks.items()},
        shrink,
        partial(down, *used),
        partial(check_ready, *used),
    )


def of_image(image: Path, size: int, *, shrink: bool) -> Job:
    """What it takes to make `image`, which may be from anywhere, `size` bytes long. Changes nothing."""
    try:
        change = resize.plan(resize.of_image(image, size), shrink=shrink)
    except GuestfarmError as error:
        disk = Disk(image=image, size=size, allocate=False, content=Content.FILE_SYSTEM)
        change = replace(resize.plan(disk), what="", refusal=error.message.removeprefix(f"{image}: "))
    return Job(str(image), {image.name: change}, shrink, partial(image_down, image), partial(check_image_ready, image))


def checked(jobs: Iterable[Job]) -> list[Job]:
    """The same jobs, where what carry_out() would fail with now is refused: a guest that runs, a disk in use.

    Changes nothing. What only e2fsck finds is not looked for.
    """
    domains = Domains()
    return [_checked(job, domains) for job in jobs]


def _checked(job: Job, domains: Domains) -> Job:
    changes = {name: change for name, change in job.changes.items() if change.what and not change.refusal}
    if not changes:
        return job
    try:
        job.check(domains)
        for change in changes.values():
            _check_writable(change.disk.image)
    except (GuestfarmError, OSError) as error:
        refused = {name: replace(change, refusal=str(error)) for name, change in changes.items()}
        return replace(job, changes={**job.changes, **refused})
    return job


def _check_writable(image: Path) -> None:
    """Raise HostError unless we may write to a disk, and to its folder, where the way back is kept meanwhile."""
    for path in (image, image.parent):
        if not os.access(path, os.W_OK):
            raise HostError(f"{path}: this user may not write to it", "run it as root")


def check_room(jobs: Iterable[Job]) -> Iterator[str]:
    """Raise HostError if what is planned cannot have the room that it takes at once; warn of what guests may fill."""
    changes = [change for job in jobs for change in job.changes.values() if change.what and not change.refusal]
    by_disk: dict[int, list[Change]] = defaultdict(list)
    for change in changes:
        by_disk[change.disk.image.parent.stat().st_dev].append(change)
    for on_disk in by_disk.values():
        folder = on_disk[0].disk.image.parent
        free = sparse.free_space(folder)
        room, later = sum(change.room for change in on_disk), sum(change.later for change in on_disk)
        if room > free:
            raise HostError(
                f"{folder}: what is planned takes {approximate_size(room)}, and {approximate_size(free)} is free there",
                f"make room for {approximate_size(room - free)} more, or resize fewer guests",
            )
        if later > free:
            yield (
                f"{folder}: warning: guests may fill their sparse disks by {approximate_size(later)} more, "
                f"and {approximate_size(free)} is free there"
            )


def carry_out(job: Job, log: TextIO) -> Mapping[str, Outcome]:
    """Do `job`, and write to `log` which programs ran, with their output. What came of each disk, by its name.

    Where one disk fails, those after it are left alone.
    """
    refusals = {
        name: Outcome(f"refused: {change.refusal}", failed=True)
        for name, change in job.changes.items()
        if change.refusal
    }
    if not any(change.what for change in job.changes.values() if not change.refusal):
        return {name: refusals.get(name, Outcome("")) for name in job.changes}
    _write(log, f"{job.name}: begun")
    done: dict[str, Outcome] = {}
    try:
        with logged(log), job.guard():
            for name, change in job.changes.items():
                done[name] = refusals[name] if name in refusals else _resized(change, job.shrink)
    except (GuestfarmError, OSError) as error:
        _write(log, f"{job.name}: failed: {error}")
        first, *others = (name for name in job.changes if name not in done)
        done[first] = Outcome(f"FAILED: {error}", failed=True)
        done |= {name: refusals.get(name, Outcome("not tried", failed=True)) for name in others}
    _write(log, f"{job.name}: ended")
    return done


def _resized(planned: Change, shrink: bool) -> Outcome:
    change = resize.plan(planned.disk, shrink=shrink)  # anew: time has gone by
    change.carry_out()
    return Outcome("done" if change.what else "")


def _wanted(guest: Guest) -> Mapping[str, Disk]:
    """The disks that the list gives `guest`; where they are is for others to say."""
    base = guest.base
    disks = {"root": _disk(base.size, Content.FILE_SYSTEM, base.allocation)}
    if guest.swap is not None:
        disks["swap"] = _disk(guest.swap, Content.SWAP, Allocation.SPARSE)
    for disk in guest.disks:
        content = Content.OWN if disk.filesystem is None else Content.FILE_SYSTEM
        disks[disk.name] = _disk(disk.size, content, disk.allocation)
    return disks


def _disk(size: int, content: Content, allocation: Allocation) -> Disk:
    return Disk(image=Path(), size=size, content=content, allocate=allocation is Allocation.FULL)


def _write(log: TextIO, text: str) -> None:
    when = datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    log.write(f"# {when} {text}\n")
    log.flush()
