"""The disks that guests have besides root and swap, in good lists and in bad ones."""

from pathlib import Path, PurePosixPath

import pytest

from pipeline import guestlist
from pipeline.errors import ListError
from pipeline.guestlist.keys.disk import MAX_DISKS
from pipeline.hypervisors import BY_NAME
from pipeline.model.disk import Allocation, Disk, FileSystem
from pipeline.model.guest import Guest
from pipeline.model.identity import disk_uuid, root_uuid
from tests import schemas

pytestmark = pytest.mark.unit

MIB = 1 << 20
HEAD = "farm: example\nmasters: {debian: {bootstrap: {suite: bookworm}}}\n"


def load(folder: Path, disks: str, defaults: str = "") -> Guest:
    path = folder / "guests.yaml"
    path.write_text(f"{HEAD}defaults: {{master: debian{defaults}}}\nguests:\n  g: {disks}\n")
    guest = next(iter(guestlist.load(path, hypervisors=BY_NAME).guests.values()))
    schemas.check(path.read_text())
    return guest


def test_a_size_alone(tmp_path: Path) -> None:
    assert load(tmp_path, "{disks: {data: 64M}}").disks == (
        Disk(
            name="data",
            size=64 * MIB,
            filesystem=FileSystem.EXT4,
            allocation=Allocation.SPARSE,
            mount=None,
            label=None,
            uuid=disk_uuid("example", "g", "data"),
        ),
    )


def test_everything(tmp_path: Path) -> None:
    keys = "{size: 64M, fs: ext2, allocate: full, mount: /srv//data/, label: the-data}"
    (disk,) = load(tmp_path, f"{{disks: {{0_a-b: {keys}}}}}").disks
    assert (disk.filesystem, disk.allocation, disk.label) == (FileSystem.EXT2, Allocation.FULL, "the-data")
    assert disk.mount == PurePosixPath("/srv/data")


def test_zeros_alone(tmp_path: Path) -> None:
    (disk,) = load(tmp_path, "{disks: {raw: {size: 1M, fs: none, mount: none, label: none}}}").disks
    assert disk.filesystem is None


def test_they_keep_their_order(tmp_path: Path) -> None:
    assert [disk.name for disk in load(tmp_path, "{disks: {z: 1M, a: 2M}}").disks] == ["z", "a"]


def test_a_guest_s_own_take_the_place_of_the_defaults(tmp_path: Path) -> None:
    defaults = ", disks: {data: 1M, logs: 2M}"
    assert [disk.name for disk in load(tmp_path, "{}", defaults).disks] == ["data", "logs"]
    assert [disk.name for disk in load(tmp_path, "{disks: {own: 1M}}", defaults).disks] == ["own"]
    assert load(tmp_path, "{disks: none}", defaults).disks == ()
    assert load(tmp_path, "{disks: {}}", defaults).disks == ()


def test_in_a_range(tmp_path: Path) -> None:
    path = tmp_path / "guests.yaml"
    path.write_text(HEAD + 'guests:\n  g[1:2]: {master: debian, disks: {data: {size: "[1:2]M", mount: /srv}}}\n')
    schemas.check(path.read_text())
    disks = [guest.disks[0] for guest in guestlist.load(path, hypervisors=BY_NAME).guests.values()]
    assert [disk.size for disk in disks] == [MIB, 2 * MIB]
    assert disks[0].uuid != disks[1].uuid


def test_every_disk_has_a_uuid_of_its_own() -> None:
    uuids = [disk_uuid(*names) for names in (("f", "g", "a"), ("f", "g", "b"), ("f", "h", "a"), ("e", "g", "a"))]
    assert len({*uuids, root_uuid("f", "g")}) == 5


A_NAME = "expected the name of a disk like data, found"
NAME_HINT = "20 lower case letters, digits, '-' and '_' at most; start with a letter or digit"
PROBLEMS = [
    ("{data: 10}", ["13: guest 'g': disks.data: expected a size like 512M, found '10'; add a unit: B, K, M, G or T"]),
    ("{data: }", ["13: guest 'g': disks.data: expected a size like 512M, found nothing"]),
    ("{data: {fs: ext4}}", ["7: guest 'g': disks.data: size is missing; give its size"]),
    ("{data: [1M]}", None),
    ("[data]", ["6: guest 'g': disks: expected a mapping of names to disks like {data: 10G}, found a list"]),
    ("{Data: 1M}", [f"7: guest 'g': disks.Data: {A_NAME} 'Data'; {NAME_HINT}"]),
    ("{../data: 1M}", [f"7: guest 'g': disks.'../data': {A_NAME} '../data'; {NAME_HINT}"]),
    (f"{{{'a' * 21}: 1M}}", [f"7: guest 'g': disks.{'a' * 21}: {A_NAME} '{'a' * 21}'; {NAME_HINT}"]),
    (
        "{root: 1M, whole: 1M}",
        [
            "7: guest 'g': disks.root: the name 'root' is that of another file of the guest; choose another",
            "17: guest 'g': disks.whole: the name 'whole' is that of another file of the guest; choose another",
        ],
    ),
    (
        "{a: {size: 1500K, fs: xfs, sice: 1M}}",
        [
            "17: guest 'g': disks.a.size: expected a multiple of 1M, found '1500K'; the next is 2M",
            "28: guest 'g': disks.a.fs: expected one of ext2, ext3, ext4, found 'xfs'",
            "33: guest 'g': disks.a: unknown key 'sice'; did you mean 'size'?",
        ],
    ),
    (
        "{a: {size: 1M, mount: srv}}",
        ["28: guest 'g': disks.a.mount: expected an absolute path without '..', found 'srv'"],
    ),
    (
        "{a: {size: 1M, mount: /}}",
        ["28: guest 'g': disks.a.mount: the root disk is mounted there; mount it elsewhere, as /srv"],
    ),
    (
        "{a: {size: 1M, mount: //proc/1}}",
        ["28: guest 'g': disks.a.mount: /proc is made anew whenever the guest starts; mount it elsewhere, as /srv"],
    ),
    (
        "{a: {size: 1M, fs: none, mount: /srv, label: l}}",
        [
            "38: guest 'g': disks.a: a disk without a file system has no mount; say fs: ext4, or mount: none",
            "51: guest 'g': disks.a: a disk without a file system has no label; say fs: ext4, or label: none",
        ],
    ),
    (
        "{a: {size: 1M, mount: /srv}, b: {size: 1M, mount: /srv/}}",
        ["56: guest 'g': disks.b.mount: 'a' is mounted at /srv already; choose another place"],
    ),
    (
        "{a: {size: 1M, label: a label of mine}}",
        [
            "28: guest 'g': disks.a.label: expected a label like data, found 'a label of mine';"
            " 16 ASCII characters without blanks at most"
        ],
    ),
]


@pytest.mark.parametrize(("disks", "expected"), PROBLEMS)
def test_a_bad_list(tmp_path: Path, disks: str, expected: list[str] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ListError) as caught:
        load(Path(), f"\n    disks:\n     {disks}")
    found = str(caught.value).split("\n")
    if expected is not None:
        assert found == [f"guests.yaml:7:{line}" for line in expected]


def test_as_many_as_there_is_room_for(tmp_path: Path) -> None:
    disks = [f"d{number}: 1M" for number in range(MAX_DISKS + 1)]
    assert len(load(tmp_path, f"{{disks: {{{', '.join(disks[1:])}}}}}").disks) == MAX_DISKS
    with pytest.raises(ListError, match=f"disks: 11 disks; a guest has {MAX_DISKS} at most besides root and swap"):
        load(tmp_path, f"{{disks: {{{', '.join(disks)}}}}}")


@pytest.mark.parametrize(
    "disks", ["{Data: 1M}", "{data: 10}", "{data: {fs: ext4, sice: 1M}}", "{data: {size: 1M, fs: xfs}}", "[data]"]
)
def test_what_editors_underline(disks: str) -> None:
    assert schemas.errors(f"{HEAD}guests: {{g: {{disks: {disks}}}}}\n")
