"""`doit prune`: what guests, bases and masters that left the list have left behind."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.commands.disk import belongs_to_others, store_of
from pipeline.commands.site_command import SiteCommand
from pipeline.engine.artifact.targets import is_as_made, stamps
from pipeline.engine.state.state import Known
from pipeline.errors import GuestfarmError, command
from pipeline.host import retired
from pipeline.host.store import Aside, Deployed, Store
from pipeline.image.files.publish import is_draft
from pipeline.image.files.sparse import space
from pipeline.image.files.usage import users
from pipeline.tasks import ownership
from pipeline.tasks.manifest import NAME as MANIFEST

_YES = {
    "name": "yes",
    "long": "yes",
    "type": bool,
    "default": False,
    "help": "remove what is listed",
}
_MODIFIED = {
    "name": "modified",
    "long": "modified",
    "type": bool,
    "default": False,
    "help": "with --yes: also what was modified since it was made, or was not made by us",
}
_REPLACED = {
    "name": "replaced",
    "long": "replaced",
    "type": bool,
    "default": False,
    "help": "with --yes: instead of all else, the folders of guests that were replaced or retired, with their data",
}
_DAYS = {
    "name": "days",
    "long": "days",
    "type": int,
    "default": 0,
    "help": "with --replaced: only those that are as many days old [default: %(default)s]",
}


@dataclass(frozen=True, slots=True)
class _Orphan:
    """A file that no task makes any more."""

    path: Path
    freed: int
    """The bytes that are free when it is gone: none for one of several hard links."""
    modified: bool


class Prune(SiteCommand):
    """Lists and removes what no task makes any more."""

    name = "prune"
    doc_purpose = "list what guests that left the list have left behind; remove it with --yes"
    doc_usage = ""
    cmd_options = (_YES, _MODIFIED, _REPLACED, _DAYS)
    takes_words = False

    def looks(self, params: Any) -> bool:  # noqa: ANN401  # doit's
        """Whether nothing is removed."""
        return not params["yes"]

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError for options that mean nothing together."""
        super().check(params, words)
        if params["days"] and not params["replaced"]:
            raise GuestfarmError("--days is about guests that were replaced", "add --replaced, or leave it out")
        if params["modified"] and params["replaced"]:
            raise GuestfarmError("--modified and --replaced contradict each other", "give one of them")

    def _execute(self, yes: bool, modified: bool, replaced: bool, days: int) -> int:
        if replaced:
            return self._remove_aside(days, yes=yes)
        code = self._remove_orphans(yes, modified)
        if asides := self._aside(store_of(self.site)):
            self.outstream.write(
                f"{len(asides)} guests were replaced or retired, and are kept: {command('prune', '--replaced')}\n"
            )
        return code

    def _remove_aside(self, days: int, *, yes: bool) -> int:
        store = store_of(self.site)
        found = [each for each in self._aside(store) if each.age >= timedelta(days=days)]
        failed = False
        for each in found:
            taken = sum(space(path) for path in each.folder.rglob("*") if path.is_file())
            self.outstream.write(f"{_size(taken)}  {each.folder}\n")
            if yes:
                try:
                    retired.remove(store, each)
                except GuestfarmError as error:
                    print(error, file=sys.stderr)
                    failed = True
        if not found:
            self.outstream.write("no guest was replaced or retired\n")
        elif not yes:
            again = command("prune", "--replaced", *(["--days", str(days)] if days else []), "--yes")
            self.outstream.write(f"remove them, with all that the guests had, with: {again}\n")
        return 1 if failed else 0

    def _aside(self, store: Store) -> list[Aside]:
        """The folders that were set aside, but for those that are known to belong to other farms."""
        return [each for each in store.aside() if not belongs_to_others(store, Deployed(each.guest, each.folder))]

    def _remove_orphans(self, yes: bool, modified: bool) -> int:
        if yes:
            ownership.check_users(self.site.build)
            self.dep_manager.backend.lock.acquire()  # what a run is about to publish is no orphan
        known = {task.name for task in self.task_list}
        records = [task for task in self.dep_manager.backend.tasks() if task not in known]
        orphans = sorted(self._orphans(records), key=lambda orphan: orphan.path)
        kept = False
        for orphan in orphans:
            refusal = self._refusal(orphan, modified)
            kept = kept or bool(refusal)
            self.outstream.write(f"{_size(orphan.freed)}  {orphan.path}{refusal and f' ({refusal})'}\n")
            if yes and not refusal:
                orphan.path.unlink()
                _remove_empty(orphan.path.parent)
        if yes and not kept:
            for task in records:
                self.dep_manager.backend.discard(task)
        self._summarize(orphans, records, yes)
        return 1 if yes and kept else 0

    def _summarize(self, orphans: list[_Orphan], records: list[str], yes: bool) -> None:
        if not orphans and not records:
            self.outstream.write("nothing is left behind\n")
            return
        total = _size(sum(orphan.freed for orphan in orphans)).strip()
        self.outstream.write(f"{len(orphans)} files of {total}, {len(records)} records of tasks\n")
        if not yes:
            self.outstream.write(f"remove them with: {command('prune', '--yes')}\n")

    def _orphans(self, records: list[str]) -> Iterator[_Orphan]:
        wanted = {target for task in self.task_list for target in task.targets}
        wanted |= {str(self.site.guest(guest) / MANIFEST) for guest in self.site.farm.guests.values()}
        known: dict[str, Known] = {}
        for task in records:
            made = self.dep_manager.backend.known(task)
            known.update(dict.fromkeys(made.targets, made))
        for folder in ("guests", "bases", "masters"):
            for path in (self.site.build / folder).rglob("*"):
                if path.is_file() and str(path) not in wanted:
                    status = path.lstat()
                    freed = status.st_blocks * 512 if status.st_nlink == 1 else 0
                    ours = path.name == MANIFEST or is_draft(path.name) or self._is_as_made(str(path), known)
                    yield _Orphan(path, freed, modified=not ours)

    def _is_as_made(self, path: str, known: Mapping[str, Known]) -> bool:
        return path in known and is_as_made(path, stamps([path])[path], known[path], self.dep_manager.checker.content)

    def _refusal(self, orphan: _Orphan, modified: bool) -> str:
        found = ", ".join(users(orphan.path))
        if found:
            return f"in use by {found}"
        return "modified since it was made: needs --modified" if orphan.modified and not modified else ""


def _remove_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _size(size: int) -> str:
    return f"{size / (1 << 20):9.1f} MiB"
