"""The users of guests: their keys in the list, and what they mean."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pipeline.errors import GuestfarmError, quoted
from pipeline.guestlist.keys import names
from pipeline.guestlist.keys.public_keys import is_written_out, parse_keys
from pipeline.guestlist.schema.readers import Many, Matching, Number, Or, Parsed, Schema, Switch
from pipeline.guestlist.schema.table import Field, Fields, Key, Section, Table
from pipeline.guestlist.syntax.nodes import Fault, Node, ReadingError, Scalar, entries_of, fault
from pipeline.model.user import User

# useradd(8), CAVEATS, without the dollar sign at the end that Samba's machines have.
NAME = Matching(
    "the name of a user like admin",
    "[a-z_][a-z0-9_-]{0,31}",
    "32 lower case letters, digits, '-' and '_' at most; start with a letter or '_'",
)
GROUP_NAME = Matching(
    "the name of a group like adm",
    "[a-z_][a-z0-9_-]{0,31}",
    "32 lower case letters, digits, '-' and '_' at most; start with a letter or '_'",
)

# crypt(5), without the methods that it says are not to be used for new hashes.
_HASHES = (
    r"\$(y|gy)\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{0,86}\$[./A-Za-z0-9]{43}",
    r"\$7\$[./A-Za-z0-9]{11,97}\$[./A-Za-z0-9]{43}",
    r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}",
    r"\$6\$(rounds=[1-9][0-9]{3,8}\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86}",
    r"\$5\$(rounds=[1-9][0-9]{3,8}\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43}",
)
_HASH = "|".join(f"(?:{form})" for form in _HASHES)
_MAKE_A_HASH = "make a hash of it: mkpasswd -m yescrypt, or openssl passwd -6"

_RULE = r"(?![\s#@])[ -<>-~]*=[ -~]*(?<!\\)"
_SUDO = {"true": "ALL=(ALL:ALL) ALL", "nopasswd": "ALL=(ALL:ALL) NOPASSWD: ALL"}


Read = Callable[[Path], bytes]
"""Reads a file of this machine that guests are made of. Raises OSError."""


class _HashReader:
    """A password's hash. What is no hash may be a password: no message repeats it."""

    form = "the hash of a password, as mkpasswd -m yescrypt makes it"

    @property
    def schema(self) -> Schema:
        """What hashes look like."""
        return {"type": "string", "pattern": f"^(?:{_HASH})$"}

    def read(self, node: Node) -> str:
        """The hash. Raises ReadingError."""
        if not isinstance(node, Scalar) or node.is_null:
            raise ReadingError(fault(node, f"expected {self.form}"))
        if not re.fullmatch(_HASH, node.text):
            what = "a damaged hash, or one of an old kind" if node.text.startswith("$") else "a plain password"
            raise ReadingError(fault(node, f"{what}, where its hash should be", _MAKE_A_HASH))
        return node.text


def _parse_keys(text: str) -> str | Path:
    return "\n".join(parse_keys(text)) if is_written_out(text) else names.parse_file(text)


def _parse_sudo(text: str) -> str:
    rule = _SUDO.get(text, text)
    if not re.fullmatch(_RULE, rule):
        raise GuestfarmError(
            f"expected true, nopasswd, or what may follow a user in sudoers(5), found {quoted(text)}",
            "write one like ALL=(www-data) NOPASSWD: /usr/bin/systemctl restart nginx",
        )
    return rule


def _parse_home(text: str) -> PurePosixPath:
    path = names.parse_absolute_path(text)
    if ":" in text:
        raise GuestfarmError(f"{quoted(text)} has a colon", "it separates the fields of /etc/passwd")
    return path


_PATH = Parsed("an absolute path", _parse_home, r"/[^\x00-\x1f\x7f-\x9f'\"\\:]*")

KEYS: Final[Key[tuple[str | Path, ...] | None]] = Key(
    "user.keys",
    Many(Parsed("a public SSH key, or a file with such", _parse_keys)),
    "the SSH keys that let in; they take the place of the master's",
    None,
)
PASSWORD: Final[Key[str | None]] = Key("user.password", Or("none", _HashReader()), "a hash, never a password", None)
LOCKED: Final[Key[bool | None]] = Key(
    "user.locked",
    Or("none", Switch()),
    "lock the account: no login by password or key",
    None,
)
SUDO: Final[Key[tuple[str, ...] | None]] = Key(
    "user.sudo",
    Or("false", Many(Parsed("true, nopasswd, or a rule of sudoers(5)", _parse_sudo, f"true|nopasswd|{_RULE}"))),
    "what sudo lets do: all with the password, all without, or what rules say",
    None,
)
GROUPS: Final[Key[tuple[str, ...]]] = Key(
    "user.groups", Many(GROUP_NAME), "supplementary groups (must exist in the master)", ()
)
SHELL: Final[Key[PurePosixPath | None]] = Key(
    "user.shell", Or("none", _PATH), "the login shell, a program of the master; /bin/bash or /bin/sh if none", None
)
UID: Final[Key[int | None]] = Key(
    "user.uid", Or("none", Number(1, 999_999_999)), "its number; the first free one if none", None
)
GID: Final[Key[int | None]] = Key(
    "user.gid", Or("none", Number(1, 999_999_999)), "the number of its first group; one of its own if none", None
)
HOME: Final[Key[PurePosixPath | None]] = Key("user.home", Or("none", _PATH), "the home; /home/NAME if none", None)
COMMENT: Final[Key[str | None]] = Key(
    "user.comment",
    Or("none", Matching("a text without colons", r"[^:\x00-\x1f\x7f-\x9f]{0,200}")),
    "the full name, or what the user is for",
    None,
)
USER: Final = Section(
    "user", Table(KEYS, PASSWORD, LOCKED, SUDO, GROUPS, SHELL, UID, GID, HOME, COMMENT), "a user", optional=True
)


class UsersReader:
    """Users by name: {root: {keys: admin.pub}, web: {sudo: nopasswd}}."""

    form = "a mapping of names to users like {admin: {keys: admin.pub}}"
    table = USER.table

    @property
    def schema(self) -> Schema:
        """The names, and what a user may be."""
        forms = [*USER.schema["anyOf"], {"type": "null"}]
        return {
            "type": ["object", "null"],
            "patternProperties": {f"^(?:{NAME.pattern})$": {"description": USER.doc, "anyOf": forms}},
            "additionalProperties": False,
        }

    def read(self, node: Node) -> Mapping[str, Fields | None]:
        """The fields of each user, None for one that shall not be. Raises ReadingError with all that is wrong."""
        faults: list[Fault] = []
        users: dict[str, Fields | None] = {}
        for name, (key, value) in entries_of(node, self.form).items():
            fields: dict[str, Field] = {}
            found: list[Fault] = []
            try:
                NAME.read(key)
            except ReadingError as error:
                found += error.faults
            if not (isinstance(value, Scalar) and value.is_null):
                found += USER.read(value, fields)
            users[name] = None if USER.name in fields and fields[USER.name].value is False else Fields(fields)
            found += _contradictions(name, Fields(fields)) if not found else []
            faults += [each.under(name) for each in found]
        if faults:
            raise ReadingError(*faults)
        return users


USERS: Final[Key[Mapping[str, Fields | None] | None]] = Key(
    "users",
    Or("none", UsersReader()),
    "users by name, root included; with a guest's own come the defaults', key by key, unless it says NAME: none",
    None,
)


def _contradictions(name: str, fields: Fields) -> Iterator[Fault]:
    if name == "root":
        for key, number in ((UID, fields[UID]), (GID, fields[GID])):
            if number is not None:
                yield fault(fields.node(key), "root's number is 0", "remove it", (short_name(key),))


def needs_password(rules: tuple[str, ...]) -> bool:
    """Whether rules for sudo are those that ask for the user's password."""
    return _SUDO["true"] in rules


def keys_in(data: bytes) -> tuple[str, ...]:
    """The keys in a file. Raises GuestfarmError."""
    return parse_keys(data.decode(errors="replace"))


def user(name: str, fields: Fields, folder: Path) -> User:
    """The user that `fields` describe; files are named relative to `folder`."""
    keys = fields[KEYS]
    return User(
        name=name,
        keys=None if keys is None else tuple(key if isinstance(key, str) else folder / key for key in keys),
        password=fields[PASSWORD],
        locked=fields[LOCKED],
        sudo=() if (rules := fields[SUDO]) is None else rules,
        groups=fields[GROUPS],
        shell=fields[SHELL],
        uid=fields[UID],
        gid=fields[GID],
        home=fields[HOME],
        comment=fields[COMMENT],
    )


def short_name(key: Key[Any]) -> str:
    """The key as it is in the list."""
    return key.name.rpartition(".")[2]


def given(fields: Fields) -> Mapping[str, Fields | None]:
    """The users that `fields` have by name. Raises BrokenError."""
    users = fields[USERS]
    return {} if users is None else users


def merged(defaults: Fields, roles: Mapping[str, Fields], own: Fields) -> dict[str, Fields]:
    """The users of a guest by name, key by key: its own win over those of its roles, these over those of the defaults.

    Raises BrokenError.
    """
    if USERS in own and own[USERS] is None:
        return {}
    users: dict[str, Fields | None] = {}
    for layer in (defaults, *roles.values(), own):
        for name, fields in given(layer).items():
            above = users.get(name)
            users[name] = fields.over(above) if fields is not None and above is not None else fields
    return {name: fields for name, fields in users.items() if fields is not None}
