"""`doit plan`: what a run would do and what it would cost, without doing any of it."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.commands.artifacts_command import ArtifactsCommand
from pipeline.commands.base_command import MOST_PROCESSES, WholeNumber
from pipeline.commands.output import table
from pipeline.engine.artifact import space
from pipeline.engine.artifact.artifact import SECONDS
from pipeline.engine.run.progress import size, usual_seconds
from pipeline.engine.state.condition import State
from pipeline.engine.state.freshness import with_all_before
from pipeline.errors import command, counted
from pipeline.image.files import usage
from pipeline.image.files.sparse import free_space
from pipeline.model.sizes import approximate_size

_SHOWN = 5
"""How many artifacts of a list are named."""

_WORKERS = {
    "name": "workers",
    "short": "n",
    "long": "process",
    "type": WholeNumber(1, MOST_PROCESSES),
    "default": 1,
    "help": "for a run with as many processes, as doit -n [default: %(default)s]",
}


@dataclass(slots=True)
class _Outlook:
    """What becomes of artifacts in a run that goes on after failures."""

    built: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Those that the run leaves alone, and fails for, and why."""
    not_built: list[str] = field(default_factory=list)
    """Those that are made from what failed."""
    ignored: set[str] = field(default_factory=set)


class Plan(ArtifactsCommand):
    """Says what a run would do."""

    name = "plan"
    doc_purpose = "show what a run would build, how many bytes it would write and about how long it would take"
    doc_usage = "[TASK | GUEST ...]"
    doc_description = (
        "The exit code is 1 if that run would fail. It changes nothing. "
        "Times are those that were recorded when such artifacts were built before."
    )
    cmd_options = (_WORKERS,)

    def _execute(self, workers: int, pos_args: list[str]) -> int:
        named = self.named(pos_args)  # first, since artifacts on request are among the others once they are named
        before = self._dependencies()
        wanted = with_all_before(named, lambda name: before.get(name, ()))
        outlook = self._outlook([name for name in self.artifacts if name in wanted], before)
        if outlook.built:
            self._show(outlook.built, workers)
        else:
            self.outstream.write("nothing to build\n")
        if outlook.ignored:
            number = counted(len(outlook.ignored), "artifact")
            self.outstream.write(f"{number} left out: doit ignore said so of them, or of what they are made from\n")
        return self._warn(outlook, "-c", *(outlook.built[:_SHOWN] if pos_args else ()))

    def _dependencies(self) -> dict[str, set[str]]:
        """For each artifact, those that are made before it."""
        makers = {target: name for name, task in self.artifacts.items() for target in task.targets}
        groups: dict[str, set[str]] = {}
        for name in self.artifacts:
            groups.setdefault(name.partition(":")[0], set()).add(name)
        return {
            name: {makers[file] for file in task.file_dep if file in makers}.union(
                *(groups.get(each, {each}) for each in task.task_dep if each in self.artifacts or each in groups)
            )
            for name, task in self.artifacts.items()
        }

    def _outlook(self, wanted: Sequence[str], before: Mapping[str, set[str]]) -> "_Outlook":
        """What becomes of the artifacts `wanted`, each of which comes after those that are made before it."""
        outlook = _Outlook()
        users = usage.in_use() if any(self.conditions[name].state is State.STALE for name in wanted) else set()
        for name in wanted:
            state = self.conditions[name].state
            if state is State.IGNORED or not outlook.ignored.isdisjoint(before[name]):
                outlook.ignored.add(name)
            elif state in (State.MODIFIED, State.UNREADABLE):
                outlook.failed[name] = "; ".join(self.conditions[name].reasons)
            elif not before[name].isdisjoint({*outlook.failed, *outlook.not_built}):
                outlook.not_built.append(name)
            elif used := [target for target in self.artifacts[name].targets if _inode(target) in users]:
                if state is not State.FRESH:
                    outlook.failed[name] = f"{', '.join(used)} is in use"
            elif state is not State.FRESH:
                outlook.built.append(name)
        return outlook

    def _warn(self, outlook: "_Outlook", *arguments: str) -> int:
        """Say what a run would fail for, and by what `arguments` of doit it goes on; return the exit code."""
        if not outlook.failed:
            return int(bool(space.shortage((self.artifacts[name] for name in outlook.built), self.site.build)))
        for name, reason in outlook.failed.items():
            self.outstream.write(f"{name}: doit fails for it: {reason}; see: {command('why', name)}\n")
        if outlook.not_built:
            number = counted(len(outlook.not_built), "artifact")
            self.outstream.write(f"{number} cannot be built without: {_few(outlook.not_built)}\n")
        if outlook.built:
            self.outstream.write(
                f"doit ends at the first failure; all that is listed is built by: {command(*arguments)}\n"
            )
        return 1

    def _show(self, built: list[str], workers: int) -> None:
        kinds = Counter(name.partition(":")[0] for name in built)
        written: dict[str, int] = defaultdict(int)
        seconds: dict[str, float] = defaultdict(float)
        usual = usual_seconds(self.artifacts.values(), self.dep_manager)
        for name in built:
            kind = name.partition(":")[0]
            written[kind] += size(self.artifacts[name])
            seconds[kind] += self.dep_manager.get_values(name).get(SECONDS) or usual.get(kind, 0)
        rows = [
            (kind, f"{count:,}", approximate_size(written[kind]), _time(seconds[kind]) if kind in usual else "unknown")
            for kind, count in kinds.items()
        ]
        self.outstream.writelines([*table([("artifacts", "number", "bytes", "time"), *rows]), "\n"])
        unknown = [kind for kind in kinds if kind not in usual]
        total = _time(sum(seconds.values()) / workers)
        known = f", not counting {', '.join(unknown)}, never built before" if unknown else ""
        duration = "an unknown time" if len(unknown) == len(kinds) else f"about {total}{known}"
        perhaps = any(not self.conditions[name].reasons for name in built)
        number = f"{'at most ' * perhaps}{counted(len(built), 'artifact')}"
        self.outstream.write(f"{number} to build: {duration}\n")
        need, free = sum(written.values()), free_space(self.site.build)
        short = space.shortage((self.artifacts[name] for name in built), self.site.build)
        verdict = f"{approximate_size(short)} too little, and doit refuses to begin" if short else "it fits"
        unread = [name for name in built if name.startswith("master:") and not self.dep_manager.get_values(name)]
        if unread and not short:
            verdict = f"what {', '.join(unread)} will hold is not known yet"
        self.outstream.write(f"{approximate_size(need)} to write, {approximate_size(free)} free: {verdict}\n")


def _inode(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  # as elsewhere, paths of targets are text
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _time(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
