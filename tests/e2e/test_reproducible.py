"""The same list and the same master give the same bytes, whoever builds them, where and when."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop
from tests.e2e.test_interrupted import artifacts

BUILDS = """
    farm: tiny
    masters: {debian: {tar: debian.tar}}
    defaults: {master: debian, swap: 1M, network: {bridge: xenbr0}}
    guests:
      deb01: {address: 10.0.0.11/24, root: 16M}
      deb02: {address: dhcp, root: {size: 16M, fs: ext3}}
      deb03: {address: 10.0.0.13/24, root: {size: 16M, fs: ext2, allocate: full}}
"""


def difference(one: Path, other: Path) -> str:
    """Where two images differ: fields of the superblock, or bytes."""
    commands: list[list[str | Path]] = [["dumpe2fs", "-h", one], ["dumpe2fs", "-h", other]]
    headers = [subprocess.run(command, capture_output=True, text=True, check=False).stdout for command in commands]
    fields = [f"{a} / {b}" for a, b in zip(*(header.splitlines() for header in headers), strict=False) if a != b]
    compared = subprocess.run(["cmp", one, other], capture_output=True, text=True, check=False)
    return "\n".join([compared.stdout, *fields])


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = artifacts(one), artifacts(other)
    assert ours.keys() == theirs.keys()
    differing = {name: difference(one / name, other / name) for name in ours if ours[name] != theirs[name]}
    assert differing == {}


@pytest.fixture
def first(workshop: Workshop) -> Workshop:
    workshop.write_list(BUILDS)
    workshop.doit()
    return workshop


def test_at_another_time_in_another_folder(first: Workshop, tmp_path_factory: pytest.TempPathFactory) -> None:
    second = Workshop(tmp_path_factory.mktemp("elsewhere"))
    for name in ("dodo.py", "guests.yaml", "debian.tar"):
        shutil.copy(first.folder / name, second.folder / name)
    shutil.copytree(first.folder / "keys", second.folder / "keys")  # these are made once, of chance alone
    # Not all that tells the time can be told another one, but a second has passed since.
    second.doit("-n", "2")
    assert_same(first.folder / "build", second.folder / "build")


def test_with_another_environment(first: Workshop, tmp_path: Path) -> None:
    odd = tmp_path / "mke2fs.conf"
    odd.write_text("[defaults]\n\tbase_features = none\n\tblocksize = 1024\n")
    environment = {"MKE2FS_CONFIG": str(odd), "SOURCE_DATE_EPOCH": "1", "E2FSPROGS_FAKE_TIME": "1", "TZ": "Asia/Tokyo"}
    subprocess.run(
        [sys.executable, "-m", "doit", "build=other"],
        cwd=first.folder,
        env={**os.environ, **environment, "LC_ALL": "C.UTF-8"},
        umask=0o077,
        check=True,
    )
    assert_same(first.folder / "build", first.folder / "other")


def test_by_another_user(first: Workshop) -> None:
    # A user namespace makes this process that of an ordinary user, without any of root's rights.
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    seen = subprocess.run([*namespace, "id", "--user"], capture_output=True, text=True, check=True).stdout
    assert int(seen) == 1000
    subprocess.run([*namespace, sys.executable, "-m", "doit", "build=theirs"], cwd=first.folder, check=True)
    assert_same(first.folder / "build", first.folder / "theirs")
