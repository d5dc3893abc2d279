"""Guests that cloud-init tells who they are: what of the list it cannot do."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from pipeline.farm import roles, user_rules, users
from pipeline.farm.entries import Entry, Listed
from pipeline.farm.guests import EXTRA, IDENTITY, MASTER
from pipeline.farm.model.master import Identity, Master
from pipeline.farm.nodes import Fault, fault
from pipeline.farm.table import BrokenError, Fields, Key

_DISABLED = "cloud-init=disabled"
"""What cloud-init takes as the order to do nothing, among the kernel's arguments."""

_NOT_OF_ROOT: Final[tuple[Key[Any], ...]] = (
    *(users.LOCKED, users.SUDO, users.GROUPS, users.SHELL, users.UID, users.HOME, users.COMMENT),
)
_HINT = "leave it out, or say identity: files"


def check(
    entries: Iterable[Entry],
    defaults: Fields,
    masters: Mapping[str, Master | None] | None,
    known: roles.Roles | None,
) -> Iterator[Fault]:
    """What is asked for guests whose identity is cloud-init's, and is nothing that it does."""
    for entry in entries:
        for guest in entry:
            with suppress(BrokenError):
                if _is_by_cloud_init(guest, masters or {}):
                    yield from _extra(guest)
                    yield from _users(guest, defaults, roles.having(guest.fields[roles.ROLES], known or {}))


def _is_by_cloud_init(guest: Listed, masters: Mapping[str, Master | None]) -> bool:
    master = masters.get(guest.fields[MASTER])
    return (guest.fields[IDENTITY] or (master.identity if master else None)) is Identity.CLOUD_INIT


def _extra(guest: Listed) -> Iterator[Fault]:
    if _DISABLED in (guest.fields[EXTRA] or "").split():
        place = ("guests", guest.name) if EXTRA in guest.own else ("defaults",)
        yield fault(guest.fields.node(EXTRA), f"{_DISABLED} turns off what its identity comes from", _HINT, place)


def _users(guest: Listed, defaults: Fields, having: Mapping[str, Fields]) -> Iterator[Fault]:
    place = ("guests", guest.name) if users.USERS in guest.own else ("defaults",)
    for name, fields in user_rules.merged(defaults, having, guest.own).items():
        for key, message in _inexpressible(name, fields):
            short = key.name.rpartition(".")[2]
            yield fault(fields.node(key), message, _HINT, (*place, users.USERS.name, name, short))


def _inexpressible(name: str, fields: Fields) -> Iterator[tuple[Key[Any], str]]:
    if fields[users.GID] is not None:
        yield users.GID, "cloud-init has nothing for the number of a group"
    if name == "root":
        for key in _NOT_OF_ROOT:
            if fields[key] not in (None, ()):
                yield key, "cloud-init gives root, which is there already, nothing but keys and a password"
    elif fields[users.LOCKED] is False and fields[users.PASSWORD] is None:
        yield users.LOCKED, "cloud-init unlocks nobody but by a new password"
