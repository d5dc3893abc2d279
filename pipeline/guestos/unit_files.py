"""systemd's unit files: the section [Install], which says what it is to enable a unit; systemd.unit(5)."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipeline.errors import MasterError
from pipeline.model import unit_names

_LISTS = {"Alias": "alias", "WantedBy": "wants", "RequiredBy": "requires", "UpheldBy": "upholds", "Also": "also"}


@dataclass(slots=True)
class Install:
    """What a unit asks for. Names may have specifiers, as %i."""

    alias: list[str] = field(default_factory=list)
    wants: list[str] = field(default_factory=list)
    requires: list[str] = field(default_factory=list)
    upholds: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    default_instance: str = ""


def parse(texts: Iterable[str]) -> Install:
    """The section as the unit's file and those that were dropped in beside it have it, in their order."""
    install = Install()
    for text in texts:
        for name, value in _settings(text):
            if name == "DefaultInstance":
                install.default_instance = value
            elif name in _LISTS:
                there: list[str] = getattr(install, _LISTS[name])
                is_kept = bool(value) or name == "Also"  # of which there is no taking back
                setattr(install, _LISTS[name], [*there, *_words(value)] if is_kept else [])
    return install


def expanded(text: str, name: str, default_instance: str = "") -> str:
    """`text` with the specifiers that depend on the name of the unit alone. Raises MasterError for others."""
    if unit_names.instance(name) == "" and default_instance:
        name = unit_names.with_instance(name, default_instance)
    stem = name.rpartition(".")[0]
    instance = unit_names.instance(name) or ""
    prefix = unit_names.prefix(name)
    known = {"n": name, "N": stem, "p": prefix, "j": prefix.rpartition("-")[2], "i": instance, "%": "%"}

    def specifier(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise MasterError(f"[Install] has %{match[1]}, which only the running guest could tell")
        return known[match[1]]

    return re.sub("%(.)", specifier, text)


def _settings(text: str) -> Iterator[tuple[str, str]]:
    """The settings of [Install]; a line that ends in a backslash goes on in the next one that is no comment."""
    section, pending = "", ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(("#", ";")) or (not stripped and not pending):
            continue
        if stripped.endswith("\\"):
            pending += f"{stripped[:-1]} "
            continue
        stripped, pending = f"{pending}{stripped}".strip(), ""
        if stripped.startswith("["):
            section = stripped
        elif section == "[Install]":
            name, _, value = stripped.partition("=")
            yield name.strip(), value.strip()


def _words(value: str) -> list[str]:
    lexer = shlex.shlex(value, posix=True, punctuation_chars="")
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer)
    except ValueError:  # a quote that is not closed
        return value.split()
