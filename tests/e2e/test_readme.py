"""What the README says is so: its list is the example, its commands run, and its outputs are what they print."""

import re
import subprocess

import pytest

from tests.e2e import pages
from tests.e2e.conftest import ROOT, Workshop

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[pages.Block]:
    return [block for block in pages.blocks(README) if block.language == language]


@pytest.fixture
def reader(workshop: Workshop) -> pages.Reader:
    return pages.example(workshop, real_doit=True)


def test_the_list_is_the_example() -> None:
    assert [block.text for block in blocks("yaml")] == [(ROOT / "guests.yaml").read_text()]


def test_it_can_be_followed(reader: pages.Reader) -> None:
    assert sum(len(block.commands) for block in blocks("console")) > 15
    reader.follow(README)


def test_what_a_mistake_looks_like(reader: pages.Reader) -> None:
    reader.workshop.change_list("memory: 1G", "memroy: 1G")
    assert reader.bash("doit") == (2, blocks("text")[0].text)


def test_make_targets_exist() -> None:
    for command in re.findall(r"^    (make\b.*?) +#", README, re.MULTILINE):
        subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_tests_that_pages_name_exist() -> None:
    text = "".join(page.read_text() for page in ROOT.glob("docs/**/*.md"))
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 20
    for path, name in named:
        assert (ROOT / path).exists(), path
        assert not name or f"\ndef {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


def test_tests_that_are_named_exist() -> None:
    promised = re.findall(r"`((?:tests/)?(?:\w+/)?\w+\.py|tests/\w+)`", README[README.index("## What it promises") :])
    assert len(promised) > 10
    for name in promised:
        assert list(ROOT.rglob(name)) or (ROOT / name).exists(), name
