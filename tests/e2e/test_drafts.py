"""What is being written, and what holds secrets, is for its owner alone, whatever the umask; what is left is swept."""

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import doit_process
from tests.conftest import Mount
from tests.e2e import test_derived_masters as derived
from tests.e2e import test_masters as masters
from tests.e2e.conftest import Workshop, new_workshop
from tests.machine import need_programs, need_root, run
from tests.opens import watched

SECRET = "$6$salt$Vj7JmkLJtXAoMSSbmDFrDdOF0Y3JCxMt2k5dmcCGf1gwZT1oYs7UTO2jQJx9hbGmd6Ubc2KbVYfWJrNmp2KnH."
MASTERS = """\
farm: tiny
masters:
  debian: {{tar: debian.tar}}
  made: {{bootstrap: {{suite: bookworm, mirror: http://127.0.0.1/debian}}}}
  child: {{from: debian, run: "true"}}
  {others}
defaults: {{root: 16M, swap: 1M, network: {{bridge: xenbr0}}, address: dhcp, hypervisors: [xen, vmware]}}
guests:
  debian: {{master: debian}}
  made: {{master: made}}
  child: {{master: child}}
  {guests}
"""
STUB = """\
#!/bin/sh
case " $* " in *" --version "*|*"--variant=custom"*) exec {real} "$@";; esac
for argument; do case "$argument" in *.draft-*) cat {folder}/debian.tar >"$argument";; esac; done
"""


@pytest.fixture
def all_kinds(mount: Mount) -> Workshop:
    """A farm with a guest of each kind of master, on a file system of its own; built with a umask of 000."""
    need_programs("mmdebstrap", "busybox", "ssh-keygen", "grub-mkimage", "qemu-img")
    workshop = new_workshop(mount("none", "-t", "tmpfs", "-o", "mode=755"))
    shadow = f"root:{SECRET}:19000:0:99999:7:::\n".encode()
    derived.write_master(workshop, {"etc/shadow": shadow, "usr/sbin": None, "usr/sbin/sshd": b""})  # type: ignore[dict-item]
    kinds: dict[str, Callable[[Workshop], str]] = {
        "image": masters.image,
        "cloud": cloud,
        "directory": lambda _: "directory: rootfs",
        "oci": masters.oci,
    }
    others = "\n  ".join(f"{name}: {{{kind(workshop)}}}" for name, kind in kinds.items())
    workshop.write_list(
        MASTERS.format(others=others, guests="\n  ".join(f"{name}: {{master: {name}}}" for name in kinds))
    )
    (workshop.folder / "rootfs/etc/shadow").write_bytes(shadow)
    stubs = workshop.folder / "stubs"
    stubs.mkdir()
    (stubs / "mmdebstrap").write_text(STUB.format(real=shutil.which("mmdebstrap"), folder=workshop.folder))
    (stubs / "mmdebstrap").chmod(0o755)
    return workshop


def cloud(workshop: Workshop) -> str:
    shutil.rmtree(workshop.folder / "rootfs")
    return masters.cloud(workshop)


def doit_without_umask(workshop: Workshop, *arguments: str) -> None:
    path = f"{workshop.folder}/stubs:{os.environ['PATH']}"
    before = os.umask(0)
    try:
        workshop.doit(*arguments, environment={"PATH": path})
    finally:
        os.umask(before)


def is_open(path: Path, above: Path) -> bool:
    """Whether others can read the file at `path`, as far as that depends on it and the folders down from `above`."""
    folders = [each for each in path.parents if each.is_relative_to(above)]
    return bool(path.stat().st_mode & 0o004) and all(each.stat().st_mode & 0o001 for each in folders)


def test_others_can_read_nothing_secret_while_it_is_made_or_later(all_kinds: Workshop) -> None:
    build, keys = all_kinds.folder / "build", all_kinds.folder / "keys"
    with watched(all_kinds.folder) as opened:
        doit_without_umask(all_kinds)
        doit_without_umask(all_kinds, "-n", "2", "vmdk", "disk:*:whole")
        doit_without_umask(all_kinds, "manifest")
    drafts = {path: mode for path, mode in opened.items() if ".draft-" in path and Path(path).is_relative_to(build)}
    names = {Path(path).name.partition(".draft-")[0] for path in drafts}
    assert names >= {
        *(".rootfs.tar", ".digest", ".zero.img", ".format.img", ".root.img", ".swap.img", ".header.img"),
        *(".child.stream.vmdk", ".whole.img", ".known_hosts", ".manifest.json", ".debian.cfg", ".initrd.img"),
    }
    scratch = {path for path in drafts if "rootfs.tar.draft" in path and path.count("-") > 2}
    assert {name for path in scratch for name in ("-parent-", "-scratch-", "-disk-") if name in path} == {
        *("-parent-", "-scratch-", "-disk-"),
    }
    # Other names of kernels that are published already.
    public = {path for path in drafts if Path(path).name.startswith((".vmlinuz", ".initrd")) and "guests" in path}
    assert {path: oct(mode) for path, mode in drafts.items() if mode & 0o077 and path not in public} == {}
    logs = {path: mode for path, mode in opened.items() if Path(path).is_relative_to(build / "logs")}
    assert logs
    assert {path: oct(mode) for path, mode in logs.items() if mode & 0o077} == {}
    secret = {path: mode for path, mode in opened.items() if Path(path).is_relative_to(keys) and "pub" not in path}
    assert {path for path, mode in secret.items() if mode & 0o077} <= {str(keys / ".gitignore"), str(keys / ".farm")}
    assert not [path for path in (build, *build.rglob("*")) if path.stat().st_mode & 0o002]

    # And in the end:
    found = [path for path in build.rglob("*") if path.is_file() and is_open(path, build)]
    of_guests = {path.name for path in found if path.suffix in (".cfg", ".vmx", ".vmdk") and ".stream" not in path.name}
    assert {path.name for path in found} - of_guests == {
        *("vmlinuz", "initrd.img", "header.img", "ssh_host_keys.pub", "manifest.json"),
        *("digest", "known_hosts", "sshfp", ".farm", "state.lock", "state.db"),
    }
    secret_line = SECRET.encode()
    assert not [path for path in found if secret_line in path.read_bytes()]
    assert any(secret_line in path.read_bytes() for path in (build / "masters").rglob("rootfs.tar"))
    assert not keys.stat().st_mode & 0o077


def test_the_watch_sees_what_could_be_read(mount: Mount) -> None:
    folder = mount("none", "-t", "tmpfs")
    with watched(folder) as opened:
        run("sh", "-c", 'umask 022; echo x >"$1"; chmod 600 "$1"; cat "$1"', "sh", folder / "open")
        run("sh", "-c", 'umask 077; echo x >"$1"; cat "$1"', "sh", folder / "closed")
    assert opened == {str(folder / "open"): 0o644, str(folder / "closed"): 0o600}


LEFT = (
    *("build/.probe.draft-0123", "build/.manifest.json.draft-01234567", "build/catalogue/.list-01234567"),
    *("build/guests/deb02/.manifest.json.draft-01234567", "build/masters/debian/.rootfs.tar.draft-01-disk-x"),
    *("build/bases/debian-ext4-16M/.root.img.draft-01234567", "keys/.deb01.draft-01234567/ssh_host_ed25519_key"),
)


@pytest.mark.parametrize("stale", [False, True], ids=["nothing to do", "something to do"])
def test_drafts_are_swept_wherever_they_are(built: Workshop, stale: bool) -> None:
    built.doit("manifest", "deb01")
    for name in (*LEFT, "build/.manifests.draft-01234567", "keys/.lock"):
        (built.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (built.folder / name).write_text("")
    if stale:
        built.path("known_hosts").unlink(missing_ok=True)
        built.path("guests/deb01/swap.img").unlink()
        built.path(".manifests.draft-01234567").unlink()
    built.doit()
    assert [path for path in built.folder.rglob(".*") if "draft" in path.name or "-0123" in path.name] == []
    assert not (built.folder / "keys/.deb01.draft-01234567").exists()
    assert built.path("guests/deb01/manifest.json").exists()


def _die_at_the_rename_of_a_manifest() -> None:
    rename = Path.rename

    def killed(path: Path, target: Path) -> Path:
        if path.name.startswith(".manifest.json.draft"):
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(path, target)

    Path.rename = killed  # type: ignore[method-assign, assignment]  # in a fork that ends by it


def test_a_manifest_that_is_killed_leaves_nothing_for_ever(built: Workshop) -> None:
    ended = doit_process.run(["manifest"], built.folder, os.environ, prepare=_die_at_the_rename_of_a_manifest)
    assert ended.code == -9
    assert [path.parent.name for path in built.path("guests").rglob(".manifest*")] == ["deb01"]
    assert built.doit().executed == []
    assert list(built.folder.rglob(".*draft*")) == []


def test_what_a_link_of_another_user_leads_to_stays(built: Workshop, tmp_path_factory: pytest.TempPathFactory) -> None:
    need_root()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / ".x.draft-1").write_text("theirs")
    shutil.rmtree(built.path("guests/deb02"))
    plant(built.path("guests/deb02"), elsewhere)
    before = built.doit("prune", check=False).output
    ended = built.doit(check=False)
    assert ended.code == 2
    assert f"{built.path('guests/deb02')}: a symbolic link that belongs to user 'nobody': not followed" in ended.output
    assert "Traceback" not in ended.output + before
    assert [path.name for path in elsewhere.iterdir()] == [".x.draft-1"]


def plant(place: Path, target: Path) -> None:
    """Make a symbolic link of another user's."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)
    os.chown(place, 65534, 65534, follow_symlinks=False)


LINKS = ("build", "build/guests", "build/masters/debian", "build/logs", "build/catalogue", "keys")
FOLDERS = ("build", "build/catalogue", "keys")


@pytest.mark.parametrize(
    ("place", "is_link"), [*((place, True) for place in LINKS), *((place, False) for place in FOLDERS)]
)
def test_nothing_is_built_into_what_another_user_planted(
    workshop: Workshop, place: str, is_link: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    need_root()
    need_programs("ssh-keygen")
    workshop.write_master({"usr/sbin": None, "usr/sbin/sshd": b""})
    workshop.change_list("  host_keys: first-boot\n", "")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    if is_link:
        plant(workshop.folder / place, elsewhere)
    else:
        (workshop.folder / place).mkdir(parents=True)
        elsewhere = workshop.folder / place
        os.chown(elsewhere, 65534, 65534)
    ended = workshop.doit(check=False)
    assert ended.code == 2
    assert "belongs to user 'nobody'" in ended.output
    assert "Traceback" not in ended.output
    assert list(elsewhere.iterdir()) == []
    workshop.doit("list", "--all", check=False)
    assert list(elsewhere.iterdir()) == []


def test_a_key_that_another_user_planted(workshop: Workshop) -> None:
    need_root()
    need_programs("ssh-keygen")
    workshop.write_master({"usr/sbin": None, "usr/sbin/sshd": b""})
    workshop.change_list("  host_keys: first-boot\n", "")
    key = workshop.folder / "keys/deb01/ssh_host_ed25519_key"
    key.parent.mkdir(parents=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    os.chown(key, 65534, 65534)
    ended = workshop.doit("keys:deb01", check=False)
    assert ended.code == 1
    assert f"{key} belongs to user 'nobody'" in ended.output


def test_what_is_ones_own_is_followed(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (workshop.folder / "build").symlink_to(elsewhere)
    workshop.doit()
    assert (elsewhere / "guests/deb01/root.img").exists()


def test_root_builds_for_whose_dodo_py_it_is(workshop: Workshop) -> None:
    need_root()
    workshop.doit()
    subprocess.run(["chown", "-hR", "65534:65534", workshop.folder], check=True)
    workshop.path("guests/deb01/swap.img").unlink()
    assert workshop.doit().executed == ["swap:deb01"]


def test_modes_of_final_files(built: Workshop) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (built.folder / "build").rglob("*.img")}
    assert modes == {"root.img": 0o400, "swap.img": 0o400, "zero.img": 0o400, "format.img": 0o400, "initrd.img": 0o444}
