"""The users of a guest: the defaults', those of its roles and its own put together, and what does not go together."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import GuestfarmError, quoted
from pipeline.guestlist.keys.user import (
    KEYS,
    PASSWORD,
    SUDO,
    UID,
    USER,
    USERS,
    Read,
    given,
    keys_in,
    needs_password,
    short_name,
)
from pipeline.guestlist.schema.table import Fields, Key
from pipeline.guestlist.syntax.nodes import Fault, Node, fault


def conflicts(guest: str, roles: Mapping[str, Fields], own: Fields) -> Iterator[Fault]:
    """What two of a guest's roles say differently of a user, where the guest itself does not say it."""
    if USERS in own and own[USERS] is None:
        return
    first: dict[tuple[str, str], tuple[str, object, Node]] = {}
    for role, fields in roles.items():
        for name, user in given(fields).items():
            ours = given(own).get(name, Fields({}))
            if ours is None:
                continue
            said: list[tuple[str, object, Node]] = [("", user is None, fields.node(USERS))]
            keys = [each for each in USER.table.items.values() if isinstance(each, Key)]
            said += [(each.name, user[each], user.node(each)) for each in keys if user is not None and each in user]
            for key, value, node in said:
                other, before, place = first.setdefault((name, key), (role, value, node))
                if before != value and not (key and any(each.name == key and each in ours for each in keys)):
                    message = (
                        f"role {quoted(other)} says otherwise in line {place.line}, and guest {quoted(guest)} has both"
                    )
                    path = ("roles", role, USERS.name, name, *([key.rpartition(".")[2]] if key else []))
                    yield fault(node, message, "say it in one of them, or in the guest itself", path)


def check(users: Mapping[str, Fields], node: Node) -> Iterator[Fault]:
    """What does not go together in the users of one guest; `node` is where they stand."""
    numbers: dict[int, str] = {}
    for name, fields in users.items():
        rules = fields[SUDO]
        if rules and needs_password(rules) and fields[PASSWORD] is None:
            hint = "give password: HASH, or say sudo: nopasswd"
            yield _at(fields, SUDO, node, "sudo asks for a password, and there is none", hint).under(name)
        uid = fields[UID]
        if uid is not None and (other := numbers.setdefault(uid, name)) != name:
            message = f"the number {uid} is that of user {quoted(other)}"
            yield _at(fields, UID, node, message, "give another").under(name)


def check_files(users: Mapping[str, Fields | None], folder: Path, read: Read | None) -> Iterator[Fault]:
    """What is wrong with the files of keys that users have by name."""
    for name, fields in users.items() if read else ():
        keys = fields[KEYS] if fields is not None else None
        for path in () if keys is None else keys:
            if fields is not None and read is not None and isinstance(path, Path):
                try:
                    keys_in(read(folder / path))
                    continue
                except OSError as error:
                    message, hint = f"{quoted(str(path))} cannot be read: {error.strerror}", ""
                    if not path.is_absolute():
                        hint = "paths are relative to the folder of the list"
                except GuestfarmError as error:
                    message, hint = f"{path}: {error.message}", error.hint
                yield fault(fields.node(KEYS), message, hint, (name, short_name(KEYS)))


def _at(fields: Fields, key: Key[Any], node: Node, message: str, hint: str) -> Fault:
    return fault(fields.node(key) if key in fields else node, message, hint, (short_name(key),))
