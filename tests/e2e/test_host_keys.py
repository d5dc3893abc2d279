"""SSH host keys: made once, known before the first boot, and never lost or shown."""

import os
import shlex
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.image import ext
from tests import doit_process
from tests.e2e.conftest import Workshop
from tests.machine import need_programs, run

KINDS = ("ed25519", "ecdsa")


@pytest.fixture
def farm(workshop: Workshop) -> Workshop:
    """A farm of two guests with an SSH server; the second one's first boot makes its keys."""
    workshop.write_master({"usr/sbin": None, "usr/sbin/sshd": b"", "etc/systemd": None, "etc/systemd/system": None})
    workshop.write_list("""\
        farm: tiny
        masters:
          debian: {tar: debian.tar}
        defaults: {master: debian, root: 16M, network: {bridge: xenbr0}}
        guests:
          deb01: {address: 10.0.0.11/24}
          deb02: {address: 10.0.0.12/24, host_keys: first-boot}
    """)
    workshop.doit()
    return workshop


def keys(workshop: Workshop) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (workshop.folder / "keys/deb01").iterdir()}


def in_image(workshop: Workshop, guest: str = "deb01") -> dict[str, tuple[bytes, int]]:
    with ext.open(workshop.path(f"guests/{guest}/root.img"), write=False) as filesystem:
        names = [name for name in filesystem.names("etc/ssh") if name.startswith("ssh_host_")]
        return {
            name: (filesystem.read(f"etc/ssh/{name}"), (filesystem.mode(f"etc/ssh/{name}") or 0) & 0o7777)
            for name in names
        }


def test_they_are_in_the_image_and_for_nobody_else(farm: Workshop) -> None:
    made = keys(farm)
    assert sorted(made) == sorted(f"ssh_host_{kind}_key{end}" for kind in KINDS for end in ("", ".pub"))
    assert in_image(farm) == {name: (data, 0o644 if name.endswith(".pub") else 0o600) for name, data in made.items()}
    assert in_image(farm, "deb02") == {}
    folder = farm.folder / "keys"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "deb01")]
    assert modes == [0o700, 0o700]
    assert {stat.S_IMODE((folder / "deb01" / name).stat().st_mode) for name in made if "pub" not in name} == {0o600}
    assert not (folder / "deb02").exists()


def test_git_does_not_see_them(farm: Workshop) -> None:
    need_programs("git")
    run("git", "-C", farm.folder, "init", "--quiet")
    assert run("git", "-C", farm.folder, "status", "--short", "--untracked-files=all", "--", "keys") == ""


def test_they_are_known_before_the_first_boot(farm: Workshop) -> None:
    need_programs("ssh-keygen")
    found = run("ssh-keygen", "-F", "10.0.0.11", "-f", farm.path("known_hosts"))
    assert found == run("ssh-keygen", "-F", "deb01", "-f", farm.path("known_hosts")).replace(
        "deb01 found", "10.0.0.11 found"
    )
    for kind in KINDS:
        public = (farm.folder / f"keys/deb01/ssh_host_{kind}_key.pub").read_text().split()
        assert f"deb01,10.0.0.11 {public[0]} {public[1]}\n" in farm.path("known_hosts").read_text()
        records = run("ssh-keygen", "-r", "deb01", "-f", farm.folder / f"keys/deb01/ssh_host_{kind}_key.pub")
        sha256 = [line for line in records.splitlines() if line.split()[4] == "2"]
        assert set(sha256) <= set(farm.path("sshfp").read_text().splitlines())
    lines = farm.path("known_hosts").read_text().splitlines()
    assert lines == sorted(lines)
    assert len(lines) == len(farm.path("sshfp").read_text().splitlines()) == 2


def test_nothing_makes_them_anew(farm: Workshop) -> None:
    before, image = keys(farm), in_image(farm)
    farm.doit("clean")
    assert not farm.path("known_hosts").exists()
    farm.doit()
    shutil.rmtree(farm.folder / "build")
    farm.doit()
    farm.doit("forget", "keys:deb01", "root:deb01")
    farm.doit()
    assert (keys(farm), in_image(farm)) == (before, image)
    assert farm.doit().executed == []


def test_what_changed_makes_exactly_its_guests_stale(farm: Workshop) -> None:
    farm.change_list("deb01: {", "deb01: {memory: 1G, ")
    assert farm.doit().executed == ["config:deb01"]
    farm.change_list("deb02: {address: 10.0.0.12/24, host_keys: first-boot}", "deb02: {address: 10.0.0.12/24}")
    assert sorted(farm.doit().executed) == ["keys:deb02", "known_hosts:dns", "known_hosts:openssh", "root:deb02"]
    before = in_image(farm, "deb02")
    shutil.rmtree(farm.folder / "keys/deb02")
    assert sorted(farm.doit().executed) == ["keys:deb02", "known_hosts:dns", "known_hosts:openssh", "root:deb02"]
    assert set(in_image(farm, "deb02")) == set(before)
    assert not {data for data, _ in in_image(farm, "deb02").values()} & {data for data, _ in before.values()}
    farm.change_list("10.0.0.11", "10.0.0.13")
    assert sorted(farm.doit("known_hosts").executed) == ["known_hosts:dns", "known_hosts:openssh"]
    assert "deb01,10.0.0.13 " in farm.path("known_hosts").read_text()


def test_more_kinds_leave_those_that_are_there(farm: Workshop) -> None:
    before = keys(farm)
    farm.change_list("deb01: {", "deb01: {host_keys: [ed25519, rsa], ")
    farm.doit()
    after = keys(farm)
    assert {name: after[name] for name in before} == before
    assert set(in_image(farm)) == {f"ssh_host_{kind}_key{end}" for kind in ("ed25519", "rsa") for end in ("", ".pub")}


def test_none_at_all(farm: Workshop) -> None:
    farm.change_list("deb01: {", "deb01: {host_keys: [], ")
    farm.doit()
    assert in_image(farm) == {}


def test_a_master_without_a_server_gets_none(farm: Workshop) -> None:
    farm.write_master({})
    farm.doit()
    assert in_image(farm) == {}


def test_nobody_gets_to_see_them(farm: Workshop) -> None:
    shown = farm.doit("manifest").output + farm.doit("info", "keys:deb01").output
    texts = [
        path.read_bytes() for path in (farm.folder / "build").rglob("*") if path.is_file() and path.suffix != ".img"
    ]
    secret = (farm.folder / "keys/deb01/ssh_host_ed25519_key").read_bytes().splitlines()[2]
    assert len(secret) > 50
    assert not [text for text in [*texts, shown.encode()] if b"PRIVATE KEY" in text or secret in text]


def kill_before_the_public_key() -> None:
    """Have this process killed when a public key of ECDSA is to get its name."""
    link = Path.hardlink_to

    def killed(path: Path, target: Path) -> None:
        if path.name == "ssh_host_ecdsa_key.pub":
            os.kill(os.getpid(), signal.SIGKILL)
        link(path, target)

    setattr(Path, "hardlink_to", killed)  # noqa: B010  # to mypy, a method is not to be assigned to


def test_killed_between_the_two_names_of_a_pair(farm: Workshop) -> None:
    shutil.rmtree(farm.folder / "keys/deb01")
    assert doit_process.run([], farm.folder, os.environ, prepare=kill_before_the_public_key).code == -9
    half = keys(farm)
    assert "ssh_host_ecdsa_key" in half
    assert "ssh_host_ecdsa_key.pub" not in half
    assert "keys:deb01" in farm.doit().executed
    assert keys(farm).items() > half.items()
    assert list((farm.folder / "keys").rglob("*draft*")) == []


def lose_public(folder: Path) -> None:
    (folder / "ssh_host_ecdsa_key.pub").unlink()


def empty_public(folder: Path) -> None:
    (folder / "ssh_host_ecdsa_key.pub").write_text("")


@pytest.mark.parametrize("spoil", [lose_public, empty_public])
def test_a_public_key_is_made_of_the_private_one(farm: Workshop, spoil: Callable[[Path], None]) -> None:
    before = keys(farm)
    spoil(farm.folder / "keys/deb01")
    farm.doit()
    assert keys(farm) == before


def lose_private(folder: Path) -> None:
    (folder / "ssh_host_ecdsa_key").unlink()


def open_to_others(folder: Path) -> None:
    (folder / "ssh_host_ecdsa_key").chmod(0o644)


def mix_up(folder: Path) -> None:
    shutil.copy(folder / "ssh_host_ed25519_key.pub", folder / "ssh_host_ecdsa_key.pub")


def damage(folder: Path) -> None:
    (folder / "ssh_host_ecdsa_key").write_text("?")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lose_private, "_ecdsa_key is missing, and its public key is there, by which the guest may be known; bring it"),
        (open_to_others, "others may read this private key; chmod 600"),
        (mix_up, "does not belong to the private key beside it"),
        (damage, "ssh-keygen failed with exit code"),
    ],
)
def test_keys_that_are_not_sound(farm: Workshop, spoil: Callable[[Path], None], message: str) -> None:
    before = keys(farm)
    need_programs("ssh-keygen")
    spoil(farm.folder / "keys/deb01")
    run = farm.doit(check=False)
    assert run.code != 0
    assert message in run.output
    assert "Traceback" not in run.output
    unchanged = "ssh_host_ed25519_key"
    assert keys(farm)[unchanged] == before[unchanged]


def test_a_farm_without_ssh_keygen_on_the_machine(farm: Workshop, tmp_path_factory: pytest.TempPathFactory) -> None:
    tools = tmp_path_factory.mktemp("tools")
    (tools / "ssh-keygen").write_text("#!/bin/sh\nexit 99\n")
    (tools / "ssh-keygen").chmod(0o755)
    shutil.rmtree(farm.folder / "keys/deb01")
    farm.doit(environment={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert len(keys(farm)) == 2 * len(KINDS)


def test_a_private_key_comes_back_from_the_disk(farm: Workshop) -> None:
    before = keys(farm)
    lose_private(farm.folder / "keys/deb01")
    hint = farm.doit(check=False).output.partition("as from the guest's disk: ")[2].partition(";")[0]
    farm.doit(*shlex.split(hint)[1:])
    farm.doit()
    assert keys(farm) == before
