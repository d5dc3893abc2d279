"""Users and groups of the guest, in the files where useradd(8) has them: passwd(5), shadow(5), group(5), and others."""

from collections.abc import Iterable, Iterator
from typing import Final

from pipeline.errors import MasterError, did_you_mean, quoted
from pipeline.guestos.databases import Database, settings
from pipeline.guestos.errors import Faults
from pipeline.image.layer.entries import Content, Entry, File, Metadata
from pipeline.image.layer.tree import Tree, resolve
from pipeline.model.user import User

_PASSWD, _SHADOW, _GROUP, _GSHADOW = "etc/passwd", "etc/shadow", "etc/group", "etc/gshadow"
_SUBORDINATE = ("etc/subuid", "etc/subgid")
_FIELDS: Final = {_PASSWD: 7, _SHADOW: 9, _GROUP: 4, _GSHADOW: 4}

# login.defs(5), where the master's own says nothing.
_DEFAULTS: Final = {
    **{"UID_MIN": "1000", "UID_MAX": "60000", "GID_MIN": "1000", "GID_MAX": "60000"},
    **{"PASS_MIN_DAYS": "", "PASS_MAX_DAYS": "", "PASS_WARN_AGE": ""},
}
_SUBORDINATE_START, _SUBORDINATE_COUNT = 100_000, 65_536

_NO_PASSWORD = "*"  # noqa: S105  # shadow(5): no password fits; "!" would keep SSH keys out as well, sshd(8)
_LOCK = "!"
_EXPIRED = "1"
"""The day, counted from 1970: usermod(8) has it for accounts that nobody shall get into by any way."""


class Accounts:
    """The users and groups of a root file system, and what the list makes of them."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        there = [path for path in (*_FIELDS, *_SUBORDINATE) if tree.exists(path)]
        self._databases = {path: Database(_read(tree, path)) for path in there}
        self._passwd = self._databases.setdefault(_PASSWD, Database(""))
        self._group = self._databases.setdefault(_GROUP, Database(""))

    def uid(self, name: str) -> int | None:
        """The number of the user `name`; None if there is none."""
        return _number(self._passwd, name, _PASSWD)

    def gid(self, name: str) -> int | None:
        """The number of the group `name`; None if there is none."""
        return _number(self._group, name, _GROUP)

    def users(self) -> list[str]:
        """The names of all users."""
        return self._passwd.names()

    def groups(self) -> list[str]:
        """The names of all groups."""
        return self._group.names()

    def home(self, name: str) -> str:
        """The path of a user's home, relative to the root. Raises KeyError."""
        return self._passwd.get(name, 7)[5].strip("/")

    def first_group(self, name: str) -> int:
        """The number of a user's first group. Raises KeyError."""
        text = self._passwd.get(name, 7)[3]
        return int(text) if text.isdecimal() else 0

    def add(self, users: Iterable[User]) -> None:
        """Have the users be as the list says: those that the master has are changed. Raises MasterError."""
        users = tuple(users)
        if users and not len(self._passwd.names()):
            raise MasterError("the master has no users", "/etc/passwd is missing in it, or empty")
        reserved = {number for user in users for number in (user.uid, user.gid) if number is not None}
        faults = Faults()
        for user in users:
            with faults.of(f"user {quoted(user.name)}"):
                if user.name in self._passwd:
                    self._change(user)
                else:
                    self._create(user, reserved)
                self._set_password(user)
                for group in user.groups:
                    self._join(user.name, group)
        faults.tell()

    def entries(self) -> Iterator[Entry]:
        """The files that are not any more what they were, with their old owners and modes."""
        for path, database in self._databases.items():
            if database.changed:
                real = resolve(self._tree, path)
                owner, mode = self._tree.owner(real) or (0, 0), self._tree.mode(real)
                secret = path in (_SHADOW, _GSHADOW)
                permissions = (0o600 if secret else 0o644) if mode is None else mode & 0o7777
                metadata = Metadata(mode=permissions, uid=owner[0], gid=owner[1])
                yield File(real, metadata, Content.of(str(database).encode(errors="surrogateescape")))

    def _change(self, user: User) -> None:
        record = self._passwd.get(user.name, 7)
        for field, what, number in ((2, "number", user.uid), (3, "first group's number", user.gid)):
            if number is not None and record[field] != str(number):
                raise MasterError(
                    f"the master has it already, and its {what} is {record[field]}, not {number}",
                    "files that are its own would be so no more: remove the number, or change the master",
                )
        record[4] = record[4] if user.comment is None else user.comment
        record[5] = record[5] if user.home is None else str(user.home)
        record[6] = record[6] if user.shell is None else self._shell(user)
        self._passwd.put(record)

    def _create(self, user: User, reserved: set[int]) -> None:
        limits = self._settings()
        uids, gids = self._passwd.numbers(2), self._group.numbers(2)
        if user.uid in uids:
            raise MasterError(f"the master has another user with the number {user.uid}", "give another uid")
        uid = user.uid
        if uid is None:
            # One that is free for the group as well, so that both are the same.
            uid = _first_free(limits, "UID", {*uids, *reserved, *(gids if user.gid is None else ())})
        gid = self._own_group(user, uid, reserved)
        home = str(user.home or f"/home/{user.name}")
        self._passwd.put([user.name, "x", str(uid), str(gid), user.comment or "", home, self._shell(user)])
        days = [limits[name] for name in ("PASS_MIN_DAYS", "PASS_MAX_DAYS", "PASS_WARN_AGE")]
        # The day of the last change is left open: it would be that of the build.
        self._shadow().put([user.name, _NO_PASSWORD, "", *days, "", "", ""])
        for path in _SUBORDINATE:
            if (database := self._databases.get(path)) is not None and user.name not in database:
                ends = [int(start) + int(count) for _, start, count in _ranges(database)]
                start = max([_SUBORDINATE_START, *ends])
                database.put([user.name, str(start), str(_SUBORDINATE_COUNT)])

    def _own_group(self, user: User, uid: int, reserved: set[int]) -> int:
        """The first group of a new user: one that is there, or a new one with its name."""
        gids = self._group.numbers(2)
        if user.gid is not None and user.gid in gids:
            return user.gid
        there = self.gid(user.name)
        if there is not None:
            if user.gid is not None:
                message = f"the master has a group of that name, whose number is {there}, not {user.gid}"
                raise MasterError(message, "give that number, or none")
            return there
        gid = user.gid
        if gid is None:
            gid = uid if uid not in gids else _first_free(self._settings(), "GID", gids | reserved)
        self._group.put([user.name, "x", str(gid), ""])
        if (gshadow := self._databases.get(_GSHADOW)) is not None:
            gshadow.put([user.name, "!", "", ""])
        return gid

    def _set_password(self, user: User) -> None:
        if user.password is None and user.locked is None:
            return
        shadow = self._shadow()
        if user.name in shadow:
            record = shadow.get(user.name, 9)
        else:
            record = [user.name, self._passwd.get(user.name, 7)[1], "", "", "", "", "", "", ""]
        if user.password is not None:
            record[1:3] = [user.password, ""]
        if user.locked is not None:
            record[1] = (_LOCK if user.locked else "") + record[1].lstrip(_LOCK)
            record[1] = record[1] or _NO_PASSWORD  # an empty one would let everybody in
            record[7] = _EXPIRED if user.locked else ""
        shadow.put(record)
        passwd = self._passwd.get(user.name, 7)
        self._passwd.put([passwd[0], "x", *passwd[2:]])

    def _join(self, name: str, group: str) -> None:
        if group not in self._group:
            hint = did_you_mean(group, self._group.names()) or "install in the master what brings it"
            raise MasterError(f"there is no group {quoted(group)}", hint)
        for path in (_GROUP, _GSHADOW):
            database = self._databases.get(path)
            if database is not None and group in database:
                record = database.get(group, 4)
                members = [member for member in record[3].split(",") if member]
                record[3] = ",".join(dict.fromkeys([*members, name]))
                database.put(record)

    def _shell(self, user: User) -> str:
        choice = [str(user.shell)] if user.shell else ["/bin/bash", "/bin/sh"]
        for shell in choice:
            if self._tree.exists(shell.strip("/")):
                return shell
        raise MasterError(f"there is no {' and no '.join(choice)}", "install it in the master, or give another shell")

    def _shadow(self) -> Database:
        return self._databases.setdefault(_SHADOW, Database(""))

    def _settings(self) -> dict[str, str]:
        there = _read(self._tree, "etc/login.defs") if self._tree.exists("etc/login.defs") else ""
        return _DEFAULTS | settings(there)


def _read(tree: Tree, path: str) -> str:
    return tree.read(path).decode(errors="surrogateescape")


def _number(database: Database, name: str, path: str) -> int | None:
    text = database.get(name, _FIELDS[path])[2] if name in database else ""
    return int(text) if text.isascii() and text.isdecimal() else None


def _ranges(database: Database) -> Iterator[list[str]]:
    return (record for record in database if len(record) == 3 and all(map(str.isdecimal, record[1:])))


def _first_free(limits: dict[str, str], kind: str, taken: set[int]) -> int:
    lowest, highest = (
        int(limits[name]) if limits[name].isdecimal() else int(_DEFAULTS[name])
        for name in (f"{kind}_MIN", f"{kind}_MAX")
    )
    for number in range(lowest, highest + 1):
        if number not in taken:
            return number
    raise MasterError(f"no number from {lowest} to {highest} is free", "see /etc/login.defs in the master")
