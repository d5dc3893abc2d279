"""`doit plan`: what a run would do and what it would cost, without doing any of it."""

from collections import Counter, defaultdict

from pipeline.commands.artifacts_command import ArtifactsCommand
from pipeline.commands.base_command import MOST_PROCESSES, WholeNumber
from pipeline.commands.output import table
from pipeline.engine.artifact.artifact import SECONDS
from pipeline.engine.run.progress import size, usual_seconds
from pipeline.engine.state.condition import State
from pipeline.engine.state.freshness import with_all_before
from pipeline.errors import counted
from pipeline.image.files.sparse import free_space
from pipeline.model.sizes import approximate_size

_WORKERS = {
    "name": "workers",
    "short": "n",
    "long": "process",
    "type": WholeNumber(1, MOST_PROCESSES),
    "default": 1,
    "help": "for a run with as many processes, as doit -n [default: %(default)s]",
}


class Plan(ArtifactsCommand):
    """Says what a run would do."""

    name = "plan"
    doc_purpose = "show what a run would build, how many bytes it would write and about how long it would take"
    doc_usage = "[TASK | GUEST ...]"
    doc_description = "It changes nothing. Times are those that were recorded when such artifacts were built before."
    cmd_options = (_WORKERS,)

    def _execute(self, workers: int, pos_args: list[str]) -> int:
        causes = with_all_before(self.named(pos_args), lambda name: self.conditions[name].causes)
        wanted = [name for name in self.artifacts if name in causes]  # in the order of all tasks
        built = [name for name in wanted if self.conditions[name].state in (State.MISSING, State.STALE)]
        modified = [name for name in wanted if self.conditions[name].state is State.MODIFIED]
        if built:
            self._show(built, max(1, workers))
        else:
            self.outstream.write("nothing to build\n")
        for name in modified:
            self.outstream.write(
                f"{name} was modified since it was made, and doit would fail for it: doit why {name}\n"
            )
        return 0

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
        verdict = "it fits" if need <= free else f"{approximate_size(need - free)} too little"
        unread = [name for name in built if name.startswith("master:") and not self.dep_manager.get_values(name)]
        if unread and need <= free:
            verdict = f"what {', '.join(unread)} will hold is not known yet"
        self.outstream.write(f"{approximate_size(need)} to write, {approximate_size(free)} free: {verdict}\n")


def _time(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
