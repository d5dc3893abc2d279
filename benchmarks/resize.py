"""A disk of a guest made 2 GiB larger: by Guestfarm, and as it is done by hand."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import report, scripts
from benchmarks.farms import Workshop
from benchmarks.measure import Cost, Way, alternate, cost_of
from benchmarks.scratch import kind_of
from pipeline import process
from pipeline.host.offline import image_down
from pipeline.image import resize
from pipeline.model.sizes import GIB

_OURS = "Guestfarm"
_CLASSIC = "dd, cat >>, e2fsck -f, resize2fs -f, e2fsck -f"
_SPARSE = "truncate, e2fsck -f, resize2fs, e2fsck -f"
_GROWTH = 2 * GIB


def run(folder: Path, master: Path, root: str, rounds: int) -> Iterator[str]:
    """The table for a guest whose master is the tar file `master`, on a root disk of the size `root`."""
    workshop = Workshop.at(folder / "resize", "tar", master, root)
    workshop.doit("first", 1)
    site = workshop.site("first", 1)
    (guest,) = site.farm.guests.values()
    image = site.guest(guest) / "root.img"
    size = guest.base.size + _GROWTH
    title = f"2 GiB more for a disk of {root}, on {kind_of(image)}"
    ways = [
        Way(_CLASSIC, partial(_by_hand, scripts.GROW_BY_ZEROS, image, size)),
        Way(_SPARSE, partial(_by_hand, scripts.GROW_SPARSE, image, size)),
        Way(_OURS, partial(_guestfarm, image, size)),
    ]
    costs = alternate(title, ways, rounds, folder)
    yield report.table(title, costs, _OURS)
    ratio = report.ratio(costs, _CLASSIC, _OURS)
    yield report.aim("the classic way takes at least 10 times as long", met=ratio.median >= 10, measured=ratio)


def _guestfarm(source: Path, size: int, folder: Path) -> Cost:
    """As doit resize does it: seen to be down, planned, done with both checks, and on the disk."""
    image = _copied(source, folder)
    cost = cost_of(partial(_resize, image, size))
    _check(image, size)
    return cost


def _resize(image: Path, size: int) -> None:
    os.environ.setdefault("LIBVIRT_DEFAULT_URI", "test:///default")  # virsh is asked, but needs no daemon
    with image_down(image):
        resize.plan(resize.of_image(image, size)).carry_out()


def _by_hand(script: str, source: Path, size: int, folder: Path) -> Cost:
    image = _copied(source, folder)
    settings = {"IMAGE": str(image), "SIZE": str(size), "MORE": str(_GROWTH >> 20)}
    cost = cost_of(partial(process.run, ["sh", "-e", "-c", script], environment=settings))
    _check(image, size)
    return cost


def _copied(source: Path, folder: Path) -> Path:
    image = folder / "root.img"
    process.run(["cp", "--sparse=always", "--no-preserve=mode", source, image])
    process.run(["sync", image])
    return image


def _check(image: Path, size: int) -> None:
    """Raise RuntimeError where the disk was not made what it should be."""
    found = resize.plan(resize.of_image(image, size))
    if found.what or found.refusal or found.now != size:
        raise RuntimeError(f"{image} was not grown to {size} bytes: {found.what}{found.refusal}")
