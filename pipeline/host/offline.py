"""Down means down: before a guest's disks are touched, it is certain that nobody uses them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.host.lock import FOLDER, locked
from pipeline.host.toolstacks import check_stopped
from pipeline.image.files.usage import check_idle


@contextmanager
def down(store: Path, guest: str, files: Iterable[Path]) -> Iterator[None]:
    """Have the lock of `guest`, in the image store at `store`, for a block that may change `files`, its disks.

    Raises HostError or ImageError unless it is certain that no toolstack of this machine runs the guest, and that
    nobody has one of the files open. Who does not know of our lock can start the guest meanwhile all the same.
    """
    with locked(store, guest):
        check_down(guest, files)
        yield


@contextmanager
def image_down(image: Path) -> Iterator[None]:
    """The same for an `image` that is in no list: the folder that it is in has the guest's name.

    Where that one is in an image store of ours, the guest's lock is taken, too.
    """
    folder = image.parent.resolve()
    if (folder.parent / FOLDER).is_dir():
        with down(folder.parent, folder.name, [image]):
            yield
    else:
        check_down(folder.name, [image])
        yield


def check_down(guest: str, files: Iterable[Path]) -> None:
    """Raise HostError or ImageError unless it is certain that `guest` does not run, and nobody has `files` open."""
    check_stopped(guest)
    for file in files:
        check_idle(file)
