"""Who is in the image store, and where their disks are."""

import json
from pathlib import Path

import pytest

from pipeline.errors import HostError
from pipeline.host import receipt
from pipeline.host.receipt import Known, Receipt
from pipeline.host.store import Aside, Store

RECEIPT = Receipt(
    deployed="2026-11-24T22:45:18+00:00",
    modules="0123",
    disks={"root.img": {"network": receipt.digest(["10.0.0.1"])}},
    boot={},
    configs={"deb01.cfg": Known("4567", (1, 2, 3))},
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "images")
    files = {
        "deb01": ["deb01.cfg", "deb01.cfg.bak", "initrd.img", "vmlinuz", "zulu.img", "root.img", "alpha.img"],
        "by-hand.example": ["root.img", "swap.img", "initrd.img-6.1", "initrd-6.1.img", ".old.img"],
        "deb01.replaced-2026-11-24_224518": ["root.img"],
        "deb01.replaced-2026-11-24_224518_2": ["root.img"],
        "old.retired-2026-01-02_030405": ["root.img"],
        ".locks": ["deb01.lock"],
        ".deb02.draft-01234567": ["root.img"],
        "lost+found": [],
        "-x": [],
        "42": [],
    }
    for folder, names in files.items():
        (store.folder / folder).mkdir(parents=True)
        for name in names:
            (store.folder / folder / name).touch()
    (store.folder / "notes").touch()
    return store


def test_who_is_there(store: Store) -> None:
    assert list(store.guests()) == ["by-hand.example", "deb01"]
    assert store.find("deb02") is None
    with pytest.raises(HostError, match=r"'deb02' is not deployed: there is no .*/images/deb02; doit deploy deb02"):
        store.get("deb02")


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert (store.guests(), store.aside(), store.find("deb01")) == ({}, [], None)


def test_disks(store: Store) -> None:
    assert {name: path.name for name, path in store.get("deb01").disks.items()} == {
        "root": "root.img",
        "alpha": "alpha.img",
        "zulu": "zulu.img",
    }
    assert list(store.get("deb01").disks) == ["root", "alpha", "zulu"]
    assert list(store.get("by-hand.example").disks) == ["root", "swap"]


def test_what_was_set_aside(store: Store) -> None:
    moment = "2026-11-24_224518"
    names = [f"deb01.replaced-{moment}", f"deb01.replaced-{moment}_2", "old.retired-2026-01-02_030405"]
    assert store.aside() == [
        Aside("deb01", "replaced", moment, store.folder / names[0]),
        Aside("deb01", "replaced", f"{moment}_2", store.folder / names[1]),
        Aside("old", "retired", "2026-01-02_030405", store.folder / names[2]),
    ]


@pytest.mark.parametrize("kind", ["file", "dangling symlink"])
def test_what_is_no_folder(kind: str, store: Store) -> None:
    place = store.place("odd")
    place.touch() if kind == "file" else place.symlink_to("nowhere")
    assert "odd" not in store.guests()
    with pytest.raises(HostError, match=r"odd is not a folder, as that of a guest would be"):
        store.find("odd")


def test_a_folder_elsewhere(store: Store, tmp_path: Path) -> None:
    store.folder.joinpath("deb01").rename(tmp_path / "large")
    store.place("deb01").symlink_to(tmp_path / "large")
    assert list(store.get("deb01").disks) == ["root", "alpha", "zulu"]


def test_a_receipt(store: Store) -> None:
    assert store.get("deb01").receipt is None
    RECEIPT.write(store.place("deb01"))
    assert store.get("deb01").receipt == RECEIPT


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"deployed": "", "modules": None, "disks": []})])
def test_a_damaged_receipt(text: str, store: Store) -> None:
    (store.place("deb01") / receipt.NAME).write_text(text)
    with pytest.raises(HostError, match=r"deployed\.json is damaged"):
        print(store.get("deb01").receipt)


def test_digests_tell_apart() -> None:
    assert receipt.digest({"a": 1, "b": None}) == receipt.digest({"b": None, "a": 1})
    assert receipt.digest([1]) != receipt.digest(["1"])
