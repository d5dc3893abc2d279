"""SSH's host keys: made once for each guest by ssh-keygen, and kept where nothing removes them."""

import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline import process
from pipeline.errors import GuestfarmError, ImageError
from pipeline.image.files.publish import sync_directory

RECIPE = 1
"""Raise it when the same guest gets other keys."""

_IGNORE_ALL = "*\n"
"""For git: gitignore(5)."""


def names(kinds: Iterable[str]) -> list[str]:
    """The files of keys of these kinds, private ones and after each the public one, as sshd_config(5) expects them."""
    return [name for kind in kinds for name in (f"ssh_host_{kind}_key", f"ssh_host_{kind}_key.pub")]


def make(keys: Path, guest: str, kinds: Sequence[str]) -> list[str]:
    """See to it that `guest` has keys of these kinds in the folder `keys`, and return the public ones.

    Keys that are there are never made anew. Raises GuestfarmError for half a pair, for two that do not belong together,
    and for private keys that others can read; ProcessError if ssh-keygen fails.
    """
    folder = keys / guest
    try:
        _prepare(keys, folder)
        for kind in kinds:
            private, public = (folder / name for name in names([kind]))
            if private.exists() != public.exists():
                raise _half(private, public)
            if not private.exists():
                _generate(folder, guest, kind)
        return [_checked(folder, kind) for kind in kinds]
    except OSError as error:
        raise ImageError(f"{error.filename or folder}: {error.strerror}") from error


def read(keys: Path, guest: str, kinds: Iterable[str]) -> dict[str, bytes]:
    """The contents of a guest's files of keys by their names. Raises ImageError."""
    try:
        return {name: (keys / guest / name).read_bytes() for name in names(kinds)}
    except OSError as error:
        raise ImageError(f"{error.filename}: {error.strerror}") from error


def stamps(keys: Path, guest: str, kinds: Iterable[str]) -> list[list[int] | None]:
    """What tells, without a look into them, that files of keys are what they were; None for one that is missing."""
    found: list[list[int] | None] = []
    folder = f"{keys}/{guest}/"
    for name in names(kinds):
        try:
            status = os.stat(folder + name)  # noqa: PTH116  # a Path would double the cost of checking a whole farm
        except (FileNotFoundError, NotADirectoryError):
            found.append(None)
        else:
            found.append([status.st_size, status.st_mtime_ns, status.st_mode])
    return found


def _prepare(keys: Path, folder: Path) -> None:
    """Make the folders, for the user alone, and keep git out of them: what was published once stays so."""
    if not keys.exists():
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError), (keys / ".gitignore").open("x") as file:
        file.write(_IGNORE_ALL)
    folder.mkdir(mode=0o700, exist_ok=True)


def _generate(folder: Path, guest: str, kind: str) -> None:
    """A pair of keys; what is seen of it under its final names is whole, and on the disk."""
    draft = folder / f".draft-{secrets.token_hex(4)}"
    draft.mkdir(mode=0o700)
    try:
        private, public = names([kind])
        process.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", guest, "-f", draft / private])
        for name in (private, public):
            descriptor = os.open(draft / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        for name in (private, public):
            (draft / name).rename(folder / name)
        sync_directory(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _checked(folder: Path, kind: str) -> str:
    """The public key of a pair that is sound."""
    private, public = (folder / name for name in names([kind]))
    if private.stat().st_mode & 0o077:
        raise GuestfarmError(f"{private}: others may read this private key", f"chmod 600 {private}")
    derived = process.run(["ssh-keygen", "-y", "-P", "", "-f", private]).stdout.split()[:2]
    written = public.read_text(errors="replace").split()[:2]
    if derived != written:
        raise GuestfarmError(
            f"{public} does not belong to the private key beside it", f"see ssh-keygen -y -f {private}"
        )
    return " ".join(derived)


def _half(private: Path, public: Path) -> GuestfarmError:
    if private.exists():
        return GuestfarmError(
            f"{public} is missing, and its private key is there",
            f"derive it: ssh-keygen -y -f {private} >{public}",
        )
    return GuestfarmError(
        f"{private} is missing, and its public key is there",
        f"bring it back, or remove {public} to have both made anew",
    )
