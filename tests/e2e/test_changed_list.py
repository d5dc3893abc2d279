"""A list that changed is read again, and what comes of it is what comes of reading it for the first time."""

import shutil

import pytest

from tests.e2e.conftest import Workshop, new_workshop
from tests.e2e.reading import doit

LIST = """\
farm: tiny
masters: {debian: {tar: debian.tar}, other: {tar: debian.tar}}
defaults:
  master: debian
  root: 16M
  swap: 1M
  network: {bridge: xenbr0, gateway: 10.0.0.1}
  host_keys: first-boot
guests:
  deb01: {address: 10.0.0.11/24}
  deb02: {address: 10.0.0.12/24, host_keys: [ed25519]}
  web[01:03]: {address: "10.0.0.[21:23]/24"}
  db: {address: 10.0.0.30/24, disks: {data: {size: 1M, fs: ext2}}, master: other}
  last: {address: 10.0.0.31/24}
"""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A farm whose list was read."""
    workshop = new_workshop(tmp_path_factory.mktemp("known"), LIST)
    workshop.path("").mkdir()
    workshop.doit("list")
    return workshop


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10.0.0.11/24", "10.0.0.41/24"),
        ("host_keys: [ed25519]", "memory: 1G"),
        ("web[01:03]", "web[11:13]"),
        (" disks: {data: {size: 1M, fs: ext2}},", ""),
        ("10.0.0.31/24}\n", "10.0.0.31/24}\n  n[1:9]: {address: '10.0.0.[51:59]/24', master: other}\n"),
        ("  last: {address: 10.0.0.31/24}\n", ""),
        ("farm: tiny", "farm: tinier"),
        (" master: other", " master: debian"),
        ("swap: 1M", "swap: 2M"),
        ("10.0.0.11/24", "10.0.0.31/24"),
        ("10.0.0.11/24", "10.0.0.41/25"),
        ("deb01: {", "DB: {"),
        ("deb01: {", "deb01: {mac: 00:16:3e:00:00:00, "),
        ("  last:", "  db: {address: 10.0.0.99/24}\n  last:"),
        ("10.0.0.11/24", "10.0.0.11"),
        ("10.0.0.11/24", "next"),
    ],
)
def test_a_changed_list(known: Workshop, old: str, new: str) -> None:
    assert old in LIST
    known.write_list(LIST)
    known.doit("list")
    known.write_list(LIST.replace(old, new))
    changed = known.doit("list", "--all", check=False)
    shutil.rmtree(known.path("catalogue"))
    again = known.doit("list", "--all", check=False)
    assert (changed.code, changed.output) == (again.code, again.output)


def test_the_list_is_read_once_for_what_is_built(known: Workshop) -> None:
    known.write_list(LIST)
    known.doit()
    known.write_list(LIST.replace("10.0.0.12/24", "10.0.0.43/24"))
    run = doit(known)
    assert sorted(line for line in run.lines if line.startswith(".  ")) == [
        ".  known_hosts:dns",
        ".  known_hosts:openssh",
        ".  root:deb02",
    ]
    assert "10.0.0.43" in known.path("known_hosts").read_text()
    known.path("guests/web02/swap.img").unlink()
    run = doit(known, "-n", "2")
    assert [line for line in run.lines if line.startswith(".  ")] == [".  swap:web02"]
    assert len(run.guests) == 1
    run = doit(known)
    assert run.guests == []
    assert [line for line in run.lines if line.startswith(".  ")] == []
