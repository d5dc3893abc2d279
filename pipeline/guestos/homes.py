"""What users need besides an account: a home, the SSH keys that let in, and what sudo lets do."""

import re
import stat
from collections.abc import Iterator, Sequence

from pipeline.errors import GuestfarmError, MasterError, quoted
from pipeline.guestlist.keys.user import Read, keys_in
from pipeline.guestos.accounts import Accounts
from pipeline.guestos.databases import settings
from pipeline.image.layer.entries import Content, Directory, Entry, File, Metadata, Symlink
from pipeline.image.layer.tree import Tree, resolve
from pipeline.model.user import User

SUDOERS = "etc/sudoers.d/guest-users"
"""sudoers(5) leaves out names with a dot."""

_INCLUDES = re.compile(r"^\s*[@#]includedir\s+/etc/sudoers\.d\s*$", re.MULTILINE)


def entries(users: Sequence[User], accounts: Accounts, tree: Tree, read: Read) -> Iterator[Entry]:
    """The homes of users that have none yet, their keys, and their rules for sudo. Raises MasterError."""
    for user in users:
        uid, gid = accounts.uid(user.name) or 0, accounts.first_group(user.name)
        home = resolve(tree, accounts.home(user.name))
        if home and not tree.exists(home):
            yield Directory(home, Metadata(mode=_home_mode(tree), uid=uid, gid=gid))
            yield from _skeleton(tree, "etc/skel", home, uid, gid)
        if user.keys is not None:
            keys = "".join(f"{line}\n" for line in authorized(user, read))
            folder = f"{home}/.ssh".lstrip("/")
            yield Directory(folder, Metadata(mode=0o700, uid=uid, gid=gid))
            metadata = Metadata(mode=0o600, uid=uid, gid=gid)
            yield File(f"{folder}/authorized_keys", metadata, Content.of(keys.encode()))
    rules = "".join(f"{user.name} {rule}\n" for user in users for rule in user.sudo)
    if rules:
        _check_sudo(tree)
        yield File(SUDOERS, Metadata(mode=0o440), Content.of(rules.encode()))


def authorized(user: User, read: Read) -> list[str]:
    """The keys that let the user in, one line each, none twice. Raises MasterError for a file that has none."""
    found: list[str] = []
    for key in user.keys or ():
        if isinstance(key, str):
            found += key.split("\n")
            continue
        try:
            found += keys_in(read(key))
        except OSError as error:
            raise MasterError(f"user {quoted(user.name)}: {key} cannot be read: {error.strerror}") from error
        except GuestfarmError as error:
            raise MasterError(f"user {quoted(user.name)}: {key}: {error.message}", error.hint) from error
    return list(dict.fromkeys(found))


def _home_mode(tree: Tree) -> int:
    there = tree.read("etc/login.defs").decode(errors="replace") if tree.exists("etc/login.defs") else ""
    mode = settings(there).get("HOME_MODE", "")
    return int(mode, 8) & 0o777 if re.fullmatch("[0-7]{3,4}", mode) else 0o700


def _skeleton(tree: Tree, source: str, target: str, uid: int, gid: int) -> Iterator[Entry]:
    """What is in the directory `source`, for the new directory `target`."""
    for name in tree.names(source):
        path, copy = f"{source}/{name}", f"{target}/{name}"
        mode = tree.mode(path) or 0
        metadata = Metadata(mode=mode & 0o7777, uid=uid, gid=gid)
        if stat.S_ISDIR(mode):
            yield Directory(copy, metadata)
            yield from _skeleton(tree, path, copy, uid, gid)
        elif stat.S_ISLNK(mode):
            yield Symlink(copy, metadata, tree.readlink(path) or "")
        elif stat.S_ISREG(mode):
            yield File(copy, metadata, Content.of(tree.read(path)))


def _check_sudo(tree: Tree) -> None:
    if not tree.exists("usr/bin/sudo"):
        raise MasterError("users have sudo: rules, and the master has no sudo", "install it in the master")
    sudoers = tree.read("etc/sudoers").decode(errors="replace") if tree.exists("etc/sudoers") else ""
    if not _INCLUDES.search(sudoers):
        raise MasterError(
            "users have sudo: rules, and the master's /etc/sudoers does not read /etc/sudoers.d",
            "add the line '@includedir /etc/sudoers.d' to it",
        )
