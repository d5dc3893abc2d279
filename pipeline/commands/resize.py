"""`doit resize`: deployed disks made as large as the guest list says, or images from anywhere as large as told."""

import os
import shlex
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

import doit

from pipeline import signals
from pipeline.commands.base_command import MOST_PROCESSES, WholeNumber
from pipeline.commands.disk import store_of
from pipeline.commands.futures import ended
from pipeline.commands.output import table
from pipeline.commands.site_command import SiteCommand
from pipeline.engine import may_end_early, user_errors
from pipeline.errors import GuestfarmError
from pipeline.host import resize
from pipeline.host.resize import Job, Outcome
from pipeline.image.ext import libext2fs
from pipeline.image.files.private import open_log
from pipeline.model.sizes import MIB, format_size, parse_size

_YES = {
    "name": "yes",
    "long": "yes",
    "type": bool,
    "default": False,
    "help": "do what the plan says",
}
_SHRINK = {
    "name": "shrink",
    "long": "shrink",
    "type": bool,
    "default": False,
    "help": "make disks smaller, too, where the list has a smaller size",
}
_IMAGE = {
    "name": "image",
    "long": "image",
    "type": str,
    "default": "",
    "help": "an image file instead of guests; all arguments are then images. Needs no guest list, and no --yes",
}
_TO = {
    "name": "to",
    "long": "to",
    "type": str,
    "default": "",
    "help": "with --image: the size that it is to have, as 4G",
}
_PROCESS = {
    "name": "process",
    "short": "n",
    "long": "process",
    "type": WholeNumber(1, MOST_PROCESSES),
    "default": 1,
    "help": "how many guests to resize at a time [default: %(default)s]",
}

_NOT_TRIED = Outcome("not tried: interrupted", failed=True)

_OpenLog = Callable[[Job], AbstractContextManager[TextIO]]


class Resize(SiteCommand):
    """Shows what it takes to make deployed disks what the list says, and does it when told to."""

    name = "resize"
    doc_purpose = "make deployed disks as large as guests.yaml says: show the plan; do it with --yes"
    doc_usage = "[GUEST ...] | --image FILE --to SIZE"
    doc_description = "The exit code is 1 if anything is refused, or fails."
    cmd_options = (_YES, _SHRINK, _IMAGE, _TO, _PROCESS)
    takes_guests = True

    def execute(self, params: Any, args: list[str]) -> int:  # noqa: ANN401  # doit's
        """Resize guests; or images, for which no dodo.py and no list is needed."""
        if not params["image"] and not params["to"]:
            return super().execute(params, args)
        with may_end_early(), user_errors():
            jobs = _of_images([params["image"], *args], params["to"], params["shrink"])
            return _carry_out(jobs, lambda _: nullcontext(sys.stdout), params["process"])

    def _execute(self, yes: bool, shrink: bool, process: int, pos_args: list[str]) -> int:
        store = store_of(self.site)
        guests = {guest.name: guest for guest in self.guests(pos_args)}
        found = {name: store.get(name) if pos_args else store.find(name) for name in guests}
        for name, there in found.items():
            if there is not None and pos_args:
                store.check_own(there)
            elif there is not None and (owner := store.owner(there)):
                print(f"{there.folder} belongs to {owner}, and is left alone", file=sys.stderr)
                found[name] = None
        jobs = [resize.of_guest(there, guests[name], shrink=shrink) for name, there in found.items() if there]
        unlisted = [] if pos_args else [name for name in store.guests() if name not in self.site.farm.guests]
        if unlisted:
            print(f"not in the list, and left alone: {', '.join(unlisted)}", file=sys.stderr)
        if not jobs:
            self.outstream.write(f"no guest of the list is deployed in {store.folder}\n")
            return 0
        if yes:
            return _carry_out(jobs, self._log, process)
        jobs = resize.checked(jobs)
        self.outstream.writelines(_plan(jobs))
        for warning in resize.check_room(jobs):
            print(warning, file=sys.stderr)
        if any(change.what and not change.refusal for job in jobs for change in job.changes.values()):
            options = [*["--shrink"] * shrink, *(["-n", str(process)] if process != 1 else [])]
            self.outstream.write(f"do it with: {_command(*pos_args, *options, '--yes')}\n")
        return int(any(job.is_refused for job in jobs))

    @contextmanager
    def _log(self, job: Job) -> Iterator[TextIO]:
        path = self.site.build / "logs" / "resize" / f"{job.name}.log"
        with os.fdopen(open_log(path, append=True), "a", encoding="utf-8") as file:
            yield file


def _of_images(images: Sequence[str], to: str, shrink: bool) -> list[Job]:
    if not images[0] or not to:
        raise GuestfarmError("--image and --to belong together", "as in: doit resize --image root.img --to 4G")
    size = parse_size(to)
    if size % MIB:
        raise GuestfarmError(f"--to {to}: expected a whole number of MiB", "as 4G or 5000M")
    folder = Path(doit.get_initial_workdir() or Path.cwd())
    return [resize.of_image(folder / image, size, shrink=shrink) for image in dict.fromkeys(images)]


def _carry_out(jobs: Sequence[Job], open_log: _OpenLog, processes: int) -> int:
    """Do all that is needed, at most `processes` jobs at a time, show how it went, and return the exit code."""
    for warning in resize.check_room(jobs):
        print(warning, file=sys.stderr)
    batch = _Batch([job for job in jobs if job.is_needed], open_log)
    interrupted = False
    libext2fs.library()  # before there are threads, which may not be in it at once while it starts
    try:
        try:
            batch.carry_out(max(1, processes))
        except KeyboardInterrupt:
            interrupted = True
            _say("interrupted: no more disks are begun; those at work come to their end. Ctrl-C again stops these, too")
            batch.carry_out(0)
    except KeyboardInterrupt:
        _say("stopped; no disk has come to harm: doit resize undoes what was half done, and goes on from there")
        sys.stdout.flush()
        os._exit(signals.INTERRUPTED)  # the threads, and the programs that they wait for, end with us
    sys.stdout.writelines(_results(jobs, batch.outcomes))
    failed = any(outcome.failed for of_job in batch.outcomes.values() for outcome in of_job.values())
    return signals.INTERRUPTED if interrupted else int(failed)


class _Batch:
    """Jobs that are done at the same time, and what came of them. This thread begins each, and none after Ctrl-C."""

    def __init__(self, jobs: Sequence[Job], open_log: _OpenLog) -> None:
        self.outcomes: dict[str, Mapping[str, Outcome]] = {}
        self._count = len(jobs)
        self._waiting = deque(jobs)
        self._at_work: dict[Future[Mapping[str, Outcome]], Job] = {}
        self._open_log = open_log
        self._pool = ThreadPoolExecutor(max(1, self._count))

    def carry_out(self, most: int) -> None:
        """Have at most so many jobs at work until none is left; with 0, begin none, and wait for those at work."""
        while self._at_work or (most and self._waiting):
            while self._waiting and len(self._at_work) < most:
                with signals.late():
                    job = self._waiting.popleft()
                    self._at_work[self._pool.submit(_logged, job, self._open_log)] = job
            for future in ended(self._at_work):
                self._note(self._at_work[future].name, future.result())
                del self._at_work[future]

    def _note(self, name: str, outcomes: Mapping[str, Outcome]) -> None:
        self.outcomes[name] = outcomes
        bad = any(outcome.failed for outcome in outcomes.values())
        _say(f"[{len(self.outcomes)}/{self._count}] {name}: {'FAILED' if bad else 'done'}")


def _logged(job: Job, open_log: _OpenLog) -> Mapping[str, Outcome]:
    try:
        with open_log(job) as log:
            return resize.carry_out(job, log)
    except OSError as error:
        outcome = Outcome(f"FAILED: {error.filename}: {error.strerror}", failed=True)
        return dict.fromkeys(job.changes, outcome)


def _command(*words: str) -> str:
    """A command line of ours, for a shell: with the settings of this one that say which farm is meant."""
    settings = [f"{name}={value}" for name in ("guests", "build") if (value := doit.get_var(name))]
    return shlex.join(["doit", *settings, "resize", *words])


def _plan(jobs: Sequence[Job]) -> Iterator[str]:
    """A table of what will come of each disk, and below it all that is to be said of what is refused."""
    rows = [["guest", "disk", "now", "wanted", "what will happen"]]
    details = _Details()
    for job in jobs:
        for name, change in job.changes.items():
            what = f"refused: {change.refusal}" if change.refusal else change.what or "nothing"
            rows.append([job.name, name, _size(change.now), _size(change.disk.size), _on_one_line(what)])
            details.note(f"{job.name} {name}", what)
    yield from table(rows)
    yield from details.lines()


def _results(jobs: Sequence[Job], outcomes: Mapping[str, Mapping[str, Outcome]]) -> Iterator[str]:
    """A table of what came of each disk, and below it all that was said of those that failed."""
    rows = [["guest", "disk", "before", "now", "result"]]
    details = _Details()
    for job in jobs:
        for name, change in job.changes.items():
            there = outcomes.get(job.name, dict.fromkeys(job.changes, _NOT_TRIED if job.is_needed else Outcome("")))
            outcome = there[name]
            image = change.disk.image
            now = image.stat().st_size if image.is_file() else 0
            result = outcome.result or "nothing to do"
            rows.append([job.name, name, _size(change.now), _size(now), _on_one_line(result)])
            details.note(f"{job.name} {name}", result)
    yield from table(rows)
    yield from details.lines()


class _Details:
    """What has more than one line, and so does not go into a table: of each cause once, with all disks that have it."""

    def __init__(self) -> None:
        self._disks: dict[str, list[str]] = {}
        self._first: dict[str, str] = {}

    def note(self, disk: str, text: str) -> None:
        """Note all but the first line of `text`, which the table has."""
        first, _, rest = text.partition("\n")
        if rest:
            self._disks.setdefault(rest, []).append(disk)
            self._first.setdefault(rest, first)

    def lines(self) -> Iterator[str]:
        """What was noted, with the disks before it."""
        for rest, disks in self._disks.items():
            yield f"{', '.join(disks)}: {self._first[rest]}\n{rest}\n"


def _size(size: int) -> str:
    return format_size(size) if size else "?"


def _on_one_line(text: str) -> str:
    return text.partition("\n")[0].removesuffix(":")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
