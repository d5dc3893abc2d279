"""Private keys: OpenSSH takes what is made here, and reads what is read here in the same way."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.inputs import openssh_keys
from pipeline.model.user import HostKey
from tests.machine import need_programs, run

pytestmark = pytest.mark.unit

BITS = {"ed25519": "256 SHA256:", "ecdsa": "256 SHA256:", "rsa": "3072 SHA256:"}


def written(path: Path, data: str | bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def by_ssh_keygen(key: Path) -> str | None:
    """The public key of a private one, as ssh-keygen reads it; None if it does not."""
    argv = ["ssh-keygen", "-y", "-P", "", "-f", str(key)]
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return " ".join(ended.stdout.decode().split()[:2]) if ended.returncode == 0 else None


@pytest.mark.parametrize("kind", [*HostKey])
def test_openssh_reads_what_is_generated(kind: str, tmp_path: Path) -> None:
    need_programs("ssh-keygen")
    key = written(tmp_path / f"ssh_host_{kind}_key", openssh_keys.generate(kind))
    public = openssh_keys.public_key(key.read_bytes())
    assert by_ssh_keygen(key) == public
    assert public is not None
    written(key.with_name(f"{key.name}.pub"), f"{public} deb01\n")
    shown = run("ssh-keygen", "-l", "-f", key)
    assert shown.startswith(BITS[kind])
    assert shown.split()[2:] == ["deb01", f"({kind.upper()})"]


def test_no_two_are_the_same_in_forks_either() -> None:
    found = [openssh_keys.generate("ed25519")]
    for _ in range(2):
        ours, its = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(its, openssh_keys.generate("ed25519").encode())
            finally:
                os._exit(0)
        os.close(its)
        with os.fdopen(ours) as made:
            found.append(made.read())
        os.waitpid(child, 0)
    assert len({openssh_keys.public_key(key.encode()) for key in found}) == 3


def ssh_keygen(*options: str) -> Callable[[Path], None]:
    def make(key: Path) -> None:
        run("ssh-keygen", "-q", "-C", "a comment", "-f", key, *(options if "-N" in options else (*options, "-N", "")))

    return make


def openssl(command: str, *arguments: str) -> Callable[[Path], None]:
    def make(key: Path) -> None:
        need_programs("openssl")
        run("openssl", command, "-out", key, *arguments)
        key.chmod(0o600)

    return make


def changed(change: Callable[[bytes], bytes], *options: str) -> Callable[[Path], None]:
    def make(key: Path) -> None:
        ssh_keygen(*(options or ("-t", "ed25519")))(key)
        key.write_bytes(change(key.read_bytes()))

    return make


READ = {
    "ed25519": ssh_keygen("-t", "ed25519"),
    "ecdsa": ssh_keygen("-t", "ecdsa"),
    "ecdsa, P-384": ssh_keygen("-t", "ecdsa", "-b", "384"),
    "ecdsa, P-521": ssh_keygen("-t", "ecdsa", "-b", "521"),
    "rsa": ssh_keygen("-t", "rsa", "-b", "1024"),
    "PEM, rsa": ssh_keygen("-t", "rsa", "-b", "1024", "-m", "PEM"),
    "PEM, ecdsa": ssh_keygen("-t", "ecdsa", "-m", "PEM"),
}
LEFT_TO_SSH_KEYGEN = {
    "PKCS #8": ssh_keygen("-t", "ecdsa", "-m", "PKCS8"),
    "PKCS #8, ed25519": openssl("genpkey", "-algorithm", "ed25519"),
    "PKCS #8, ed448": openssl("genpkey", "-algorithm", "ed448"),
    "PKCS #8, RSA-PSS": openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024"),
    "another curve": openssl("ecparam", "-name", "secp256k1", "-genkey", "-noout"),
    "with parameters": openssl("ecparam", "-name", "prime256v1", "-genkey"),
    "too short": openssl("genrsa", "-traditional", "768"),
    "a passphrase": ssh_keygen("-t", "ed25519", "-N", "secret"),
    "PEM, a passphrase": ssh_keygen("-t", "ecdsa", "-m", "PEM", "-N", "secret"),
    "PKCS #8, a passphrase": ssh_keygen("-t", "ecdsa", "-m", "PKCS8", "-N", "secret"),
    "no last newline": changed(bytes.rstrip),
    "text before it": changed(lambda data: b"a key\n" + data),
    "text after it": changed(lambda data: data + b"a key\n"),
    "CRLF": changed(lambda data: data.replace(b"\n", b"\r\n")),
    "half of it": changed(lambda data: data[: len(data) // 2]),
    "no contents": changed(lambda data: b"\n".join(data.splitlines()[::4]) + b"\n"),
    "empty": changed(lambda _: b""),
}


@pytest.mark.parametrize("make", READ.values(), ids=READ)
def test_keys_of_ssh_keygen_are_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    need_programs("ssh-keygen")
    make(tmp_path / "key")
    public = openssh_keys.public_key((tmp_path / "key").read_bytes())
    assert public is not None
    assert public == by_ssh_keygen(tmp_path / "key")


@pytest.mark.parametrize("make", LEFT_TO_SSH_KEYGEN.values(), ids=LEFT_TO_SSH_KEYGEN)
def test_what_openssh_may_refuse_is_left_to_it(make: Callable[[Path], None], tmp_path: Path) -> None:
    need_programs("ssh-keygen")
    make(tmp_path / "key")
    assert openssh_keys.public_key((tmp_path / "key").read_bytes()) is None


def test_the_library_is_loaded_only_where_there_are_keys() -> None:
    script = "import sys, pipeline.tasks, pipeline.commands.run; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
