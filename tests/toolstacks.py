"""A machine's toolstacks for tests: programs that know domains like xl and virsh, and note what they are told."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

# A domain is a file in $0.domains with its state. A file $0.fails is what the program says, and all that it does.
_HEAD = """\
#!/bin/sh
domains="$0.domains"
echo "$(basename "$0") $*" >>"$(dirname "$0")/calls"
if [ -e "$0.fails" ]; then cat "$0.fails" >&2; exit 1; fi
if [ -e "$0.prints" ]; then cat "$0.prints"; exit 0; fi
missing() { echo "error: failed to get domain '$1'" >&2; exit 1; }
"""

_XL = """\
case "$1" in
list)
    printf 'Name                                        ID   Mem VCPUs\\tState\\tTime(s)\\n'
    printf 'Domain-0                                     0  1024     2     r-----      10.2\\n'
    for file in "$domains"/*; do
        [ -e "$file" ] || continue
        printf '%-40s %5d %5d %5d     %s       3.1\\n' "$(basename "$file")" 7 512 1 "$(cat "$file")"
    done ;;
create)
    state=-b----
    if [ "$2" = -p ]; then state=--p---; shift; fi
    echo "$state" >"$domains/$(sed -n 's/^name = "\\(.*\\)"$/\\1/p' "$2")" ;;
unpause) echo r----- >"$domains/$2" ;;
shutdown) [ -e "$domains/$3" ] || missing "$3"; [ -e "$0.stubborn" ] || rm "$domains/$3" ;;
destroy) rm "$domains/$2" ;;
console) [ -t 0 ] && tty=terminal; echo "console of $2 ${tty:-no terminal}" ;;
*) exit 2 ;;
esac
"""

_VIRSH = """\
[ "$1" = --connect ] || exit 2
shift 2
case "$1" in
list)
    printf ' Id   Name    State\\n------------------------\\n'
    for file in "$domains"/*; do
        [ -e "$file" ] || continue
        id=7; [ "$(cat "$file")" != 'shut off' ] || id=-
        printf ' %s   %s   %s\\n' "$id" "$(basename "$file")" "$(cat "$file")"
    done
    echo ;;
define) echo 'shut off' >"$domains/$(sed -n 's/^  <name>\\(.*\\)<.name>$/\\1/p' "$2")" ;;
start) [ -e "$domains/$2" ] || missing "$2"; state=running; [ "$3" != --paused ] || state=paused
    echo "$state" >"$domains/$2" ;;
resume) echo running >"$domains/$2" ;;
shutdown) [ -e "$domains/$2" ] || missing "$2"; [ -e "$0.stubborn" ] || echo 'shut off' >"$domains/$2" ;;
destroy) echo 'shut off' >"$domains/$2" ;;
console) [ -t 0 ] && tty=terminal; echo "console of $2 ${tty:-no terminal}" ;;
*) exit 2 ;;
esac
"""

_PROGRAMS = {"xl": _XL, "virsh": _VIRSH}


@dataclass(frozen=True)
class Toolstacks:
    """Programs in `folder`, which is to come first in PATH."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder}:{os.environ['PATH']}", "LIBVIRT_DEFAULT_URI": "test:///default"}

    @property
    def calls(self) -> list[str]:
        """What the programs were told, but for questions."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if " list" not in line]

    def install(self, *programs: str) -> None:
        self.folder.mkdir(exist_ok=True)
        for program in programs:
            (self.folder / program).write_text(_HEAD + _PROGRAMS[program])
            (self.folder / program).chmod(0o755)
            (self.folder / f"{program}.domains").mkdir()

    def set(self, program: str, domain: str, state: str) -> None:
        """Have a domain in a state, as the program prints it."""
        (self.folder / f"{program}.domains" / domain).write_text(f"{state}\n")

    def state(self, program: str, domain: str) -> str | None:
        path = self.folder / f"{program}.domains" / domain
        return path.read_text().strip() if path.exists() else None

    def remove(self, program: str, domain: str) -> None:
        (self.folder / f"{program}.domains" / domain).unlink()

    def fail(self, program: str, message: str) -> None:
        """Have the program say `message`, and fail, whatever it is told."""
        (self.folder / f"{program}.fails").write_text(f"{message}\n")

    def print(self, program: str, text: str) -> None:
        """Have the program print `text`, and succeed, whatever it is told."""
        (self.folder / f"{program}.prints").write_text(text)

    def be_stubborn(self, program: str) -> None:
        """Have guests that do not shut down."""
        (self.folder / f"{program}.stubborn").touch()

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have this process find them."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
