"""Manifests say what artifacts are and what they were made from, and `doit verify` finds every difference."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from pipeline.image.disk.base import POPULATE_RECIPE
from tests.e2e.conftest import Workshop


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
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["artifacts"] == {
        name: {
            "size": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in ("deb01.cfg", "initrd.img", "root.img", "swap.img", "vmlinuz")
    }
    origin = manifest["made from"]
    assert origin["root:deb01"]["name"] == "deb01"
    assert origin["root:deb01"]["network"][0]["address"] == "10.0.0.11/24"
    assert origin["format:debian-ext4-16M"]["e2fsprogs"].startswith("mke2fs 1.")
    assert origin["populate:debian-ext4-16M"]["recipe"] == POPULATE_RECIPE
    assert origin["master:debian"]["tar"] == str(built.folder / "debian.tar")


def test_all_is_well(built: Workshop) -> None:
    built.doit("manifest", "-n", "2")
    run = built.doit("verify", "-n", "2")
    assert run.code == 0
    assert [line.split(": ")[1] for line in run.output.splitlines()] == ["as written down"] * 5


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
    assert run.output.count("as written down") == 3


def test_ctrl_c_does_not_wait_for_what_is_being_read(built: Workshop) -> None:
    built.doit("manifest", "deb01")
    disk = built.path("guests/deb01/root.img")
    disk.unlink()
    os.mkfifo(disk)
    command = [sys.executable, "-m", "doit", "verify", "deb01"]
    with (
        subprocess.Popen(command, cwd=built.folder, stderr=subprocess.PIPE, text=True) as process,
        disk.open("wb"),  # there are both a reader and a writer now, and nothing to read
    ):
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == "interrupted\n"
    assert process.returncode == 130


def test_without_a_manifest(built: Workshop) -> None:
    run = built.doit("verify", "deb01", check=False)
    assert run.code == 1
    assert "deb01: no manifest; make one with: doit manifest deb01" in run.output


def test_a_damaged_manifest(built: Workshop) -> None:
    built.doit("manifest", "deb01")
    manifest = built.path("guests/deb01/manifest.json")
    manifest.chmod(0o600)
    manifest.write_text("{}")
    assert "is damaged" in built.doit("verify", "deb01", check=False).output


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
