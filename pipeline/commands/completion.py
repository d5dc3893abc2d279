"""`doit completion`: what the Tab key can complete in bash and zsh, and the few lines that have them ask for it."""

import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from doit.task import Task

from pipeline.commands.artifacts_command import ArtifactsCommand
from pipeline.commands.site_command import SiteCommand
from pipeline.engine import may_end_early
from pipeline.engine.state import looking
from pipeline.errors import GuestfarmError, quoted
from pipeline.tasks import Site

# The word at the cursor comes last. Each has a plus sign before it: doit takes no empty words, and some are options.
# bash breaks words at colons, which task names have.
_SCRIPTS = {
    "bash": """\
_doit_guestfarm() {
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}") line=${COMP_LINE:0:COMP_POINT} word
    read -ra words <<<"$line"
    local doit=${words[0]}
    words=("${words[@]:1}")
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[-1]}
    mapfile -t COMPREPLY < <("$doit" completion words -- "${words[@]/#/+}" 2>/dev/null)
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
    fi
}
complete -o default -F _doit_guestfarm doit
""",
    "zsh": """\
#compdef doit
_doit_guestfarm() {
    local -a found
    found=("${(@f)$("${words[1]}" completion words -- "${(@)words[2,CURRENT]/#/+}" 2>/dev/null)}")
    found=("${(@)found:#}")
    compadd -a found || _files
}
compdef _doit_guestfarm doit
""",
}


_TASKS = ("clean", "forget", "help", "ignore", "info", "list", "reset-dep", "run", "strace")
"""doit's own commands whose arguments are tasks."""


class Completion(SiteCommand):
    """Prints what has a shell complete commands, tasks, guests and options."""

    name = "completion"
    only_looks = True
    doc_purpose = "print what has bash or zsh complete commands, guests and tasks"
    doc_usage = "bash | zsh"
    doc_description = (
        'For this shell: eval "$(doit completion bash)". The shell then asks `doit completion words -- +WORD ...` for '
        "what the last of these words can become."
    )

    def __init__(self, cmds: Any = None, **options: Any) -> None:  # noqa: ANN401  # whatever doit's own takes
        super().__init__(cmds=cmds, **options)
        self._commands: Any = cmds or {}
        self._options = options

    def parse_execute(self, in_args: list[str]) -> int:
        """Print a script; or the words, which look like options here and there."""
        if in_args[:2] != ["words", "--"]:
            return int(super().parse_execute(in_args))
        *before, word = [each.removeprefix("+") for each in in_args[2:]] or [""]
        try:
            with redirect_stderr(StringIO()), looking.only():
                self.execute(self.cmdparser.parse([])[0], [])
            site, tasks = self.site, self.task_list
        except (Exception, SystemExit):  # no dodo.py, or mistakes in the list: no reason to disturb who types
            site, tasks = None, []
        found = {each for each in self._candidates(before, word, site, tasks) if each.startswith(word)}
        with may_end_early():
            sys.stdout.writelines(f"{each}\n" for each in sorted(found))
        return 0

    def _execute(self, pos_args: list[str]) -> int:
        if not pos_args:  # only the farm was wanted
            return 0
        if len(pos_args) > 1 or pos_args[0] not in _SCRIPTS:
            raise GuestfarmError(f"no such shell: {quoted(' '.join(pos_args))}", f"known: {', '.join(_SCRIPTS)}")
        self.outstream.write(_SCRIPTS[pos_args[0]])
        return 0

    def _candidates(self, before: list[str], word: str, site: Site | None, tasks: list[Task]) -> Iterator[str]:
        given = [each for each in before if not each.startswith("-") and "=" not in each]
        verb = given[0] if given and given[0] in self._commands else "run"
        command = self._commands.get_plugin(verb)
        if word.startswith("-"):
            made = command(cmds=self._commands, **self._options)
            yield from (f"--{option.long}" for option in made.cmdparser.options if option.long)
            return
        guests = list(site.farm.guests) if site else []
        if not given:
            yield from self._commands
            prefix, colon, _ = word.partition(":")
            if colon and prefix in self._commands and getattr(self._commands.get_plugin(prefix), "takes_guests", False):
                yield from (f"{prefix}:{guest}" for guest in guests)
        if getattr(command, "takes_guests", False) or issubclass(command, ArtifactsCommand):
            yield from guests
        if verb in _TASKS or issubclass(command, ArtifactsCommand):
            # With ten thousand guests nobody wants to see all tasks before there is a colon.
            yield from (task.name for task in tasks if ":" in word or not task.subtask_of)
        if verb == "help":
            yield from self._commands
        if verb == self.name:
            yield from _SCRIPTS
