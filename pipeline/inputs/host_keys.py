"""SSH's host keys: made once for each guest, and kept where nothing removes them."""

import fcntl
import os
import secrets
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline import input_file, process
from pipeline.errors import GuestfarmError, ImageError
from pipeline.image.files import private
from pipeline.image.files.private import sync_directory
from pipeline.image.files.publish import publish_text, rename_new
from pipeline.inputs import openssh_keys

RECIPE = 1
"""Raise it when the same guest gets other keys."""

_LONGEST = 1 << 16
"""Bytes of a key: one of RSA with 16,384 bits has 13 KB."""

_PUBLIC_MODE = 0o644
"""As ssh-keygen gives it."""

_IGNORE_ALL = "*\n"
"""For git: gitignore(5)."""

_DRAFTS = ".*draft-*"
"""What drafts are called, those of earlier versions included."""


def names(kinds: Iterable[str]) -> list[str]:
    """The files of keys of these kinds, private ones and after each the public one, as sshd_config(5) expects them."""
    return [name for kind in kinds for name in (f"ssh_host_{kind}_key", f"ssh_host_{kind}_key.pub")]


def prepare(keys: Path) -> None:
    """Make the folder `keys`, for the user alone, and keep git out of it: what was published once stays so.

    Raises ImageError, also if it is another user's.
    """
    try:
        private.check_owner(keys)
        if not keys.is_dir():
            private.make_folder(keys.parent)
            keys.mkdir(mode=0o700, exist_ok=True)
        ignored = keys / ".gitignore"
        if not ignored.exists() or not ignored.stat().st_size:
            publish_text(ignored, _IGNORE_ALL, mode=0o644)
    except OSError as error:
        raise ImageError(f"{error.filename or keys}: {error.strerror}") from error


def make(keys: Path, guest: str, kinds: Sequence[str]) -> list[str]:
    """See to it that `guest` has keys of these kinds in the folder `keys`, and return the public ones.

    Private keys that are there are never replaced, and neither is a public one: guests may be known by it. What is
    missing of a pair whose private key is there is made of that, with the guest's name as comment. Raises
    GuestfarmError for a public key without a private one, for two that do not belong together, and for private keys
    that others can read, or that are another user's; ProcessError, of ssh-keygen, for one that cannot be read.
    """
    folder = keys / guest
    try:
        prepare(keys)
        private.check_owner(folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        with _lock(keys, fcntl.LOCK_SH):
            for kind in kinds:
                _complete(keys, guest, kind)
        return [_checked(folder, kind) for kind in kinds]
    except OSError as error:
        raise ImageError(f"{error.filename or folder}: {error.strerror}") from error


def sweep(keys: Path, guests: Iterable[str]) -> None:
    """Remove what killed runs left in `keys`, and in the folders of these `guests`.

    Another run that is at work there prevents it. Raises OSError, and ImageError for a folder of another user's.
    """
    folders = [keys, *(keys / guest for guest in guests)]
    drafts = [draft for folder in folders for draft in folder.glob(_DRAFTS)]
    if not drafts:
        return
    private.check_owner(keys)
    try:
        with _lock(keys, fcntl.LOCK_EX | fcntl.LOCK_NB):
            for draft in drafts:
                private.check_owner(draft.parent)
                shutil.rmtree(draft) if draft.is_dir() and not draft.is_symlink() else draft.unlink(missing_ok=True)
    except BlockingIOError:  # they may be those of the other run
        return


def read(keys: Path, guest: str, kinds: Iterable[str]) -> dict[str, bytes]:
    """The contents of a guest's files of keys by their names. Raises ImageError."""
    try:
        private.check_owner(keys / guest)
        return {name: input_file.read(keys / guest / name, _LONGEST) for name in names(kinds)}
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


def _complete(keys: Path, guest: str, kind: str) -> None:
    """Make the pair of keys, or its public one, if it is missing. The private one is first to have its name."""
    secret, public = (keys / guest / name for name in names([kind]))
    is_known = _is_there(public)  # first: another run may be making both
    if not secret.exists():
        if is_known:
            raise _half(secret, public, guest)
        _generate(keys, guest, kind)
    if not _is_there(public):
        _derive(keys, guest, kind)


def _is_there(public: Path) -> bool:
    """Whether there is a public key; an empty file says nothing that could be lost."""
    return public.exists() and public.stat().st_size > 0


def _generate(keys: Path, guest: str, kind: str) -> None:
    """A private key."""
    with suppress(FileExistsError):  # another run, with another build/, was faster
        _publish(keys, guest, names([kind])[0], openssh_keys.generate(kind), private.MODE)


def _derive(keys: Path, guest: str, kind: str) -> None:
    """The public key of the private one that is there: another run may have made it."""
    name, public = names([kind])
    _check_private(keys / guest / name)
    text = f"{_derived(keys / guest / name)} {guest}\n"
    with suppress(FileExistsError):  # another run has made the same
        is_empty = (keys / guest / public).exists()
        _publish(keys, guest, public, text, _PUBLIC_MODE, replaces=is_empty)


def _publish(keys: Path, guest: str, name: str, text: str, mode: int, *, replaces: bool = False) -> None:  # noqa: PLR0913
    """Give the guest a file of `text`: whole, and on the disk, as soon as it has its name.

    Raises FileExistsError if there is anything of that name, unless the file `replaces` that.
    """
    folder = keys / guest
    apart = keys.stat().st_dev != folder.stat().st_dev
    draft = (folder if apart else keys) / f".{guest}.draft-{secrets.token_hex(4)}"  # where sweep() finds it
    try:
        with os.fdopen(private.open_empty(draft), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        draft.rename(folder / name) if replaces else rename_new(draft, folder / name)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(folder)


@contextmanager
def _lock(keys: Path, operation: int) -> Iterator[None]:
    """Have the lock on drafts in `keys` for the block: a shared one to make them, else to remove them.

    Raises BlockingIOError if `operation` says not to wait, see flock(2).
    """
    descriptor = os.open(keys / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a process that another thread starts has a copy for a moment
    finally:
        os.close(descriptor)


def _checked(folder: Path, kind: str) -> str:
    """The public key of a pair that is sound."""
    secret, public = (folder / name for name in names([kind]))
    _check_private(secret)
    private.check_links(public)
    derived = _derived(secret)
    written = input_file.read(public, _LONGEST).decode(errors="replace").split()[:2]
    if derived.split() != written:
        raise GuestfarmError(
            f"{public} does not belong to the private key beside it",
            f"see ssh-keygen -y -f {shlex.quote(str(secret))}",
        )
    return derived


def _check_private(secret: Path) -> None:
    private.check_owner(secret)
    if secret.stat().st_mode & 0o077:
        raise GuestfarmError(f"{secret}: others may read this private key", f"chmod 600 {shlex.quote(str(secret))}")


def _derived(secret: Path) -> str:
    """The public key of a private one, as "TYPE BASE64"; ssh-keygen reads or refuses what is not read in-process."""
    found = openssh_keys.public_key(input_file.read(secret, _LONGEST))
    if found is None:
        found = " ".join(process.run(["ssh-keygen", "-y", "-P", "", "-f", secret]).stdout.split()[:2])
    return found


def _half(secret: Path, public: Path, guest: str) -> GuestfarmError:
    place = shlex.quote(str(secret))
    return GuestfarmError(
        f"{secret} is missing, and its public key is there, by which the guest may be known",
        f"bring it back, as from the guest's disk: doit get {guest} /etc/ssh/{secret.name} {place}; "
        f"or have a new pair made: rm {shlex.quote(str(public))}",
    )
