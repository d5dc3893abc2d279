"""The master of Debian's packages: the same for everybody, nobody's own, and fit for Xen."""

import filecmp
import gzip
import hashlib
import os
import pwd
import re
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline import guestlist
from pipeline.hypervisors import BY_NAME
from pipeline.image.layer import tar
from pipeline.image.sources import mmdebstrap
from pipeline.model.master import Bootstrap
from tests.boot.masters import read
from tests.e2e.conftest import Workshop
from tests.machine import need

NOBODY = pwd.getpwnam("nobody")

# An ordinary user needs subordinate IDs. This one has them in a mount namespace, so that the machine need not know.
MMDEBSTRAP = """\
#!/bin/sh
exec unshare --mount sh -ec '
    mount --bind "$(dirname "$0")/subids" /etc/subuid
    mount --bind "$(dirname "$0")/subids" /etc/subgid
    exec {program} "$@"
' "$0" "$@"
"""


@pytest.fixture
def rootfs(example: Workshop) -> Path:
    """The root file system of the example's master."""
    return example.path("masters/debian/rootfs.tar")


@pytest.fixture
def users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an ordinary user, who also is the one to run mmdebstrap: ourselves, or nobody if we are root."""
    if os.geteuid():
        yield tmp_path
        return
    as_nobody = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]
    probe = subprocess.run(["unshare", "--mount", *as_nobody, "unshare", "--user", "true"], check=False)
    need(probe.returncode == 0, "user namespaces for ordinary users")
    program = shlex.join([*as_nobody, shutil.which("mmdebstrap") or ""])
    (tmp_path / "mmdebstrap").write_text(MMDEBSTRAP.format(program=program))
    (tmp_path / "subids").write_text(f"{NOBODY.pw_name}:100000:65536\n")
    (tmp_path / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with TemporaryDirectory(dir="/var/tmp") as folder:  # pytest's are closed to others
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        Path(folder).chmod(0o755)
        monkeypatch.setenv("HOME", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def test_is_the_same_for_every_user(example: Workshop, rootfs: Path, users_folder: Path) -> None:
    source = guestlist.load(example.folder / "guests.yaml", hypervisors=BY_NAME).masters["debian"].source
    assert isinstance(source, Bootstrap)
    packages = mmdebstrap.Packages(
        suite=source.suite,
        variant=source.variant,
        include=source.packages,
        components=source.components,
        mirrors=source.mirrors,
        keyring=source.keyring,
        customize=source.run,
    )
    again = users_folder / "rootfs.tar"
    mmdebstrap.build(packages, again)
    if installed(rootfs) != installed(again):  # Debian has published updates since
        rootfs = users_folder / "now.tar"
        mmdebstrap.build(packages, rootfs)
    assert filecmp.cmp(rootfs, again, shallow=False), differing(rootfs, again)


def test_is_nobodys_own(rootfs: Path) -> None:
    names = {entry.path for entry in tar.entries(rootfs)}
    assert "etc/ssh/sshd_config" in names
    assert not [name for name in names if name.startswith("etc/ssh/ssh_host_")]
    assert not names & {"etc/hostname", "etc/resolv.conf", "var/lib/dbus/machine-id", "var/lib/systemd/random-seed"}
    assert read(rootfs, "etc/machine-id") == b""


@pytest.mark.parametrize(
    ("option", "module"),
    [("CONFIG_XEN_BLKDEV_FRONTEND", "xen-blkfront"), ("CONFIG_XEN_NETDEV_FRONTEND", "xen-netfront")],
)
def test_drives_xens_devices(example: Workshop, rootfs: Path, option: str, module: str) -> None:
    (config,) = (entry.path for entry in tar.entries(rootfs) if entry.path.startswith("boot/config-"))
    built = re.search(rf"^{option}=(.)", read(rootfs, config).decode(), re.MULTILINE)
    assert built
    initrd = gzip.decompress(example.path("masters/debian/initrd.img").read_bytes())
    assert built[1] == "y" or f"/{module}.ko\0".encode() in initrd  # so cpio(5) has names


def test_boots_as_a_xen_pv_guest(rootfs: Path) -> None:
    (config,) = (entry.path for entry in tar.entries(rootfs) if entry.path.startswith("boot/config-"))
    options = read(rootfs, config).decode().splitlines()
    assert {"CONFIG_XEN=y", "CONFIG_XEN_PV=y", "CONFIG_XEN_PVH=y", "CONFIG_HVC_XEN=y"} <= set(options)


def installed(rootfs: Path) -> bytes:
    return read(rootfs, "var/lib/dpkg/status")


def differing(one: Path, other: Path) -> list[str]:
    """The names of the members that are not the same in two tar files."""
    return sorted({name for name, _ in set(members(one)) ^ set(members(other))})


def members(path: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(path) as archive:
        for member in archive:
            contents = archive.extractfile(member) if member.isreg() else None
            yield member.name, f"{member.get_info()} {hashlib.sha256(contents.read() if contents else b'').hexdigest()}"
