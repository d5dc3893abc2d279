"""A guest that changed is read without the others, and what comes of it is what comes of reading them all."""

import marshal
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import guestlist, hypervisors
from pipeline.errors import GuestfarmError
from pipeline.guestlist.checks import warnings
from pipeline.guestlist.syntax import layout
from pipeline.model.farm import Farm, Note
from pipeline.tasks.outline import Outline
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


def catalogue(workshop: Workshop) -> dict[str, Any]:
    """What is known of artifacts, without what it is known by."""
    found: dict[str, Any] = {}
    for path in sorted(workshop.path("catalogue").iterdir()):
        _, content = marshal.loads(path.read_bytes()[32:])
        if path.name == "outline":
            found["outline"] = pickle.loads(content)
        elif path.name == "list":
            found["warnings"] = pickle.loads(content[2])
        else:
            rows, asked = content
            questions = pickle.loads(asked)
            found[path.name] = [(*row[:-1], repr(questions[row[-1]])) for row in rows]
    return found


@pytest.mark.parametrize(
    ("old", "new", "read"),
    [
        ("10.0.0.11/24", "10.0.0.41/24", 1),
        ("host_keys: [ed25519]", "memory: 1G", 2),
        ("10.0.0.12/24", "10.0.0.42/24", 2),
        ("deb01: {", "deb00: {memory: 1G, ", 1),
        ("21:23", "24:26", 5 - 1),
        ("web[01:03]", "web[11:13]", 5 - 1),
        (" disks: {data: {size: 1M, fs: ext2}},", "", 4),
        ("10.0.0.31/24}", "10.0.0.31/24, swap: none, extra: quiet}", 2),
        ("10.0.0.31/24}\n", "10.0.0.31/24}\n  new: {address: 10.0.0.32/24}\n", 2),
        ("10.0.0.31/24}\n", "10.0.0.31/24}\n  n[1:9]: {address: '10.0.0.[51:59]/24', master: other}\n", 10),
        ("  db:", "  new: {address: 10.0.0.32/24}\n  db:", 4),
        ("  last: {address: 10.0.0.31/24}\n", "", 1),
        ("  deb02: {address: 10.0.0.12/24, host_keys: [ed25519]}\n", "", 1),
    ],
)
def test_a_changed_guest(known: Workshop, old: str, new: str, read: int) -> None:
    known.write_list(LIST)
    known.doit("list")
    known.write_list(LIST.replace(old, new))
    assert old in LIST
    changed = doit(known, "list", "--all")
    assert max(changed.guests, default=0) <= read
    found = catalogue(known)
    shutil.rmtree(known.path("catalogue"))
    assert doit(known, "list", "--all").lines == changed.lines
    assert found == catalogue(known)


@pytest.mark.parametrize(
    ("old", "new"),
    [
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
        ("  deb01: {address: 10.0.0.11/24}\n", ""),
    ],
)
def test_what_may_concern_others_is_told_by_reading_all(known: Workshop, old: str, new: str) -> None:
    known.write_list(LIST)
    known.doit("list")
    known.write_list(LIST.replace(old, new))
    changed = known.doit("list", "--all", check=False)
    shutil.rmtree(known.path("catalogue"))
    again = known.doit("list", "--all", check=False)
    assert (changed.code, changed.output) == (again.code, again.output)


def test_one_guest_is_read_to_be_built(known: Workshop) -> None:
    known.write_list(LIST)
    known.doit()
    known.write_list(LIST.replace("10.0.0.12/24", "10.0.0.43/24"))
    run = doit(known)
    assert sorted(line for line in run.lines if line.startswith(".  ")) == [
        ".  known_hosts:dns",
        ".  known_hosts:openssh",
        ".  root:deb02",
    ]
    assert 7 not in run.guests
    assert "10.0.0.43" in known.path("known_hosts").read_text()
    known.path("guests/web02/swap.img").unlink()
    run = doit(known, "-n", "2")
    assert ".  swap:web02" in run.lines
    assert 7 not in run.guests
    run = doit(known)
    assert run.guests == []
    assert [line for line in run.lines if line.startswith(".  ")] == []


def test_many_guests_are_read_at_once(known: Workshop) -> None:
    many = LIST + "  many[001:040]: {address: '10.0.1.[1:40]/24', network: {bridge: br1, gateway: none}}\n"
    many += "".join(
        f"  one{number}: {{address: 10.0.2.{number}/24, network: {{bridge: br2, gateway: none}}}}\n"
        for number in range(1, 41)
    )
    known.write_list(many)
    known.doit()
    for image in known.path("guests").glob("*/swap.img"):
        image.unlink()
    run = doit(known)
    assert len([line for line in run.lines if line.startswith(".  swap:")]) == 87
    assert run.guests.count(87) == 1
    known.write_list(LIST)
    known.doit()


ENTRIES = st.sampled_from(
    [
        *("deb{n}: {{address: 10.0.0.{m}/24}}", "deb{n}: {{address: 10.0.0.{m}/24, memory: 1G}}"),
        *("web[{n}:{n}1]: {{memory: 2G}}", "deb{n}: {{master: other, network: {{bridge: br1}}, xen: {{type: pvh}}}}"),
        *("deb{n}: {{address: 10.0.0.{m}/25}}", "Deb{n}: {{}}", "deb{n}: {{address: [10.0.0.{m}/24, fd00::{m}/64]}}"),
        *("deb{n}: {{address: 10.0.1.{m}/32}}", "deb{n}: {{hypervisors: qemu, mac: '52:54:00:00:00:1{n}'}}"),
        *("deb{n}: {{root: 64M}}", "deb{n}: {{root: 64M, kernel: /boot/k, ramdisk: /boot/r}}", "deb{n}: {{memory: x}}"),
        *("deb{n}: {{network: {{use: lan}}, address: next}}", "deb{n}: {{network: {{use: lan}}, address: .{m}}}"),
    ]
)
ENTRY = st.builds(lambda text, n, m: text.format(n=n, m=m), ENTRIES, st.integers(1, 6), st.integers(2, 9))
HEAD = """\
farm: tiny
masters: {debian: {tar: debian.tar}, other: {tar: debian.tar}}
networks: {lan: {bridge: lan0, subnet: 10.9.0.0/24}}
defaults: {master: debian, root: 16M, network: {bridge: xenbr0}, host_keys: [ed25519]}
guests:
"""


def loaded(text: str) -> Farm:
    return guestlist.load(Path("guests.yaml"), text=text, hypervisors=hypervisors.INEXPRESSIBLE)


def notes_of(read: Farm) -> list[Note]:
    return [*read.warnings, *read.driver_needs]


@pytest.mark.hypothesis
@given(
    before=st.lists(ENTRY, min_size=1, max_size=6),
    start=st.integers(0, 6),
    end=st.integers(0, 6),
    new=st.lists(ENTRY, max_size=3),
)
def test_any_change(before: list[str], start: int, end: int, new: list[str]) -> None:
    """If it is taken for one that concerns nobody else, then the whole list is right, and comes to the same."""
    first, last = sorted((start, end))
    texts = [
        "\n  ".join([f"{HEAD}  {lines[0]}" if lines else HEAD, *lines[1:], ""])
        for lines in (before, [*before[:first], *new, *before[last:]])
    ]
    try:
        before_now = loaded(texts[0])
    except GuestfarmError:
        return
    known = Outline.of(before_now, texts[0])
    assert known.layout is not None
    change = layout.change(texts[0], known.layout, texts[1])
    if change is None:
        return
    try:
        excerpt = loaded(change.text)
    except GuestfarmError:
        return
    found = known.changed(texts[1], change, excerpt)
    if found is not None:
        outline, names = found
        whole = loaded(texts[1])
        assert outline == Outline.of(whole, texts[1])
        notes = warnings.renewed(notes_of(before_now), notes_of(excerpt), change)
        assert notes is None or notes == notes_of(whole)
        unchanged = {row.standing.name: row for row in known.rows if row.standing.name not in names}
        assert unchanged == {row.standing.name: row for row in outline.rows if row.standing.name not in names}
