"""Host keys: killed at each step, what is there stays, and the next time they are completed."""

import os
import signal
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline import process
from pipeline.errors import GuestfarmError, ImageError, ProcessError
from pipeline.image.files import publish
from pipeline.inputs import host_keys, openssh_keys
from pipeline.model.user import HostKey
from tests.machine import need_programs, run

pytestmark = pytest.mark.unit

KINDS = ("ed25519", "ecdsa")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def counted(function: Callable[..., Any], left: list[int], act: Callable[[], None]) -> Callable[..., Any]:
    """`function`, before whose n-th call `act` is called; n is what is in `left`."""

    def call(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            act()
        return function(*arguments, **options)

    return call


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def made_until_killed(keys: Path, step: int, kinds: Sequence[str] = KINDS) -> bool:
    """Make keys, in a process that is killed by the step that has this number; whether that was reached."""
    child = os.fork()
    if child == 0:
        os.umask(0)
        left = [step]
        for name in ("mkdir", "rename", "hardlink_to", "unlink"):
            setattr(Path, name, counted(getattr(Path, name), left, be_killed))
        for name in ("fchmod", "fsync", "unlink"):
            setattr(os, name, counted(getattr(os, name), left, be_killed))
        try:
            host_keys.make(keys, "deb01", kinds)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize("earlier", [[], ["ed25519"]], ids=["the first keys", "a key more"])
def test_killed_at_each_step(earlier: list[str], tmp_path: Path) -> None:
    need_programs("ssh-keygen")
    step, halves = 1, 0
    while True:
        keys = tmp_path / str(step)
        folder = keys / "deb01"
        if earlier:
            host_keys.make(keys, "deb01", earlier)
        before = contents(folder)
        was_killed = made_until_killed(keys, step)
        left = contents(folder)
        assert left.items() >= before.items()
        files = [path for path in keys.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files if b"PRIVATE" in path.read_bytes()} <= {0o600}
        private = {name: data for name, data in left.items() if name.endswith("_key")}
        halves += any(f"{name}.pub" not in left for name in private)
        host_keys.sweep(keys, ["deb01"]) if keys.exists() else None
        public = host_keys.make(keys, "deb01", KINDS)
        assert contents(folder).items() >= left.items(), "what has its name is never replaced"
        assert sorted(contents(folder)) == sorted(host_keys.names(KINDS))
        assert [run("ssh-keygen", "-y", "-f", folder / f"ssh_host_{kind}_key").split()[:2] for kind in KINDS] == [
            key.split() for key in public
        ]
        assert list(keys.rglob("*draft*")) == []
        if not was_killed:
            break
        step += 1
    assert step > 10
    assert halves


def test_a_public_key_has_its_comment_again(tmp_path: Path) -> None:
    host_keys.make(tmp_path / "keys", "deb01", KINDS)
    before = contents(tmp_path / "keys/deb01")
    (tmp_path / "keys/deb01/ssh_host_ed25519_key.pub").unlink()
    host_keys.make(tmp_path / "keys", "deb01", KINDS)
    assert contents(tmp_path / "keys/deb01") == before


def made_beside_another_run(keys: Path, at: int, step: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Make keys, while another run makes them, too, and is killed by its `step`; whether it was.

    It is at work before the call of ours that has the number `at`.
    """
    killed: list[bool] = []
    with monkeypatch.context() as patched:

        def run_another() -> None:
            patched.undo()
            killed.append(made_until_killed(keys, step, ["ecdsa"]))

        left = [at]
        for name in ("exists", "hardlink_to"):
            patched.setattr(Path, name, counted(getattr(Path, name), left, run_another))
        public = host_keys.make(keys, "deb01", ["ecdsa"])
    assert killed
    assert host_keys.make(keys, "deb01", ["ecdsa"]) == public
    return killed == [True]


@pytest.mark.parametrize("at", range(1, 7))
def test_another_run_makes_the_same_keys_meanwhile(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = 1
    while made_beside_another_run(tmp_path / str(step), at, step, monkeypatch):
        step += 1
    assert step > 2


def test_drafts_of_a_run_that_is_at_work_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, link = tmp_path / "keys", Path.hardlink_to
    swept: list[int] = []

    def link_after_a_sweep(path: Path, target: Path) -> None:
        host_keys.sweep(keys, ["deb01"])
        swept.append(len(list(keys.glob(".*draft*"))))
        link(path, target)

    monkeypatch.setattr(Path, "hardlink_to", link_after_a_sweep)
    host_keys.make(keys, "deb01", KINDS)
    assert swept
    assert all(swept)


def test_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def refuse(*_: object) -> None:
        raise OSError(publish._NO_MORE_NAMES[-1], "none here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    made = host_keys.make(tmp_path / "keys", "deb01", KINDS)
    assert host_keys.make(tmp_path / "keys", "deb01", KINDS) == made
    (tmp_path / "draft").write_text("")
    (tmp_path / "there").write_text("")
    with pytest.raises(FileExistsError):
        publish.rename_new(tmp_path / "draft", tmp_path / "there")


def test_git_is_told_even_if_that_was_half_done(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(0o700)
    (tmp_path / "keys/.gitignore").write_text("")
    host_keys.prepare(tmp_path / "keys")
    assert (tmp_path / "keys/.gitignore").read_text() == "*\n"


def test_a_lonely_public_key_is_never_replaced(tmp_path: Path) -> None:
    host_keys.make(tmp_path, "deb01", KINDS)
    (tmp_path / "deb01/ssh_host_ecdsa_key").unlink()
    before = contents(tmp_path / "deb01")
    with pytest.raises(GuestfarmError, match="is missing, and its public key is there"):
        host_keys.make(tmp_path, "deb01", KINDS)
    assert contents(tmp_path / "deb01") == before


@pytest.mark.parametrize("options", [("-t", "ed25519"), ("-t", "ecdsa", "-m", "PEM"), ("-t", "ecdsa", "-m", "PKCS8")])
def test_a_key_that_the_user_brings(options: tuple[str, ...], tmp_path: Path) -> None:
    need_programs("ssh-keygen")
    key = tmp_path / "deb01/ssh_host_ecdsa_key"
    key.parent.mkdir(mode=0o700)
    run("ssh-keygen", "-q", "-N", "", "-C", "root@elsewhere", "-f", key, *options)
    brought, public = key.read_bytes(), Path(f"{key}.pub").read_text()
    assert host_keys.make(tmp_path, "deb01", ["ecdsa"]) == [public.removesuffix(" root@elsewhere\n")]
    assert Path(f"{key}.pub").read_text() == public
    Path(f"{key}.pub").unlink()
    host_keys.make(tmp_path, "deb01", ["ecdsa"])
    assert Path(f"{key}.pub").read_text() == public.replace("root@elsewhere", "deb01")
    assert key.read_bytes() == brought


@pytest.mark.parametrize("form", [(), ("-m", "PEM")], ids=["OpenSSH", "PEM"])
@pytest.mark.parametrize("has_public", [True, False])
def test_a_key_with_a_passphrase(form: tuple[str, ...], has_public: bool, tmp_path: Path) -> None:
    need_programs("ssh-keygen")
    key = tmp_path / "deb01/ssh_host_ecdsa_key"
    key.parent.mkdir(mode=0o700)
    run("ssh-keygen", "-q", "-t", "ecdsa", "-N", "secret", "-f", key, *form)
    if not has_public:
        Path(f"{key}.pub").unlink()
    before = contents(key.parent)
    with pytest.raises(ProcessError, match=r"ssh-keygen failed with exit code 255:\n.*incorrect passphrase"):
        host_keys.make(tmp_path, "deb01", ["ecdsa"])
    assert contents(key.parent) == before


def test_a_key_that_sshd_would_not_take(tmp_path: Path) -> None:
    need_programs("ssh-keygen")
    host_keys.make(tmp_path, "deb01", ["ecdsa"])
    key = tmp_path / "deb01/ssh_host_ecdsa_key"
    key.write_text(key.read_text().rstrip("\n"))
    with pytest.raises(ProcessError, match=r"ssh-keygen failed with exit code 255:\n.*Load key"):
        host_keys.make(tmp_path, "deb01", ["ecdsa"])


def test_a_fifo_for_a_key_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "deb01").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "deb01/ssh_host_ecdsa_key", 0o600)
    with pytest.raises(ImageError, match="it is a FIFO, not a regular file"):
        host_keys.make(tmp_path, "deb01", ["ecdsa"])


def test_no_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "run", None)
    public = host_keys.make(tmp_path, "deb01", [*HostKey])
    folder = tmp_path / "deb01"
    private = [(folder / f"ssh_host_{kind}_key").read_bytes() for kind in HostKey]
    assert [openssh_keys.public_key(key) for key in private] == public
