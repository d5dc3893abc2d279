"""`doit ls`: which guests are deployed on this host, whether they run, how large they are, and how old."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pipeline.commands.lifecycle import DomainCommand
from pipeline.commands.output import table
from pipeline.engine import ArtifactTask
from pipeline.errors import GuestfarmError
from pipeline.host import fit
from pipeline.host.store import Deployed
from pipeline.host.toolstacks import Domains, UnknownStateError, of_guest
from pipeline.image.files import usage
from pipeline.model.guest import Guest
from pipeline.model.sizes import approximate_size
from pipeline.tasks import deployment

_JSON = {
    "name": "as_json",
    "long": "json",
    "type": bool,
    "default": False,
    "help": "print it as JSON, with sizes in bytes",
}

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Running:
    """Who runs on this host."""

    states: Mapping[str, str]
    """The state of each domain that is not down."""
    unknown: set[str]
    """The guests of which a toolstack that they can be under could not tell."""
    files: set[tuple[int, int]]
    """Device and inode of files that somebody has open to write."""

    def state(self, there: Deployed) -> str:
        """Whether the guest runs, in a word or two: what a toolstack says, else what its disks tell."""
        if there.name in self.states:
            return self.states[there.name]
        inodes = {(status.st_dev, status.st_ino) for disk in there.disks.values() if (status := _status(disk))}
        if inodes & self.files:
            return "in use"
        return _UNKNOWN if there.name in self.unknown else "down"


class Ls(DomainCommand):
    """Lists deployed guests."""

    name = "ls"
    only_looks = True
    doc_purpose = "list the guests of this host: which are deployed, running, how large, and what changed since"
    doc_usage = "[--json] [GUEST ...]"
    cmd_options = (_JSON,)

    def _execute(self, as_json: bool, pos_args: list[str]) -> int:
        names = self.known(pos_args or ["*"]) if self.site.farm.guests or self.store.guests() else []
        running, problems = self._running(names)
        rows = [self._row(name, running) for name in names]
        if as_json:
            self.outstream.write(json.dumps(rows, indent=2) + "\n")
        else:
            self.outstream.writelines(
                table([("GUEST", "STATE", "SIZE", "TAKEN", "DEPLOYED", "LIST"), *map(_cells, rows)])
            )
        problems += [f"{row['guest']}: {row['problem']}" for row in rows if "problem" in row]
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1 if problems else 0

    def _running(self, names: Sequence[str]) -> tuple[_Running, list[str]]:
        """Which of the deployed guests `names` run, and what could not be told, each cause once."""
        states: dict[str, str] = {}
        unknown = set()
        problems: dict[str, None] = {}
        domains = Domains()
        for name in names:
            there = self.store.find(name)
            for toolstack in of_guest(name, [there.folder], self.hypervisors(name)) if there else ():
                try:
                    state = domains.state(name, toolstack)
                except UnknownStateError as error:
                    unknown.add(name)
                    problems[f"which guests run cannot be told: {error.cause}"] = None
                else:
                    states |= {name: state} if state else {}
        return _Running(states, unknown, usage.in_use()), list(problems)

    def _row(self, name: str, running: _Running) -> dict[str, Any]:
        guest = self.site.farm.guests.get(name)
        there = self.store.find(name)
        if there is None:
            return {
                "guest": name,
                "listed": True,
                "state": "not deployed",
                "deployed": None,
                "disks": [],
                "changes": [],
            }
        return {
            "guest": name,
            "listed": guest is not None,
            "folder": str(there.folder),
            "state": running.state(there),
            "disks": [
                {"name": disk, "file": str(path), "size": status.st_size, "taken": status.st_blocks * 512}
                for disk, path in there.disks.items()
                if (status := _status(path))
            ],
            **self._found(guest, there),
        }

    def _found(self, guest: Guest | None, there: Deployed) -> dict[str, Any]:
        """What there is to say of a guest's folder besides what everybody sees."""
        try:
            known, owner = there.receipt, self.store.owner(there)
        except GuestfarmError as error:
            return {"deployed": None, "changes": [], "problem": str(error)}
        if known is None:
            return {"deployed": None, "changes": [], "by_hand": True}
        found: dict[str, Any] = {"deployed": known.deployed, "farm": known.farm, "changes": []}
        if owner is not None:
            return {**found, "belongs_to": owner}
        if guest is None:
            return found
        tasks = cast("Mapping[str, ArtifactTask]", self.tasks)
        built = deployment.built(self.site, guest, tasks)
        found["changes"] = list(deployment.changes(guest, tasks, built, there))
        faults = list(fit.faults(there, known, built, believed=False))
        return {**found, **({"does_not_fit": faults} if faults else {})}


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    size, taken = (sum(disk[key] for disk in row["disks"]) for key in ("size", "taken"))
    since = (row["deployed"] or "").partition("T")[0]
    if "problem" in row:
        changes = "unknown"
    elif row.get("belongs_to"):
        changes = f"belongs to {row['belongs_to']}"
    elif not row["listed"]:
        changes = "not in the list"
    elif row.get("by_hand"):
        changes = "made by hand"
    else:
        unfit = ["does not fit its disks"] if row.get("does_not_fit") else []
        changes = "; ".join([*unfit, *row["changes"]]) or ("as deployed" if row["deployed"] else "")
    sizes = (approximate_size(size), approximate_size(taken)) if row["disks"] else ("", "")
    return (row["guest"], row["state"], *sizes, since, changes)


def _status(path: Path) -> Any:  # noqa: ANN401  # an os.stat_result, or None for a link that leads nowhere
    return path.stat() if path.exists() else None
