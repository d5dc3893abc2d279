"""Guests that cloud-init tells who they are: what of the list it cannot do."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from pipeline.guestlist.keys import role as role_keys
from pipeline.guestlist.keys import user
from pipeline.guestlist.keys import user as user_keys
from pipeline.guestlist.keys.guest import EXTRA, IDENTITY, MASTER
from pipeline.guestlist.resolve.entries import Entry, Listed
from pipeline.guestlist.schema.table import BrokenError, Fields, Key
from pipeline.guestlist.syntax.nodes import Fault, fault
from pipeline.model.master import Identity, Master

_DISABLED = "cloud-init=disabled"
"""What cloud-init takes as the order to do nothing, among the kernel's arguments."""

_NOT_OF_ROOT: Final[tuple[Key[Any], ...]] = (
    *(
        user_keys.LOCKED,
        user_keys.SUDO,
        user_keys.GROUPS,
        user_keys.SHELL,
        user_keys.UID,
        user_keys.HOME,
        user_keys.COMMENT,
    ),
)
_HINT = "leave it out, or say identity: files"


def check(
    entries: Iterable[Entry],
    defaults: Fields,
    masters: Mapping[str, Master | None] | None,
    known: role_keys.Roles | None,
) -> Iterator[Fault]:
    """What is asked for guests whose identity is cloud-init's, and is nothing that it does."""
    for entry in entries:
        for guest in entry:
            with suppress(BrokenError):
                if _is_by_cloud_init(guest, masters or {}):
                    yield from _extra(guest)
                    yield from _users(guest, defaults, role_keys.having(guest.fields[role_keys.ROLES], known or {}))


def _is_by_cloud_init(guest: Listed, masters: Mapping[str, Master | None]) -> bool:
    master = masters.get(guest.fields[MASTER])
    return (guest.fields[IDENTITY] or (master.identity if master else None)) is Identity.CLOUD_INIT


def _extra(guest: Listed) -> Iterator[Fault]:
    if _DISABLED in (guest.fields[EXTRA] or "").split():
        place = ("guests", guest.name) if EXTRA in guest.own else ("defaults",)
        yield fault(guest.fields.node(EXTRA), f"{_DISABLED} turns off what its identity comes from", _HINT, place)


def _users(guest: Listed, defaults: Fields, having: Mapping[str, Fields]) -> Iterator[Fault]:
    place = ("guests", guest.name) if user_keys.USERS in guest.own else ("defaults",)
    for name, fields in user.merged(defaults, having, guest.own).items():
        for key, message in _inexpressible(name, fields):
            short = key.name.rpartition(".")[2]
            yield fault(fields.node(key), message, _HINT, (*place, user_keys.USERS.name, name, short))


def _inexpressible(name: str, fields: Fields) -> Iterator[tuple[Key[Any], str]]:
    if fields[user_keys.GID] is not None:
        yield user_keys.GID, "cloud-init has nothing for the number of a group"
    if name == "root":
        for key in _NOT_OF_ROOT:
            if fields[key] not in (None, ()):
                yield key, "cloud-init gives root, which is there already, nothing but keys and a password"
    elif fields[user_keys.LOCKED] is False and fields[user_keys.PASSWORD] is None:
        yield user_keys.LOCKED, "cloud-init unlocks nobody but by a new password"
