"""`doit why`: why artifacts would be made, or not, in words."""

from collections.abc import Iterator, Mapping

from pipeline.commands.artifacts_command import ArtifactsCommand
from pipeline.engine.state.condition import Condition, State
from pipeline.errors import command

_NEXT = {
    State.FRESH: "is fresh: {doit} leaves it as it is",
    State.STALE: "is stale: {doit} makes it anew",
    State.MISSING: "is missing: {doit} makes it",
    State.MODIFIED: "is not as it was made: {doit} leaves it alone, and fails for it",
    State.UNREADABLE: "may not be read by this user, or what it is made from may not",
    State.IGNORED: "is ignored: doit leaves it as it is",
}
_PERHAPS = "is stale if what the next doit makes before it turns out to be different"


class Why(ArtifactsCommand):
    """Says why artifacts are stale, missing or modified."""

    name = "why"
    doc_purpose = "say why artifacts would be made by the next doit"
    doc_usage = "[TASK | GUEST ...]"
    doc_description = "Without arguments, it speaks of all that are not fresh. It changes nothing."

    def _execute(self, pos_args: list[str]) -> int:
        named = every = self.named(pos_args)
        found = self.conditions
        if not pos_args:
            named = [name for name in named if found[name].state is not State.FRESH]
        for name in named:
            self.outstream.writelines(self._story(name, found, deep=bool(pos_args)))
        if not named:
            self.outstream.write(f"all {len(every)} artifacts are fresh\n")
        return 0

    def _story(self, name: str, found: Mapping[str, Condition], *, deep: bool, indent: str = "") -> Iterator[str]:
        """What there is to say of an artifact and, where it is a `deep` story, of all that it is made from."""
        condition = found[name]
        doit = command(name) if self.artifacts[name].on_request else "the next doit"
        certain = bool(condition.reasons) or condition.state is State.FRESH
        yield f"{indent}{name} {_NEXT[condition.state].format(doit=doit) if certain else _PERHAPS}\n"
        yield from (f"{indent}  {reason}\n" for reason in condition.reasons)
        if condition.state is State.MODIFIED:
            yield f"{indent}  move it away to keep it, or have it made anew by: {command('forget', name)}\n"
        for cause in condition.causes:
            if deep:
                yield from self._story(cause, found, deep=True, indent=f"{indent}  ")
            else:
                yield f"{indent}  {cause} is made before it\n"
