"""Files that the list puts into the guest: of its roles, in their order, and its own at last."""

from collections.abc import Iterator, Sequence

from pipeline.errors import MasterError, quoted
from pipeline.farm.files import Walk
from pipeline.farm.model import Guest, PutFile, TreeItem
from pipeline.farm.readers import did_you_mean
from pipeline.farm.users import Read
from pipeline.image.layer import Content, Directory, Entry, File, Metadata, Symlink
from pipeline.image.tree import Tree, resolve
from pipeline.system.accounts import Accounts


def entries(guest: Guest, accounts: Accounts, tree: Tree, read: Read, walk: Walk) -> Iterator[Entry]:
    """The files; directories that are missing on the way are root's. Raises MasterError, and OSError of `read`."""
    for role in guest.roles:
        if role.tree is not None:
            yield from (found for item in walk(role.tree) if (found := _item(item, tree)) is not None)
        for file in role.files:
            yield _file(file, accounts, tree, read)
    for file in guest.files:
        yield _file(file, accounts, tree, read)


def _item(item: TreeItem, tree: Tree) -> Entry | None:
    """An item of a tree, which is root's; None for a directory that the master has, which stays as it is."""
    metadata = Metadata(mode=item.mode)
    if item.data is not None:
        return File(_place(item.path, tree), metadata, Content.of(item.data))
    if item.target is not None:
        return Symlink(_place(item.path, tree), metadata, item.target)
    return None if tree.names(item.path) or tree.exists(item.path) else Directory(_place(item.path, tree), metadata)


def _file(file: PutFile, accounts: Accounts, tree: Tree, read: Read) -> Entry:
    path = str(file.path).lstrip("/")
    uid = accounts.uid(file.owner)
    if uid is None:
        raise _unknown(path, "user", file.owner, accounts.users())
    gid = accounts.first_group(file.owner) if file.group is None else accounts.gid(file.group)
    if gid is None:
        raise _unknown(path, "group", str(file.group), accounts.groups())
    data = read(file.source) if file.source is not None else (file.text or "").encode()
    mode = 0o644 if file.mode is None else file.mode
    return File(_place(path, tree), Metadata(mode=mode, uid=uid, gid=gid), Content.of(data))


def _place(path: str, tree: Tree) -> str:
    """The path with the symlinks of the directories followed: two ways to one file are one file."""
    above, _, name = path.rpartition("/")
    return f"{resolve(tree, above)}/{name}".lstrip("/")


def _unknown(path: str, kind: str, name: str, known: Sequence[str]) -> MasterError:
    hint = did_you_mean(name, known) or f"give it a {kind} that the master has, or that users: makes"
    return MasterError(f"file /{path}: there is no {kind} {quoted(name)}", hint)
