"""A run that has nothing or little to do: doit on farms of several sizes, and ninja on graphs of the same shape."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks import report
from benchmarks.farms import Workshop, tiny_master
from benchmarks.measure import Cost, Way, alternate, cost_of_program
from pipeline import process, tasks
from pipeline.engine import Artifact
from pipeline.tasks import Site

_BATCH = "guest"


def run(folder: Path, sizes: Sequence[int], rounds: int) -> Iterator[str]:
    """A table for each size, in guests; a farm grows from one to the next."""
    tiny_master(folder / "tiny.tar")
    workshop = Workshop.at(folder / "noop", "tar", folder / "tiny.tar", "16M")
    graph = folder / "graph"
    graph.mkdir()
    has_ninja = process.available("ninja")
    for size in sorted(sizes):
        workshop.doit(_BATCH, size)
        last = list(workshop.site(_BATCH, size).farm.guests)[-1]
        ways = [
            Way("doit", partial(_idle_doit, workshop)),
            Way("doit, one guest changed", partial(_changed, workshop, count(1000))),
            Way("doit root:GUEST config:GUEST", partial(_other, workshop, f"root:{last}", f"config:{last}")),
            Way("doit list", partial(_other, workshop, "list")),
        ]
        if has_ninja:
            _write_graph(graph, workshop.site(_BATCH, size))
            cost_of_program("ninja", "-C", graph)
            ways.append(Way("ninja", partial(_idle_ninja, graph)))
        title = f"Nothing to do for {size} guests"
        costs = alternate(title, ways, rounds, folder)
        yield report.table(title, costs, ways[-1].name, (report.CPU, report.WALL, report.MEMORY))
    if not has_ninja:
        yield "Without ninja, which is not installed (on Debian: ninja-build).\n"


def _write_graph(folder: Path, site: Site) -> None:
    """Write a build.ninja with a statement for each task of `site`; its files are empty and inside `folder`."""
    statements = ["rule make", "  command = touch $out"]
    made: set[str] = set()
    needed: set[str] = set()
    for artifact in _artifacts(site):
        targets, files = (_inside(paths, site) for paths in (artifact.targets, artifact.files))
        statements.append(f"build {' '.join(targets)}: make {' '.join(files)}")
        made.update(targets)
        needed.update(files)
    for name in needed - made:
        (folder / name).touch()
    (folder / "build.ninja").write_text("\n".join([*statements, ""]))


def _artifacts(site: Site) -> Iterator[Artifact]:
    yield from tasks.master.tasks(site)
    yield from tasks.kernel.tasks(site)
    for stage in (tasks.base.zeros, tasks.base.formats, tasks.base.populates):
        yield from stage(site)
    for own in (tasks.guest.roots, tasks.guest.swaps, tasks.guest.configs):
        yield from own(site)


def _inside(paths: Iterable[str], site: Site) -> list[str]:
    """Names for `paths` below one folder, whose own name may hold what ninja would misread."""
    return [str(Path(path).relative_to(site.build.parent.parent)) for path in paths]


def _idle_doit(workshop: Workshop, _: Path) -> Cost:
    return workshop.idle(_BATCH)


def _changed(workshop: Workshop, memory: Iterator[int], _: Path) -> Cost:
    return workshop.changed(_BATCH, next(memory))


def _other(workshop: Workshop, *arguments: str | Path) -> Cost:
    return workshop.other(_BATCH, *map(str, arguments[:-1]))


def _idle_ninja(graph: Path, _: Path) -> Cost:
    cost, output = cost_of_program("ninja", "-C", graph)
    if "no work to do" not in output:
        raise RuntimeError(f"ninja was to find nothing to do: {output}")
    return cost
