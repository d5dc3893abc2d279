"""What the pages of docs/ say is so: their lists are good ones, their commands run and print what the pages show."""

import re
import tomllib
from pathlib import Path

import pytest

from pipeline.errors import ListError
from pipeline.guestlist.export.reference import reference
from pipeline.hypervisors import BY_NAME
from tests.e2e import pages
from tests.e2e.conftest import ROOT, Workshop

DOCS = ROOT / "docs"
PAGES = [pytest.param(path, id=str(path.relative_to(DOCS))) for path in sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_followed(path: Path, workshop: Workshop) -> None:
    text = path.read_text()
    assert pages.example(workshop).follow(text) <= text.count("```") // 2 + text.count("<!-- $")


@pytest.mark.parametrize("path", [*PAGES, pytest.param(ROOT / "README.md", id="the README")])
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(#[^)]*)?\)", text):
        page = path.parent / target if target else path
        assert page.exists(), target
        headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE) if page.is_file() else []
        anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
        assert not anchor or anchor[1:] in anchors, f"{target}{anchor}"


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    for path in DOCS.rglob("*.md"):
        name = str(path.relative_to(DOCS))
        assert name == "README.md" or f"({name})" in index, f"docs/README.md has no link to {name}"


def test_every_command_has_a_page() -> None:
    index = (DOCS / "README.md").read_text()
    pages_of_commands = {path.name: path.read_text() for path in (DOCS / "commands").glob("*.md")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for command in project["entry-points"]["doit.COMMAND"]:
        named = [
            name
            for name, text in pages_of_commands.items()
            if re.search(rf"\b{command}\b", text.partition("\n")[0], re.IGNORECASE) and f"(commands/{name})" in index
        ]
        assert named, f"no page in docs/commands has {command} in its title, and is in docs/README.md"


# --- The harness itself: what it must not let through ---


@pytest.mark.parametrize(
    "page",
    [
        "```yaml\nfarm: f\nguests: {a: {}}\n```\n",
        "```yaml fragment\nguests: {a: {memroy: 1G}}\n```\n",
        "```yaml segment\nguests: {a: {memory: 1G}}\n```\n",
        "```console\n$ false\n```\n",
        "<!-- $ false -->\n",
        "```console fails\n$ true\n```\n",
        "```console fails\n$ false\n$ false\n```\n",
        "```console\n$ echo one; echo two\none\n```\n",
        "```console\n$ echo one\ntwo\n```\n",
        "```console\n$ echo three\nfo…r\n```\n",
        "```console\ndoit\n```\n",
        "```sh\ndoit\n```\n",
    ],
)
def test_what_is_not_so_fails(page: str, workshop: Workshop) -> None:
    with pytest.raises((AssertionError, ListError)):
        pages.example(workshop).follow(page)


def test_what_blocks_mean(workshop: Workshop) -> None:
    page = """\
```yaml
farm: f
images: /srv/images
masters:
  a:
    bootstrap:
      suite: bookworm
  b: {tar: masters/b.tar.xz}
  c: {directory: masters/c}
  d: {image: masters/d.img}
guests:
  one: {master: a, network: none}
```

```yaml fragment
guests:
  two: {root: 3G}
```

```yaml change
guests: {one: {root: 17M}, three: {master: d, root: 17M, network: none}}
```

<!-- $ touch images -->

```console fails
$ doit list --all -q | grep root; ls "$PWD"; grep images guests.yaml
...
root:three
...
masters
"images": /srv/im…s
$ pwd; doit none
/srv/farm
...
```
"""
    assert pages.example(workshop).follow(page) == 5


def test_the_reference_is_that_of_the_tables() -> None:
    assert (DOCS / "guests.yaml.md").read_text() == reference(BY_NAME), "make it anew with: make docs"
