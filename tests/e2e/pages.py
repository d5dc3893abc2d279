"""Pages of documentation as their readers would follow them: their lists are read, and their commands run.

docs/README.md says what the kinds of blocks are.
"""

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pipeline import guestlist, hypervisors
from tests import doit_process, schemas
from tests.e2e.conftest import ROOT, TINY_MASTER, Workshop, write_tar
from tests.machine import run
from tests.toolstacks import Toolstacks

FOLDER = "/srv/farm"
"""What pages call the folder of their farm."""

# What a fragment of a list is merged into.
MINIMAL = """\
farm: example
masters: {debian: {bootstrap: {suite: bookworm}}}
defaults: {master: debian, network: {bridge: xenbr0}, root: 16M}
guests: {}
"""

_BLOCK = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$|^<!-- \$ (.*?) -->$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Text between fences, or a command that readers do not see."""

    language: str
    kind: str
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console, each with what it prints where that is shown."""
        return _COMMAND.findall(self.text)


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    for language, kind, inside, hidden in _BLOCK.findall(text):
        yield Block("console", "", f"$ {hidden}\n") if hidden else Block(language, kind, inside)


class Reader:
    """Somebody who follows a page in a workshop."""

    def __init__(self, workshop: Workshop, *, real_doit: bool = False) -> None:
        """One who has installed doit itself runs it at its own pace; others run forks, see doit_process."""
        self.workshop = workshop
        self.images = "/opt/xen/images"
        """The page's own word for where the host keeps disks."""
        if not (workshop.folder / ".venv").exists():
            (workshop.folder / ".venv").symlink_to(sys.prefix)
        self.programs = Toolstacks(workshop.folder / ".programs")
        if not self.programs.folder.exists():
            self.programs.install("xl", "virsh")
            if not real_doit:
                doit_process.install(self.programs.folder)

    def write_list(self, text: str) -> None:
        """Make `text` the workshop's list, with the same lines, but of masters that take no time and no network."""
        document = yaml.compose(text, Loader=yaml.BaseLoader)
        assert isinstance(document, yaml.MappingNode)
        replacements = []
        images_are_given = False
        for key, value in document.value:
            if key.value == "images":
                images_are_given = True
                self.images = value.value
                replacements.append((value, value, str(self.workshop.folder / "images")))
            if key.value == "masters":
                for _, master in value.value:
                    for kind, source in master.value:
                        if kind.value == "bootstrap":
                            replacements.append((kind, source, "tar: debian.tar"))
                        else:
                            self._provide(kind.value, source.value)
        for first, last, replacement in reversed(replacements):
            start, end = first.start_mark.index, last.end_mark.index
            replaced = text[start:end].rstrip()  # a block ends where what follows it starts
            text = text[:start] + replacement + "\n" * replaced.count("\n") + text[start + len(replaced) :]
        if not images_are_given:
            text += f"images: {self.workshop.folder / 'images'}\n"
        (self.workshop.folder / "guests.yaml").write_text(text)

    def change_list(self, text: str) -> None:
        """Merge `text` into the workshop's list."""
        present = (self.workshop.folder / "guests.yaml").read_text()
        self.write_list(merged(present.replace(str(self.workshop.folder / "images"), self.images), text))

    def check_list(self, text: str, name: str) -> None:
        """Load the list `text`, as it would be beside the workshop's own."""
        own = self.workshop.folder / "guests.yaml"
        kept = own.read_text()
        self.write_list(text)
        own.rename(self.workshop.folder / name)
        own.write_text(kept)
        assert guestlist.load(self.workshop.folder / name, hypervisors=hypervisors.BY_NAME).guests

    def bash(self, command: str) -> tuple[int, str]:
        """Run `command` as a reader who has activated .venv; what it prints, in the words of the page.

        Without blanks at the ends of lines, where nobody sees them.
        """
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {"LC_ALL": "C.UTF-8", "COLUMNS": "120"}
        images = str(self.workshop.folder / "images")
        completed = subprocess.run(
            [
                "bash",
                "-c",
                f'. .venv/bin/activate; PATH="{self.programs.folder}:$PATH"; {command.replace(self.images, images)}',
            ],
            cwd=self.workshop.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        printed = completed.stdout.replace(images, self.images)
        printed = printed.replace(str(self.workshop.folder), FOLDER)
        return completed.returncode, re.sub(" +$", "", printed, flags=re.MULTILINE)

    def follow(self, page: str) -> int:
        """Do what `page` says, and return how many blocks there were to do something with."""
        done = 0
        for block in blocks(page):
            done += 1
            match block.language, block.kind:
                case "yaml", "":
                    schemas.check(block.text)
                    self.write_list(block.text)
                    guestlist.load(self.workshop.folder / "guests.yaml", hypervisors=hypervisors.BY_NAME)
                case "yaml", "fragment":
                    self.check_list(_completed(block.text), "fragment.yaml")
                case "yaml", "change":
                    self.change_list(block.text)
                    guestlist.load(self.workshop.folder / "guests.yaml", hypervisors=hypervisors.BY_NAME)
                case "console", "" | "fails":
                    self._console(block)
                case "text", "":
                    done -= 1
                case _:
                    raise AssertionError(f"docs/README.md knows no block '{block.language} {block.kind}'")
        return done

    def _console(self, block: Block) -> None:
        assert block.commands, f"a console without a command: {block.text}"
        for number, (command, expected) in enumerate(block.commands, 1):
            code, printed = self.bash(command)
            fails = block.kind == "fails" and number == len(block.commands)
            assert (code != 0) == fails, f"$ {command}\n{printed}(exit code {code})"
            assert not expected or _pattern(expected).fullmatch(printed), (
                f"$ {command}\n{printed}--- but the page has\n{expected}"
            )

    def _provide(self, kind: str, path: object) -> None:
        """Make the tiny master as the file or folder that a list names."""
        if kind not in {"tar", "directory", "image"} or not isinstance(path, str):
            return
        master = self.workshop.folder / path
        assert master.is_relative_to(self.workshop.folder), f"masters of pages are relative: {path}"
        if master.exists():
            return
        master.parent.mkdir(parents=True, exist_ok=True)
        plain = self.workshop.folder / "debian.tar"
        if kind == "tar":
            write_tar(master, TINY_MASTER)
        else:
            folder = master if kind == "directory" else self.workshop.folder / ".rootfs"
            with tarfile.open(plain) as archive:
                archive.extractall(folder, filter="data")
            if kind == "image":
                run("mke2fs", "-q", "-t", "ext4", "-d", folder, master, "16M")


def _pattern(expected: str) -> re.Pattern[str]:
    """What a shown output stands for: a line of dots for any lines, an ellipsis for anything within a line."""
    lines = expected.removesuffix("\n").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    texts = ["(?:.*\n)*?" if line == "..." else ".*?".join(map(re.escape, line.split("…"))) + "\n" for line in lines]
    return re.compile("".join(texts))


def merged(whole: str, part: str) -> str:
    """The list `whole` with what `part` says as well."""
    both = _merge(yaml.load(whole, yaml.BaseLoader), yaml.load(part, yaml.BaseLoader))
    return str(yaml.safe_dump(both, sort_keys=False, default_style='"'))


def _completed(fragment: str) -> str:
    """A whole list that says what `fragment` does."""
    whole = yaml.load(merged(MINIMAL, fragment), yaml.BaseLoader)
    whole["guests"] = whole["guests"] or {"deb01": {}}
    for name, guest in whole["guests"].items():
        if not any("address" in key or "network" in key for key in guest):
            whole["guests"][name] = {"address": "dhcp", **guest}
    return str(yaml.safe_dump(whole, sort_keys=False, default_style='"'))


def _merge(whole: Any, part: Any) -> Any:
    if not isinstance(whole, Mapping) or not isinstance(part, Mapping):
        return part
    return {**whole, **{key: _merge(whole.get(key), value) for key, value in part.items()}}


def example(workshop: Workshop, *, real_doit: bool = False) -> Reader:
    """A reader with the list that comes with Guestfarm."""
    reader = Reader(workshop, real_doit=real_doit)
    reader.write_list((ROOT / "guests.yaml").read_text())
    return reader
