"""A master's files in a file system: by Guestfarm from the tar file, and by mke2fs from a folder."""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from importlib import resources
from pathlib import Path

from benchmarks import report, scripts
from benchmarks.farms import Workshop, actions
from benchmarks.measure import Cost, Way, alternate, cost_of
from pipeline import process, tasks
from pipeline.model import sizes
from pipeline.tasks import Site

_TITLE = "A master's files"
_OURS, _MKE2FS = "Guestfarm, from the tar file", "mke2fs -d, from the files in a folder"


def run(folder: Path, master: Path, root: str, rounds: int) -> Iterator[str]:
    """The table for the tar file `master` and disks of the size `root`."""
    if os.geteuid() != 0:
        yield f"### {_TITLE}\n\nSkipped: only root can unpack a master with its owners and devices\n"
        return
    folder = folder / "populate"
    workshop = Workshop.at(folder, "tar", folder / "master.tar", root)
    shutil.copyfile(master, folder / "master.tar")  # so that both read from the disk that they write to
    _run(scripts.UNPACK, TAR=str(folder / "master.tar"), TREE=str(folder / "tree"))
    site = workshop.site("first", 1)
    for action in actions(*tasks.master.tasks(site), *tasks.base.zeros(site), *tasks.base.formats(site)):
        action()
    ways = [
        Way(_MKE2FS, partial(_mke2fs, folder / "tree", sizes.parse_size(root))),
        Way(_OURS, partial(_guestfarm, site)),
    ]
    costs = alternate(_TITLE, ways, rounds, folder)
    yield report.table(_TITLE, costs, _MKE2FS)
    ratio = report.ratio(costs, _OURS, _MKE2FS)
    yield report.aim("at most 1.5 times mke2fs -d", met=ratio.median <= 1.5, measured=ratio)


def _guestfarm(site: Site, _: Path) -> Cost:
    """As Guestfarm does it: with a digest of all that it reads, directories made compact, and checked at the end."""
    cost = cost_of(*actions(*tasks.base.populates(site)))
    for base in site.farm.bases:
        site.populated(base).unlink()
    return cost


def _mke2fs(tree: Path, size: int, folder: Path) -> Cost:
    with resources.as_file(resources.files("pipeline.image.ext") / "mke2fs.conf") as features:
        settings = {"MKE2FS_CONFIG": str(features), "SIZE": str(size), "TREE": str(tree), "OUT": str(folder)}
        return cost_of(partial(_run, scripts.FILL, **settings))


def _run(script: str, **settings: str) -> None:
    process.run(["sh", "-e", "-c", script], environment=settings)
