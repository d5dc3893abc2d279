"""`doit report`: the farm as one page for a browser, which needs nothing else."""

import json
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

from pipeline.commands.artifacts_command import ArtifactsCommand
from pipeline.commands.output import OUTPUT, put
from pipeline.commands.status import WORST, summary_of, worst
from pipeline.engine.artifact.artifact import SECONDS
from pipeline.engine.run import logs
from pipeline.errors import counted
from pipeline.image.files.sparse import space
from pipeline.model.guest import Guest
from pipeline.model.sizes import approximate_size

_NAME = "report.html"

_COLUMNS = (
    ("guest", "text", 150),
    ("state", "text", 75),
    ("addresses", "text", 190),
    ("MAC", "text", 145),
    ("master", "text", 110),
    ("hypervisors", "text", 110),
    ("memory", "size", 80),
    ("vcpus", "number", 60),
    ("disks", "size", 80),
    ("allocated", "size", 90),
    ("build time", "seconds", 95),
    ("UUID", "text", 300),
    ("why", "text", 400),
)
"""Name, kind and width in pixels of each column of the table of guests, in the order of the cells."""


class Report(ArtifactsCommand):
    """Writes a page about the farm."""

    name = "report"
    doc_purpose = f"write a page about the farm for a browser, build/{_NAME} unless told otherwise"
    doc_usage = "[-o FILE]"
    doc_description = "The page needs nothing but itself: it can be mailed, or put on a web server."
    cmd_options = (OUTPUT,)
    takes_words = False

    def _execute(self, output: str) -> int:
        target = Path(output) if output else self.site.build / _NAME
        page = files("pipeline.commands").joinpath(_NAME).read_text(encoding="utf-8")
        put(page.replace("@DATA@", _embedded(self._data())), target)
        if target != Path("-"):
            self.outstream.write(f"{target}: {counted(len(self.site.farm.guests), 'guest')}\n")
        return 0

    def _data(self) -> dict[str, Any]:
        guests = [self._row(guest) for guest in self.site.farm.guests.values()]
        own = {name for guest in self.site.farm.guests.values() for name in self.names_of(guest)}
        shared = [
            (name, str(self.conditions[name].state), summary_of(self.conditions[name]), task.doc)
            for name, task in self.artifacts.items()
            if name not in own
        ]
        timeline = self._timeline()
        return {
            "farm": self.site.farm.name,
            "made": f"{counted(len(guests), 'guest')}, {counted(len(self.artifacts), 'artifact')}",
            "facts": self._facts(guests),
            "columns": [{"name": name, "kind": kind, "width": width} for name, kind, width in _COLUMNS],
            "guests": guests,
            "shared": shared,
            "timeline": timeline,
        }

    def _row(self, guest: Guest) -> list[str | int | float | None]:
        own = [self.artifacts[name] for name in self.names_of(guest) if name in self.artifacts]
        conditions = [self.conditions[task.name] for task in own]
        images = [Path(target) for task in own for target in task.targets if target.endswith(".img")]
        disks = [image for image in images if image.exists() and image.name != "initrd.img"]
        seconds = [self.dep_manager.get_values(task.name).get(SECONDS) for task in own]
        known = [each for each in seconds if each is not None]
        return [
            guest.name,
            worst(conditions),
            ", ".join(str(address) for nic in guest.nics for address in nic.addresses) or "by DHCP" * bool(guest.nics),
            ", ".join(nic.mac for nic in guest.nics),
            guest.base.master.name,
            ", ".join(guest.hypervisors),
            guest.memory,
            guest.vcpus,
            guest.base.size + (guest.swap or 0) + sum(disk.size for disk in guest.disks),
            sum(map(space, disks)) if disks else None,
            round(sum(known), 3) if known else None,
            str(guest.uuid),
            summary_of(*conditions),
        ]

    def _facts(self, guests: list[list[Any]]) -> list[tuple[str, str]]:
        states = Counter(condition.state for condition in self.conditions.values())
        cells = [column[0] for column in _COLUMNS]
        disks, allocated = (sum(row[cells.index(name)] or 0 for row in guests) for name in ("disks", "allocated"))
        return [
            ("guests", f"{len(guests):,}"),
            *((f"artifacts {state}", f"{states[state]:,}") for state in reversed(WORST) if states[state]),
            ("on guests' disks, at most", approximate_size(disks)),
            ("allocated to them", approximate_size(allocated)),
        ]

    def _timeline(self) -> list[dict[str, Any]]:
        try:
            lines = (logs.folder() / logs.LAST_RUN).read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines]
        except (OSError, ValueError):  # no run yet, or one that is writing it
            return []


def _embedded(data: dict[str, Any]) -> str:
    """`data` as JSON that no HTML parser takes for the end of the element it is in, nor for a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
