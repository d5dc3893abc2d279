"""`doit ls`: which guests are deployed on this host, whether they run, how large they are, and how old."""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pipeline.commands.lifecycle import DomainCommand
from pipeline.commands.output import table
from pipeline.engine import ArtifactTask
from pipeline.errors import GuestfarmError
from pipeline.host.receipt import Receipt
from pipeline.host.store import Deployed
from pipeline.hypervisors.toolstack import present
from pipeline.image.files import usage
from pipeline.model.guest import Guest
from pipeline.model.sizes import approximate_size, format_size
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
    known: bool
    """Whether every toolstack could tell."""
    files: set[tuple[int, int]]
    """Device and inode of files that somebody has open to write."""

    def state(self, there: Deployed) -> str:
        """Whether the guest runs, in a word or two: what a toolstack says, else what its disks tell."""
        if there.name in self.states:
            return self.states[there.name]
        inodes = {(status.st_dev, status.st_ino) for disk in there.disks.values() if (status := _status(disk))}
        if inodes & self.files:
            return "in use"
        return "down" if self.known else _UNKNOWN


class Ls(DomainCommand):
    """Lists deployed guests."""

    name = "ls"
    only_looks = True
    doc_purpose = "list the guests of this host: which are deployed, running, how large, and what changed since"
    doc_usage = "[--json] [GUEST ...]"
    cmd_options = (_JSON,)

    def _execute(self, as_json: bool, pos_args: list[str]) -> int:
        names = self.known(pos_args or ["*"]) if self.site.farm.guests or self.store.guests() else []
        running, problems = _running()
        rows = [self._row(name, running) for name in names]
        if as_json:
            self.outstream.write(json.dumps(rows, indent=2) + "\n")
        else:
            self.outstream.writelines(
                table([("GUEST", "STATE", "SIZE", "TAKEN", "DEPLOYED", "LIST"), *map(_cells, rows)])
            )
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1 if problems else 0

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
        known = there.receipt
        return {
            "guest": name,
            "listed": guest is not None,
            "folder": str(there.folder),
            "state": running.state(there),
            "deployed": known.deployed if known else None,
            "disks": [
                {"name": disk, "file": str(path), "size": status.st_size, "taken": status.st_blocks * 512}
                for disk, path in there.disks.items()
                if (status := _status(path))
            ],
            "changes": list(self._changes(guest, there, known)) if guest and known else [],
            **({"by_hand": True} if known is None else {}),
        }

    def _changes(self, guest: Guest, there: Deployed, known: Receipt) -> Iterator[str]:
        """How the list differs from what is deployed, as far as the guest sees it."""
        tasks = cast("Mapping[str, ArtifactTask]", self.tasks)
        built = deployment.built(self.site, guest, tasks)
        sizes = {"root": guest.base.size, "swap": guest.swap, **{disk.name: disk.size for disk in guest.disks}}
        for path, made_from in built.disks.items():
            if path.name not in known.disks:
                if not (there.folder / path.name).exists():
                    yield f"{path.stem}: new"
                continue
            recorded = {name: of for name, of in known.disks[path.name].items() if name != "master" or built.modules}
            changed = [name for name in {**recorded, **made_from} if recorded.get(name) != made_from.get(name)]
            status, size = _status(there.folder / path.name), sizes.get(path.stem)
            if status and size and status.st_size != size:
                changed.append(f"size {format_size(size)}")
            if changed:
                yield f"{path.stem}: {', '.join(changed)}"
        texts = {
            name: text for task in deployment.other_tasks(guest) for name, text in tasks[task].made_from.now().items()
        }
        for path in built.configs:
            text = texts.get(path.name)
            recorded_config = known.configs.get(path.name)
            same = recorded_config and isinstance(text, str) and _sha256(text) == recorded_config.sha256
            if isinstance(text, str) and not same:
                yield path.name


def _running() -> tuple[_Running, list[str]]:
    """Who runs, and what could not be told, one line each."""
    states: dict[str, str] = {}
    problems = []
    for _, toolstack in present():
        try:
            states |= toolstack.active()
        except GuestfarmError as error:
            problems.append(f"which guests run cannot be told: {error}")
    return _Running(states, not problems, usage.in_use()), problems


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    size, taken = (sum(disk[key] for disk in row["disks"]) for key in ("size", "taken"))
    since = (row["deployed"] or "").partition("T")[0]
    if not row["listed"]:
        changes = "not in the list"
    elif row.get("by_hand"):
        changes = "made by hand"
    else:
        changes = "; ".join(row["changes"]) or ("as deployed" if row["deployed"] else "")
    sizes = (approximate_size(size), approximate_size(taken)) if row["disks"] else ("", "")
    return (row["guest"], row["state"], *sizes, since, changes)


def _status(path: Path) -> Any:  # noqa: ANN401  # an os.stat_result, or None for a link that leads nowhere
    return path.stat() if path.exists() else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
