"""`doit status`: guests and what their artifacts are made from, each fresh, stale, missing or modified."""

import json
from collections import Counter
from collections.abc import Iterable

from pipeline.commands.artifacts_command import ArtifactsCommand
from pipeline.commands.output import table
from pipeline.commands.site_command import chosen
from pipeline.engine.state.condition import FRESH, Condition, State
from pipeline.errors import counted
from pipeline.model.guest import Guest

_STALE = {
    "name": "stale",
    "long": "stale",
    "type": bool,
    "default": False,
    "help": "only what is not fresh",
}
_JSON = {
    "name": "as_json",
    "long": "json",
    "type": bool,
    "default": False,
    "help": "as JSON: a mapping of tasks to their state, reasons and causes",
}
WORST = (State.MODIFIED, State.MISSING, State.STALE, State.UNREADABLE, State.IGNORED, State.FRESH)
"""States in the order in which they matter: a guest with several disks shows the first of theirs."""

_ABSENT = "-"
"""What a guest without swap has in its place."""


class Status(ArtifactsCommand):
    """Says which artifacts are fresh, stale, missing or modified."""

    name = "status"
    takes_guests = True
    doc_purpose = "show which artifacts are fresh, stale, missing or modified, and why"
    doc_usage = "[GUEST ...]"
    doc_description = "It changes nothing, and builds nothing."
    cmd_options = (_STALE, _JSON)

    def _execute(self, stale: bool, as_json: bool, pos_args: list[str]) -> int:
        guests = chosen(self.site.farm, pos_args)
        own = {name for guest in self.site.farm.guests.values() for name in self.names_of(guest)}
        shared = [] if pos_args else [name for name in self.artifacts if name not in own]
        listed = [*shared, *(name for guest in guests for name in self.names_of(guest))]
        found = {name: self.conditions[name] for name in listed}
        told = {name: condition for name, condition in found.items() if not stale or condition is not FRESH}
        if as_json:
            self.outstream.write(json.dumps({name: _plain(each) for name, each in told.items()}, indent=2) + "\n")
            return 0
        self._show([name for name in shared if name in told], found)
        self._show_guests([guest for guest in guests if not told.keys().isdisjoint(self.names_of(guest))], found)
        self._summarize(guests, listed)
        return 0

    def _show(self, shared: list[str], found: dict[str, Condition]) -> None:
        if shared:
            rows = [(name, str(found[name].state), summary_of(found[name])) for name in shared]
            self.outstream.writelines([*table([("shared", "state", "why"), *rows]), "\n"])

    def _show_guests(self, guests: list[Guest], found: dict[str, Condition]) -> None:
        rows = []
        columns = list(dict.fromkeys(_column(name) for guest in guests for name in self.names_of(guest)))
        for guest in guests:
            cells: dict[str, list[Condition]] = {}
            for name in self.names_of(guest):
                cells.setdefault(_column(name), []).append(found[name])
            states = [worst(cells[column]) if column in cells else _ABSENT for column in columns]
            rows.append((guest.name, *states, summary_of(*(each for cell in cells.values() for each in cell))))
        if rows:
            self.outstream.writelines(table([("guest", *columns, "why"), *rows]))

    def _summarize(self, guests: list[Guest], listed: list[str]) -> None:
        states = Counter(self.conditions[name].state for name in listed)
        told = ", ".join(f"{states[state]} {state}" for state in reversed(WORST) if states[state])
        self.outstream.write(f"{counted(len(guests), 'guest')}, {counted(len(listed), 'artifact')}: {told}\n")


def _column(name: str) -> str:
    return name.partition(":")[0]


def worst(conditions: Iterable[Condition]) -> str:
    """The state that matters most of artifacts in these conditions."""
    return str(min((condition.state for condition in conditions), key=WORST.index))


def summary_of(*conditions: Condition) -> str:
    """The first thing to know of artifacts that are not fresh; `doit why` has the rest."""
    reasons = [reason for condition in conditions for reason in condition.reasons]
    reasons += [f"{cause} is made before it" for condition in conditions for cause in condition.causes]
    different = list(dict.fromkeys(reasons))
    return different[0] + (f" (and {len(different) - 1} more)" if len(different) > 1 else "") if different else ""


def _plain(condition: Condition) -> dict[str, str | tuple[str, ...]]:
    return {"state": str(condition.state), "reasons": condition.reasons, "causes": condition.causes}
