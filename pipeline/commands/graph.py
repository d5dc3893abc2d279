"""`doit graph`: which artifacts are made from which, as a drawing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import process
from pipeline.commands.artifacts_command import ArtifactsCommand
from pipeline.commands.output import OUTPUT, put
from pipeline.commands.status import WORST, worst
from pipeline.engine.state.condition import State
from pipeline.engine.state.freshness import with_all_before
from pipeline.errors import GuestfarmError

_NAME = "graph.svg"

_GROUPED_FROM = 30
"""From how many artifacts on those that are alike are drawn as one: a drawing of more is not read by anybody."""

_COLOURS = {
    State.FRESH: "#d5ecdc",
    State.STALE: "#fbe6bf",
    State.MISSING: "#e8dcf3",
    State.MODIFIED: "#f8cfcb",
    State.UNREADABLE: "#d3d9e6",
    State.IGNORED: "#e3e6ea",
}

_HEAD = """\
digraph farm {
    rankdir=LR;
    node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11, color="#8a94a3"];
    edge [color="#8a94a3", arrowsize=0.7];
"""

_DOT = {
    "name": "dot",
    "long": "dot",
    "type": bool,
    "default": False,
    "help": "write the graph in the language of Graphviz instead; needs no Graphviz",
}


@dataclass(slots=True)
class _Box:
    """Artifacts of one kind that are made from the same."""

    kind: str
    names: list[str] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)


class Graph(ArtifactsCommand):
    """Draws what is made from what."""

    name = "graph"
    doc_purpose = f"draw which artifacts are made from which, in build/{_NAME} unless told otherwise"
    doc_usage = "[TASK | GUEST ...] [-o FILE] [--dot]"
    doc_description = (
        f"From {_GROUPED_FROM} artifacts on, those of one kind that are made from the same are one box. "
        "Needs dot of Graphviz, but for --dot."
    )
    cmd_options = (OUTPUT, _DOT)

    def _execute(self, output: str, dot: bool, pos_args: list[str]) -> int:
        text = "".join([_HEAD, *self._lines(self._boxes(pos_args)), "}\n"])
        target = Path(output) if output else Path("-") if dot else self.site.build / _NAME
        put(text if dot else _drawn(text), target)
        if target != Path("-"):
            self.outstream.write(f"{target}\n")
        return 0

    def _boxes(self, arguments: list[str]) -> dict[str, _Box]:
        """The boxes by an identifier of each; those after which come others first."""
        makers = {target: name for name, task in self.artifacts.items() for target in task.targets}
        sources = {
            name: {makers[file] for file in task.file_dep if file in makers} for name, task in self.artifacts.items()
        }
        shown = with_all_before(self.named(arguments), sources.__getitem__)
        wanted = [name for name in self.artifacts if name in shown]
        grouped = len(wanted) >= _GROUPED_FROM
        boxes: dict[str, _Box] = {}
        of: dict[str, str] = {}
        for name in wanted:
            kind = name.partition(":")[0]
            above = {of[source] for source in sources[name]}
            identifier = f"{kind} of {' and '.join(sorted(above))}" if grouped else name
            box = boxes.setdefault(identifier, _Box(kind, sources=above))
            box.names.append(name)
            of[name] = identifier
        return boxes

    def _lines(self, boxes: dict[str, _Box]) -> Iterator[str]:
        numbers = {identifier: f"n{number}" for number, identifier in enumerate(boxes)}
        for identifier, box in boxes.items():
            states = Counter(self.conditions[name].state for name in box.names)
            colour = _COLOURS[State(worst(self.conditions[name] for name in box.names))]
            told = ", ".join(f"{states[state]:,} {state}" for state in WORST if states[state])
            label = box.names[0] if len(box.names) == 1 else f"{box.kind}: {len(box.names):,} artifacts"
            state = str(next(iter(states))) if len(box.names) == 1 else told
            label = _quoted(f"{label}\n{state}")
            yield f'    {numbers[identifier]} [label={label}, fillcolor="{colour}"];\n'
            yield from (f"    {numbers[source]} -> {numbers[identifier]};\n" for source in sorted(box.sources))


def _quoted(text: str) -> str:
    """`text` as a string of dot's, which has escapes of its own: https://graphviz.org/doc/info/shape.html#escString."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _drawn(text: str) -> str:
    """The graph as SVG. Raises GuestfarmError where there is no Graphviz."""
    if not process.available("dot"):
        raise GuestfarmError("drawing needs Graphviz, and its dot is missing", "install the package graphviz, or --dot")
    with TemporaryDirectory() as folder:
        source, drawing = Path(folder, "graph.dot"), Path(folder, "graph.svg")
        source.write_text(text, encoding="utf-8")
        process.run(["dot", "-Tsvg", "-o", drawing, source])
        return drawing.read_text(encoding="utf-8")
