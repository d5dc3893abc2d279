"""What the README says is so: its list is the example, its commands run, and its outputs are what they print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import farm
from tests.pipeline.conftest import ROOT, Workshop

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```\n", README, re.DOTALL)
BOOTSTRAP = re.compile(r"    bootstrap:.*?\n\n", re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for language, text in BLOCKS if language == kind]


@pytest.fixture
def example(workshop: Workshop) -> Workshop:
    """The README's own list, with a master that takes no network."""
    text, replaced = BOOTSTRAP.subn("    tar: debian.tar\n\n", blocks("yaml")[0])
    assert replaced == 1
    (workshop.folder / "guests.yaml").write_text(text)
    (workshop.folder / ".venv").symlink_to(sys.prefix)
    return workshop


def bash(workshop: Workshop, command: str) -> str:
    """Run a command as the README's reader would, who has activated .venv."""
    script = f"set -e; . .venv/bin/activate; {command}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    completed = subprocess.run(
        ["bash", "-c", script], cwd=workshop.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, f"{command}: {completed.stdout}{completed.stderr}"
    return completed.stdout


def test_the_list_is_the_example() -> None:
    assert blocks("yaml") == [(ROOT / "guests.yaml").read_text()]


def test_the_list_is_a_good_one(tmp_path: Path) -> None:
    for number, text in enumerate(blocks("yaml")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert farm.load(path).guests


def test_commands_run_and_print_what_they_say(example: Workshop) -> None:
    ran = 0
    for block in blocks("console"):
        for command, output in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", block, re.MULTILINE):
            printed = bash(example, command)
            assert output in ("", printed)
            ran += 1
    assert ran > 15


def test_what_the_first_run_prints(example: Workshop) -> None:
    assert bash(example, "doit") == blocks("text")[0]


def test_what_a_mistake_looks_like(example: Workshop) -> None:
    # The master of this list takes fewer lines than the README's.
    shorter = blocks("yaml")[0].count("\n") - (example.folder / "guests.yaml").read_text().count("\n")
    example.change_list("memory: 1G", "memroy: 1G")
    printed = example.doit(check=False).output
    expected = re.sub(r":(\d+):", lambda line: f":{int(line[1]) - shorter}:", blocks("text")[1], count=1)
    assert printed == expected


def test_make_targets_exist() -> None:
    for command in re.findall(r"^    (make\b.*?) +#", README, re.MULTILINE):
        subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_tests_that_are_named_exist() -> None:
    promised = re.findall(r"`((?:tests/)?(?:\w+/)?\w+\.py|tests/\w+)`", README[README.index("## What it promises") :])
    assert len(promised) > 10
    for name in promised:
        assert list(ROOT.rglob(name)) or (ROOT / name).exists(), name
