"""Down means down: before a guest's disks are touched, it is certain that nobody uses them."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.host.lock import FOLDER, check_unlocked, locked
from pipeline.host.toolstacks import Domains, check_stopped, of_guest
from pipeline.image.files.usage import check_idle


@contextmanager
def down(store: Path, guest: str, files: Iterable[Path], hypervisors: Collection[str] = ()) -> Iterator[None]:
    """Have the lock of `guest`, in the image store at `store`, for a block that may change `files`, its disks.

    Raises HostError or ImageError as check_down() does. Who does not know of our lock can start the guest meanwhile all
    the same.
    """
    with locked(store, guest):
        check_down(guest, files, hypervisors)
        yield


@contextmanager
def image_down(image: Path) -> Iterator[None]:
    """The same for an `image` that is in no list: the folder that it is in has the guest's name.

    Where that one is in an image store of ours, the guest's lock is taken, too.
    """
    store, guest = _owner(image)
    if store:
        with down(store, guest, [image]):
            yield
    else:
        check_down(guest, [image])
        yield


def check_down(
    guest: str,
    files: Iterable[Path],
    hypervisors: Collection[str] = (),
    domains: Domains | None = None,
    *,
    folder: Path | None = None,
) -> None:
    """Raise HostError or ImageError unless it is certain that `guest` does not run, and nobody has `files` open.

    The toolstacks are asked that it can be under, see of_guest(): by the configurations beside `files`, its disks, and
    in its `folder`, where there may be no disks; and by `hypervisors`, which the list has for it. What they said
    already when `domains` asked them is not asked again.
    """
    disks = list(files)
    folders = {disk.parent for disk in disks} | ({folder} if folder else set())
    check_stopped(guest, of_guest(guest, folders, hypervisors), domains)
    for disk in disks:
        check_idle(disk)


def check_ready(
    store: Path, guest: str, files: Iterable[Path], hypervisors: Collection[str] = (), domains: Domains | None = None
) -> None:
    """Raise what down() would raise now, for a plan: nothing is locked."""
    check_unlocked(store, guest)
    check_down(guest, files, hypervisors, domains)


def check_image_ready(image: Path, domains: Domains | None = None) -> None:
    """Raise what image_down() would raise now."""
    store, guest = _owner(image)
    if store:
        check_ready(store, guest, [image], domains=domains)
    else:
        check_down(guest, [image], domains=domains)


def _owner(image: Path) -> tuple[Path | None, str]:
    """The image store that an image is in, if it is one of ours, and the guest that its folder has the name of."""
    folder = image.parent.resolve()
    return folder.parent if (folder.parent / FOLDER).is_dir() else None, folder.name
