"""One more guest, its root disk, swap disk and configuration: by Guestfarm, by hand, and the bare copy under it all."""

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import edits, report, scripts
from benchmarks.edits import Edits
from benchmarks.farms import Workshop, actions
from benchmarks.measure import Cost, Costs, Way, alternate, cost_of
from benchmarks.scratch import kind_of, mounted, on_one_line, why_not_mounted
from pipeline import guestos, process, tasks
from pipeline.errors import ProcessError
from pipeline.image import ext
from pipeline.inputs.tree import walk
from pipeline.model.guest import Guest

_ACTIONS, _DOIT = "Guestfarm, the three actions alone", "Guestfarm, each guest more in a doit run"
_SPARSE, _REFLINK, _PLAIN = "--sparse=always", "--reflink=always", "--sparse=never"

_BATCH, _REFLINK_BATCH = 3, 10
"""How many guests are made at a time: enough to be seen beside a doit run that has nothing to do."""

_ROOM = 2 << 30
"""What a file system made for the benchmark has beside the base, in bytes."""


@dataclass(frozen=True, slots=True)
class _ByHand:
    """A script, the option that it gives cp, and how many guests it makes at a time."""

    script: str
    copy: str
    batch: int


def run(folder: Path, master: Path, root: str, rounds: int) -> Iterator[str]:
    """The tables for guests whose master is the tar file `master`, on root disks of the size `root`."""
    bench = _Bench.at(Workshop.at(folder / "here", "tar", master, root), rounds)
    yield from _here(bench, why_not_mounted(folder))
    for kind in ("xfs", "btrfs"):
        with ExitStack() as stack:
            try:
                elsewhere = stack.enter_context(mounted(kind, bench.base.stat().st_size + _ROOM, folder))
            except ProcessError as error:
                yield f"### {_title(kind)}\n\nSkipped: {on_one_line(error)}\n"
            else:
                yield from _elsewhere(kind, bench.base, elsewhere, root, rounds)


def _here(bench: "_Bench", no_mounts: str | None) -> Iterator[str]:
    others = {"cp --sparse=always, debugfs, tune2fs -U": _ByHand(scripts.BY_DEBUGFS, _SPARSE, _BATCH)}
    if no_mounts is None:
        others["cp --sparse=always, loop mount, edit"] = _ByHand(scripts.BY_MOUNT, _SPARSE, _BATCH)
        others["cp --sparse=never, loop mount, edit"] = _ByHand(scripts.BY_MOUNT, _PLAIN, 1)
    title = _title(kind_of(bench.base))
    costs = bench.compare(title, _SPARSE, _BATCH, others)
    yield report.table(title, costs, _bare(_SPARSE))
    if no_mounts is not None:
        yield f"Without the ways that mount: {no_mounts}\n"
    for way in (_ACTIONS, _DOIT):
        ratio = report.ratio(costs, way, _bare(_SPARSE))
        yield report.aim(f"{way}: at most 1.1 times the bare copy", met=ratio.median <= 1.1, measured=ratio)


def _elsewhere(kind: str, image: Path, folder: Path, root: str, rounds: int) -> Iterator[str]:
    """The same where copies share their blocks; the farm's master is an `image`, since that is finished already."""
    master = folder / "master.img"
    process.run(["cp", _SPARSE, image, master])
    bench = _Bench.at(Workshop.at(folder / "farm", "image", master, root), rounds)
    by_hand = "cp --reflink=always, debugfs, tune2fs -U"
    others = {
        by_hand: _ByHand(scripts.BY_DEBUGFS, _REFLINK, _REFLINK_BATCH),
        "cp --reflink=always, loop mount, edit": _ByHand(scripts.BY_MOUNT, _REFLINK, _REFLINK_BATCH),
    }
    title = _title(kind)
    costs = bench.compare(title, _REFLINK, _REFLINK_BATCH, others)
    yield report.table(title, costs, by_hand)
    for way in (_ACTIONS, _DOIT):
        met = report.middle(costs[way], report.WALL) < 0.05
        yield report.aim(f"{way}: under 50 ms", met=met, measured=report.typical(costs[way], report.WALL))


@dataclass(frozen=True, slots=True)
class _Bench:
    """A farm with its base and a first guest built, and that guest's own files laid out for scripts."""

    workshop: Workshop
    guest: Guest
    base: Path
    edits: Edits
    configuration: str
    rounds: int

    @classmethod
    def at(cls, workshop: Workshop, rounds: int) -> "_Bench":
        """Build the farm of `workshop` with one guest."""
        workshop.doit("first", 1)
        site = workshop.site("first", 1)
        (guest,) = site.farm.guests.values()
        base = site.populated(guest.base)
        with ext.open(base, write=False) as tree:
            own = edits.prepare(
                guestos.identity(guest, tree, Path.read_bytes, {}, walk), tree, workshop.folder / "edits"
            )
        configuration = (site.guest(guest) / f"{guest.name}.cfg").read_text()
        return cls(workshop, guest, base, own, configuration, rounds)

    def compare(self, title: str, copy: str, batch: int, others: Mapping[str, _ByHand]) -> Costs:
        """What a guest costs: as a bare copy, by Guestfarm, and by hand."""
        ways = [
            Way(_bare(copy), partial(self._copies, copy, batch)),
            Way(_ACTIONS, partial(self._actions, batch)),
            Way(_DOIT, partial(self._doit, batch, itertools.count())),
        ]
        ways += [Way(name, partial(self._by_hand, other)) for name, other in others.items()]
        return alternate(title, ways, self.rounds, self.workshop.folder)

    def _copies(self, copy: str, batch: int, folder: Path) -> Cost:
        targets = [folder / str(number) for number in range(batch)]
        return cost_of(*(partial(_copy, copy, self.base, target) for target in targets)) / batch

    def _actions(self, batch: int, _: Path) -> Cost:
        site = self.workshop.site("alone", batch)
        cost = cost_of(*actions(*tasks.guest.roots(site), *tasks.guest.swaps(site), *tasks.guest.configs(site)))
        self.workshop.remove(site)
        return cost / batch

    def _doit(self, batch: int, numbers: Iterator[int], _: Path) -> Cost:
        """What a doit run that makes a new batch costs beyond one that has nothing to do."""
        name = f"batch{next(numbers)}"
        building, idle = self.workshop.doit(name, batch), self.workshop.idle(name)
        self.workshop.remove(self.workshop.site(name, batch))
        return (building - idle) / batch

    def _by_hand(self, how: _ByHand, folder: Path) -> Cost:
        targets = [folder / str(number) for number in range(how.batch)]
        for target in targets:
            target.mkdir()
        cost = cost_of(*(partial(self._run, how, target) for target in targets)) / how.batch
        self.edits.check(targets[0] / "root.img")
        return cost

    def _run(self, how: _ByHand, target: Path) -> None:
        process.run(
            ["sh", "-e", "-c", how.script],
            environment={
                "COPY": how.copy,
                "BASE": str(self.base),
                "OUT": str(target),
                "EDITS": str(self.edits.folder),
                "ROOT_UUID": str(self.guest.root_uuid),
                "SWAP": str(self.guest.swap),
                "SWAP_UUID": str(self.guest.swap_uuid),
                "CONFIG": self.configuration,
            },
        )


def _title(kind: str) -> str:
    return f"One more guest, on {kind}"


def _bare(copy: str) -> str:
    return f"cp {copy}, fsync"


def _copy(copy: str, source: Path, target: Path) -> None:
    process.run(["cp", copy, source, target])
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
