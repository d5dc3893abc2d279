"""Files that the list puts into the guest, or removes: of its roles, in their order, and its own at last."""

import stat
from collections.abc import Iterator, Sequence

from pipeline.errors import MasterError, did_you_mean, quoted
from pipeline.guestlist.keys.file import Walk
from pipeline.guestlist.keys.user import Read
from pipeline.guestos.accounts import Accounts
from pipeline.guestos.errors import Faults
from pipeline.image.layer.entries import Content, Directory, Entry, File, Metadata, Removal, Symlink
from pipeline.image.layer.overlay import Overlay
from pipeline.image.layer.tree import resolve
from pipeline.model.file import Absent, Put, PutDirectory, PutFile, PutLink, TreeItem
from pipeline.model.guest import Guest


def entries(guest: Guest, accounts: Accounts, tree: Overlay, read: Read, walk: Walk) -> Iterator[Entry]:
    """The files, which are in `tree` from then on; directories that are missing on the way are root's.

    Raises MasterError for all that cannot be, and OSError of `read`.
    """
    faults = Faults()
    for role in guest.roles:
        for item in walk(role.tree) if role.tree is not None else ():
            with faults.of(f"file /{item.path}"):
                yield from _added(_item(item, tree), tree)
        for file in role.files:
            with faults.of(f"file {file.path}"):
                yield from _added(_put(file, accounts, tree, read), tree)
    for file in guest.files:
        with faults.of(f"file {file.path}"):
            yield from _added(_put(file, accounts, tree, read), tree)
    faults.tell()


def _added(found: Iterator[Entry], tree: Overlay) -> Iterator[Entry]:
    for entry in found:
        tree.add(entry)
        yield entry


def _item(item: TreeItem, tree: Overlay) -> Iterator[Entry]:
    """An item of a tree, which is root's; nothing for a directory that is there, which stays as it is."""
    metadata = Metadata(mode=item.mode)
    if item.data is not None:
        yield File(_free(item.path, tree), metadata, Content.of(item.data))
    elif item.target is not None:
        yield from _link(item.path, metadata, item.target, tree)
    elif not tree.names(item.path) and not tree.exists(item.path):
        yield Directory(tree.place(item.path), metadata)


def _put(put: Put, accounts: Accounts, tree: Overlay, read: Read) -> Iterator[Entry]:
    path = str(put.path).lstrip("/")
    if isinstance(put, Absent):
        yield Removal(tree.place(path))
        return
    uid, gid = _owner(put, accounts)
    match put:
        case PutLink():
            yield from _link(path, Metadata(mode=0o777, uid=uid, gid=gid), put.target, tree)
        case PutDirectory():
            # A symlink that leads to a directory stays: what it leads to is meant, as with /lib where /usr is merged.
            real = resolve(tree, path)
            if not stat.S_ISDIR(tree.mode(real) or stat.S_IFDIR):
                raise MasterError("it is a file, and shall be a directory", "remove it by absent: true")
            mode = 0o755 if put.mode is None else put.mode
            yield Directory(real, Metadata(mode=mode, uid=uid, gid=gid))
        case PutFile():
            data = read(put.source) if put.source is not None else (put.text or "").encode()
            mode = 0o644 if put.mode is None else put.mode
            yield File(_free(path, tree), Metadata(mode=mode, uid=uid, gid=gid), Content.of(data))


def _owner(put: PutFile | PutDirectory | PutLink, accounts: Accounts) -> tuple[int, int]:
    uid = accounts.uid(put.owner)
    if uid is None:
        raise _unknown("user", put.owner, accounts.users())
    gid = accounts.first_group(put.owner) if put.group is None else accounts.gid(put.group)
    if gid is None:
        raise _unknown("group", str(put.group), accounts.groups())
    return uid, gid


def _link(path: str, metadata: Metadata, target: str, tree: Overlay) -> Iterator[Entry]:
    """The symlink, in place of a file, or of a directory that is empty."""
    place = tree.place(path)
    if stat.S_ISDIR(tree.mode(place) or 0) and not tree.names(place):
        yield Removal(place)
        yield Symlink(place, metadata, target)
    else:
        yield Symlink(_free(path, tree), metadata, target)


def _free(path: str, tree: Overlay) -> str:
    """The place of `path`, at which there is no directory. Raises MasterError."""
    place = tree.place(path)
    if stat.S_ISDIR(tree.mode(place) or 0):
        raise MasterError("there is a directory", "remove it by absent: true before")
    return place


def _unknown(kind: str, name: str, known: Sequence[str]) -> MasterError:
    hint = did_you_mean(name, known) or f"give it a {kind} that the master has, or that users: makes"
    return MasterError(f"there is no {kind} {quoted(name)}", hint)
