"""`doit plan` says what doit then does, and what it says to do can be pasted into a shell."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop, new_workshop


def planned(output: str) -> Counter[str]:
    """How many artifacts of each kind a plan says would be built."""
    return Counter({kind: int(number) for kind, number in re.findall(r"^(\w+) +(\d+)  ", output, re.MULTILINE)})


def write_to(image: Path) -> None:
    image.write_bytes(image.read_bytes() + b"of a guest")


def test_what_is_planned_is_done(built: Workshop) -> None:
    write_to(built.path("guests/deb01/swap.img"))
    write_to(built.path("bases/debian-ext4-16M/root.img"))
    built.doit("ignore", "swap:deb02")
    built.change_list("swap: 1M", "swap: 2M")
    built.change_list("10.0.0.12/24", "10.0.0.13/24")  # of deb02, whose root disk is made from what was written to
    built.change_list("deb01: {", "deb01: {memory: 1G, ")
    plan = built.doit("plan", check=False)
    assert plan.code == 1
    lines = plan.output.splitlines()
    assert any(line.startswith("populate:debian-ext4-16M: doit fails for it: ") for line in lines)
    assert any(line.startswith("swap:deb01: doit fails for it: ") for line in lines)
    assert "1 artifact left out: doit ignore said so of them, or of what they are made from" in lines
    assert "doit ends at the first failure; all that is listed is built by: doit -c" in lines
    blocked = next(line for line in lines if " cannot be built without: " in line)
    run = built.doit("-c", check=False)
    assert run.code != 0
    assert Counter(name.partition(":")[0] for name in run.executed) == planned(plan.output)
    assert planned(plan.output) == {"swap": 3, "config": 1}
    assert f"not built {blocked.partition(' ')[0]}" in run.output


def test_what_is_in_use_is_told_before(built: Workshop) -> None:
    built.change_list("swap: 1M", "swap: 2M")
    with built.path("guests/deb01/swap.img").open("r+b"):
        plan = built.doit("plan", "swap", check=False)
        run = built.doit("-c", "swap", check=False)
    assert (plan.code, run.code) == (1, 1)
    assert f"{built.path('guests/deb01/swap.img')} is in use" in plan.output
    assert planned(plan.output) == {"swap": 4}
    assert "built 4" in run.output


def test_a_fresh_farm_has_nothing_to_build(built: Workshop) -> None:
    assert built.doit("plan").output == "nothing to build\n"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_hints_can_be_pasted(tmp_path: Path, shell: str) -> None:
    workshop = new_workshop(tmp_path)
    (tmp_path / "guests.yaml").rename(tmp_path / "it's $HOME & more.yaml")
    variables = ("guests=it's $HOME & more.yaml", "build=a [b] *")
    workshop.doit(*variables)
    write_to(tmp_path / "a [b] *" / "guests/deb01/swap.img")
    hint = workshop.doit(*variables, "plan", check=False).output.splitlines()[-1].partition("see: ")[2]
    program = shutil.which("doit", path=str(Path(sys.executable).parent))
    assert hint.startswith("doit ")
    completed = subprocess.run(
        [shell, "-c", hint.replace("doit", str(program), 1)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout.startswith("swap:deb01 is not as it was made")
