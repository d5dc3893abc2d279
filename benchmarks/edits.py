"""What makes a clone somebody, laid out for scripts: the same files that Guestfarm writes, ready to be copied."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.image import ext
from pipeline.image.layer.entries import Entry, File, Layer, Removal, Symlink
from pipeline.image.layer.tree import Tree


@dataclass(frozen=True, slots=True)
class Edits:
    """A guest's files in a folder: `files`, a tree of them; `removals`, a list; `commands`, both for debugfs."""

    folder: Path
    files: Sequence[File]

    def check(self, image: Path) -> None:
        """Raise RuntimeError when a file in `image` is not as it should be: who does less is not to be compared."""
        with ext.open(image, write=False) as filesystem:
            for file in self.files:
                if not filesystem.exists(file.path) or filesystem.read(file.path) != _data(file):
                    raise RuntimeError(f"{image}: {file.path} was not written")


def prepare(layer: Layer, tree: Tree, folder: Path) -> Edits:
    """Lay `layer` out in `folder`, for clones of `tree`."""
    entries = list(layer)
    for entry in entries:
        _lay_out(entry, folder / "files")
    removals = [entry.path for entry in entries if isinstance(entry, Removal)]
    (folder / "removals").write_text("".join(f"{path}\n" for path in removals))
    commands = [line for entry in entries for line in _commands(entry, tree, folder / "files")]
    (folder / "commands").write_text("".join(f"{line}\n" for line in commands))
    return Edits(folder, [entry for entry in entries if isinstance(entry, File)])


def _lay_out(entry: Entry, root: Path) -> None:
    path = root / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    match entry:
        case File():
            path.write_bytes(_data(entry))
            path.chmod(entry.metadata.mode)
        case Symlink():
            path.symlink_to(entry.target)
        case Removal():
            pass
        case _:
            raise NotImplementedError(f"{entry.path}: no script makes a {type(entry).__name__}")


def _commands(entry: Entry, tree: Tree, root: Path) -> Iterator[str]:
    for above in [*PurePosixPath(entry.path).parents][-2::-1]:  # from the top down, without "."
        if not tree.exists(str(above)):
            yield f"mkdir /{above}"  # said again for a neighbour, it does nothing
    if tree.exists(entry.path) or tree.readlink(entry.path) is not None:
        yield f"rm /{entry.path}"
    match entry:
        case File():
            yield f'write "{root / entry.path}" /{entry.path}'
        case Symlink():
            yield f"symlink /{entry.path} {entry.target}"
        case _:
            pass


def _data(file: File) -> bytes:
    return b"".join(data for _, data in file.content.chunks())
