"""Manifests say what artifacts are and what they were made from, and `doit verify` finds every difference."""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import GuestfarmError
from pipeline.image.disk.base import POPULATE_RECIPE
from pipeline.tasks import manifest
from pipeline.tasks.manifest import Artifact
from tests.e2e.conftest import Workshop
from tests.machine import need_programs

FILES = ("deb02.cfg", "initrd.img", "manifest.json", "root.img", "swap.img", "vmlinuz")
"""Of a guest, with its manifest, in the order of their names."""


def flip_last_byte(path: Path) -> None:
    mode = path.stat().st_mode
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    path.chmod(mode)


def test_what_a_manifest_says(built: Workshop) -> None:
    built.doit("manifest", "deb01")
    folder = built.path("guests/deb01")
    written = json.loads((folder / "manifest.json").read_text())
    assert written["artifacts"] == {
        name: {
            "size": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in ("deb01.cfg", "initrd.img", "root.img", "swap.img", "vmlinuz")
    }
    origin = written["made from"]
    assert origin["root:deb01"]["name"] == "deb01"
    assert origin["root:deb01"]["network"][0]["address"] == "10.0.0.11/24"
    assert origin["format:debian-ext4-16M"]["e2fsprogs"].startswith("mke2fs 1.")
    assert origin["populate:debian-ext4-16M"]["recipe"] == POPULATE_RECIPE
    assert origin["master:debian"]["tar"] == str(built.folder / "debian.tar")


def test_all_is_well(built: Workshop) -> None:
    built.doit("manifest", "-n", "2")
    run = built.doit("verify", "-n", "2")
    assert run.code == 0
    assert [line.split(": ")[1] for line in run.output.splitlines()] == ["as written down"] * 6
    assert run.output.splitlines()[-1] == "[6/6] what guests share: as written down"


def test_every_difference_is_found(built: Workshop) -> None:
    built.doit("manifest")
    disk, swap, config = (
        built.path(f"guests/{name}") for name in ("deb01/root.img", "web02/swap.img", "web02/web02.cfg")
    )
    flip_last_byte(disk)
    swap.unlink()
    config.chmod(0o600)
    config.write_text("x")
    run = built.doit("verify", check=False)
    assert run.code == 1
    assert f"{disk}: SHA-256 is " in run.output
    assert f"{swap}: is missing" in run.output
    assert f"{config}: has 1 bytes" in run.output
    assert run.output.count("as written down") == 4


def test_one_flipped_bit_anywhere_is_found(built: Workshop) -> None:
    need_programs("ssh-keygen", "grub-mkimage")
    built.write_master({"usr/sbin": None, "usr/sbin/sshd": b""})
    built.change_list("  host_keys: first-boot\n", "  hypervisors: [xen, vmware]\n")
    built.doit("master", "kernel", "populate", "known_hosts", "root", "swap", "header", "config", "disk:deb01:whole")
    built.doit("manifest")
    own = ("catalogue", "logs", ".farm", "state.")
    files = [path for path in (built.folder / "build").rglob("*") if path.is_file()]
    files = [path for path in files if not str(path.relative_to(built.folder / "build")).startswith(own)]
    manifests = [path for path in files if path.name == "manifest.json"]
    assert len(manifests) == 6
    names = {path.name for path in files}
    assert names > {"digest", "zero.img", "format.img", "header.img", "whole.img", "known_hosts", "sshfp", "web01.vmx"}
    assert "wrong" not in built.doit("verify").output
    for chosen in ([path for path in files if path not in manifests], manifests):
        # A kernel has a name for each guest.
        for path in {path.stat().st_ino: path for path in chosen}.values():
            flip_last_byte(path)
        run = built.doit("verify", check=False)
        assert run.code == 1
        assert [
            path for path in chosen if f"{path}: SHA-256 is " not in run.output and f"{path} is " not in run.output
        ] == []
        for path in {path.stat().st_ino: path for path in chosen}.values():
            flip_last_byte(path)
    assert built.doit("verify").code == 0


def test_what_nothing_has_made_is_told(built: Workshop) -> None:
    built.doit("manifest")
    (built.folder / "build/notes.txt").write_text("mine")
    built.path("guests/web01/.root.img.draft-01234567").write_text("")
    built.path("guests/stranger").symlink_to("/etc")
    built.change_list("  deb02: {address: 10.0.0.12/24}\n", "")
    run = built.doit("verify", check=False)
    assert run.code == 1
    assert [line.partition("] ")[2] for line in run.output.splitlines() if line.startswith("[5/5]")] == [
        f"{built.folder}/build/notes.txt: nothing has made it",
        f"{built.path('guests/stranger')}: nothing has made it",
        *(f"{built.path('guests/deb02')}/{name}: nothing has made it" for name in FILES),
        f"{built.path('guests/web01')}/.root.img.draft-01234567: a killed run left it: the next doit removes it",
    ]
    assert built.doit("verify", "deb01").code == 0


def test_a_file_that_is_another_kind_of_thing_now(built: Workshop) -> None:
    built.doit("manifest", "deb01")
    disk, swap = built.path("guests/deb01/root.img"), built.path("guests/deb01/swap.img")
    disk.rename(built.folder / "root.img")
    disk.symlink_to(built.folder / "root.img")
    swap.unlink()
    os.mkfifo(swap)
    run = built.doit("verify", "deb01", check=False)
    assert [line for line in run.output.splitlines() if "regular" in line] == [
        f"[1/1] {disk}: is not a regular file",
        f"[1/1] {swap}: is not a regular file",
    ]


def test_ctrl_c_does_not_wait_for_what_is_being_read(built: Workshop) -> None:
    built.doit("manifest", "deb01", "deb02")
    disk = built.path("guests/deb02/root.img")
    disk.chmod(0o600)
    hours = 1 << 43
    os.truncate(disk, hours)
    manifest.write(disk.parent, {disk: Artifact(hours, "0" * 64)}, {})
    command = [sys.executable, "-m", "doit", "verify", "deb01", "deb02"]
    with subprocess.Popen(
        command, cwd=built.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "[1/2] deb01: as written down\n"  # the other one is next
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == "interrupted\n"
    assert process.returncode == 130


def test_without_a_manifest(built: Workshop) -> None:
    run = built.doit("verify", "deb01", check=False)
    assert run.code == 1
    assert "deb01: no manifest; make one with: doit manifest deb01" in run.output


def test_a_damaged_manifest(built: Workshop) -> None:
    built.doit("manifest", "deb01")
    path = built.path("guests/deb01/manifest.json")
    path.chmod(0o600)
    path.write_text("{}")
    assert "has no digest: an earlier version wrote it" in built.doit("verify", "deb01", check=False).output


def test_a_manifest_with_one_flipped_bit(tmp_path: Path) -> None:
    manifest.write(tmp_path, {tmp_path / "root.img": Artifact(3, "ab" * 32)}, {"root:a": {"x": [1, "y z", None]}})
    path = tmp_path / "manifest.json"
    whole = path.read_bytes()
    assert manifest.read(tmp_path, "a") == {tmp_path / "root.img": Artifact(3, "ab" * 32)}
    for number in range(len(whole) * 8):
        data = bytearray(whole)
        data[number // 8] ^= 1 << number % 8
        path.unlink()
        path.write_bytes(data)
        with pytest.raises(GuestfarmError, match=r"is damaged|has no digest"):
            manifest.read(tmp_path, "a")


@pytest.mark.parametrize(
    "contents",
    [
        {"artifacts": {"../../etc/shadow": {"size": 1, "sha256": "0" * 64}}},
        {"artifacts": {"/etc/shadow": {"size": 1, "sha256": "0" * 64}}},
        {"artifacts": {"a": {"size": "1", "sha256": "0" * 64}}},
        {"artifacts": {"a": {"size": 1, "sha256": "x"}}},
        {"artifacts": []},
        {},
        [],
    ],
)
def test_a_manifest_of_somebody_who_knows_how_to_make_digests(contents: dict[str, object], tmp_path: Path) -> None:
    digest = manifest._digest(contents)
    text = manifest._text({**contents, "digest": digest}) if isinstance(contents, dict) else "[" * 100_000
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(GuestfarmError, match="is damaged"):
        manifest.read(tmp_path, "a")


def test_nothing_is_built_while_a_manifest_is_written(built: Workshop) -> None:
    with built.path("state.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = built.doit("manifest", "deb01", check=False)
    assert run.code == 2
    assert "is building here already" in run.output


def test_a_guest_that_is_not_built_or_not_there(workshop: Workshop) -> None:
    run = workshop.doit("manifest", "deb01", check=False)
    assert run.code == 1
    assert "root:deb01 is not built; run doit first" in run.output
    run = workshop.doit("manifest", "nobody", check=False)
    assert run.code == 2
    assert "no such guest in the list: 'nobody'" in run.output


def test_no_manifest_of_what_is_missing(built: Workshop) -> None:
    built.path("guests/deb01/swap.img").unlink()
    run = built.doit("manifest", "deb01", check=False)
    assert (run.code, run.output) == (1, "[1/1] deb01: swap:deb01 is not built; run doit first\n")


def test_no_manifest_of_a_modified_guest(built: Workshop) -> None:
    flip_last_byte(built.path("guests/deb01/root.img"))
    run = built.doit("manifest", "deb01", check=False)
    assert run.code == 1
    assert "modified since it was made" in run.output
