"""The names of systemd's units, as systemd.unit(5) has them: ssh.service, getty@.service, getty@tty1.service."""

import re

_TYPES = "service|socket|target|timer|path|mount|automount|swap|slice|scope|device"
_NAME = re.compile(rf"(?P<prefix>[A-Za-z0-9:_.\\-]+)(?P<at>@(?P<instance>[A-Za-z0-9:_.\\@-]*))?\.(?P<type>{_TYPES})")
_LONGEST = 255

WITH_ALIASES = frozenset(["service", "socket", "target", "device", "timer", "path"])
"""The types of units that may have other names."""


def is_valid(name: str) -> bool:
    """Whether a unit may be called so."""
    return len(name) <= _LONGEST and _NAME.fullmatch(name) is not None


def type_of(name: str) -> str:
    """What follows the last dot."""
    return name.rpartition(".")[2]


def prefix(name: str) -> str:
    """What comes before the "@", or before the type."""
    return _NAME.sub(r"\g<prefix>", name)


def instance(name: str) -> str | None:
    """What is between "@" and the type: empty for a template, None for a unit that is neither."""
    match = _NAME.fullmatch(name)
    return match["instance"] if match and match["at"] else None


def template(name: str) -> str | None:
    """The template of an instance; None for other units."""
    return with_instance(name, "") if instance(name) else None


def with_instance(name: str, text: str) -> str:
    """The instance `text` of a template."""
    return f"{prefix(name)}@{text}.{type_of(name)}"


def may_be_alias(alias: str, name: str) -> bool:
    """Whether the unit `name` may be called `alias`, too: see "Alias=" in systemd.unit(5)."""
    if not is_valid(alias) or type_of(alias) not in WITH_ALIASES or type_of(alias) != type_of(name):
        return False
    ours, theirs = instance(alias), instance(name)
    if theirs == "":  # a template
        return ours is not None
    return ours == theirs
