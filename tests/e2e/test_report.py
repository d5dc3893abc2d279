"""The page about a farm, as a real browser shows it: small and large, with what hostile lists may bring."""

import html
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.e2e.conftest import TINY_LIST, Workshop
from tests.machine import need_programs, run

_BROWSER = [
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom"),
]
# What a person does: looks, types a word, sorts by a column, scrolls to the end, switches between light and dark.
_PERSON = """
<script>{
const seen = {errors: []};
const rows = () => [...document.querySelectorAll("#rows > .row")];
const cells = (row) => [...row.children].map((cell) => cell.textContent);
seen.found = byId("found").textContent;
seen.first = cells(rows()[0]);
seen.drawn = rows().length;
byId("search").value = "WORD";
byId("search").dispatchEvent(new Event("input"));
seen.searched = byId("found").textContent;
seen.names = rows().map((row) => cells(row)[0]);
byId("search").value = "";
byId("search").dispatchEvent(new Event("input"));
document.querySelector("#head > button").click();
document.querySelector("#head > button").click();
seen.last = cells(rows()[0])[0];
document.querySelector("#head > button").click();
scroller.scrollTop = scroller.scrollHeight;
draw();
seen.scrolled = cells(rows().at(-1))[0];
seen.light = getComputedStyle(document.body).backgroundColor;
byId("theme").click();
seen.dark = getComputedStyle(document.body).backgroundColor;
seen.scripts = document.scripts.length;
seen.text = document.body.innerText;
seen.timeline = byId("pointed").textContent;
const note = document.createElement("pre");
note.id = "seen";
note.textContent = JSON.stringify(seen);
document.body.append(note);
}</script>
"""


def looked_at(page: Path, word: str) -> dict[str, Any]:
    """What a person sees who looks at the page, and searches for a word."""
    need_programs("chromium")
    text = page.read_text()
    with TemporaryDirectory() as folder:
        visited = Path(folder, "page.html")
        visited.write_text(text.replace("</body>", _PERSON.replace("WORD", word) + "</body>"))
        dom = run(*_BROWSER, f"--user-data-dir={folder}/browser", visited.as_uri(), env={"HOME": folder})
    found = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom[-2000:]
    seen: dict[str, Any] = json.loads(html.unescape(found[1]))
    return seen


def test_of_a_small_farm(built: Workshop) -> None:
    built.change_list("10.0.0.11/24", "10.0.0.99/24")
    assert built.doit("report").output == f"{built.path('report.html')}: 5 guests\n"
    seen = looked_at(built.path("report.html"), "web 10.0.0.22")
    assert seen["found"] == "5 of 5 guests"
    assert seen["first"][:3] == ["deb01", "stale", "10.0.0.99/24"]
    assert seen["first"][-1] == "address changed from 10.0.0.11/24 to 10.0.0.99/24"
    assert (seen["searched"], seen["names"]) == ("1 of 5 guests", ["web02"])
    assert (seen["last"], seen["scrolled"]) == ("web03", "web03")
    assert seen["light"] != seen["dark"]
    assert "populate:debian-ext4-16M" in seen["text"]
    assert seen["timeline"].startswith("20 artifacts in ")


def test_of_a_farm_of_ten_thousand(workshop: Workshop) -> None:
    workshop.write_list(f"{TINY_LIST}      n[00001:09995]: {{network: none}}\n")
    workshop.doit("report")
    seen = looked_at(workshop.path("report.html"), "n00042")
    assert seen["found"] == "10,000 of 10,000 guests"
    assert (seen["searched"], seen["names"]) == ("1 of 10,000 guests", ["n00042"])
    assert (seen["last"], seen["scrolled"]) == ("web03", "web03")
    assert seen["drawn"] < 100, "only the rows in sight are there, or it would not stay fluid"


def test_hostile_text_is_text(workshop: Workshop) -> None:
    name = "</script><script>document.title='broken in'</script><img src=x onerror=alert(1)><!--"
    (workshop.folder / "debian.tar").rename(workshop.folder / "a.tar")
    folder = workshop.folder / name.replace("/", "\u2215")
    folder.mkdir()
    workshop.change_list("{tar: debian.tar}", json.dumps({"directory": str(folder)}))
    workshop.doit("report")
    page = workshop.path("report.html")
    assert page.read_text().count("</script>") == 2
    seen = looked_at(page, "deb")
    assert seen["scripts"] == 3
    assert folder.name in seen["text"]


def test_it_needs_nothing_but_itself(workshop: Workshop) -> None:
    workshop.doit("report", "-o", "page.html")
    text = (workshop.folder / "page.html").read_text()
    assert not re.search(r"""(?:src|href)=["'](?!data:)|@import|url\(""", text)


def test_the_graph(built: Workshop) -> None:
    need_programs("dot")
    built.doit("graph")
    svg = built.path("graph.svg").read_text()
    assert svg.count('class="node"') == 20
    assert ">root:deb01<" in svg
    drawn = built.doit("graph", "--dot", "root:deb01").output
    assert drawn.count("label=") == 5
    assert drawn.count("->") == 3 + 1


def test_the_graph_of_a_large_farm_is_grouped(workshop: Workshop) -> None:
    workshop.change_list("web[01:03]", "web[01:99]")
    workshop.change_list("[21:23]", "[21:119]")
    drawn = workshop.doit("graph", "--dot").output
    assert "root: 101 artifacts\\n101 missing" in drawn
    assert drawn.count("label=") == 8


def test_labels_are_quoted(workshop: Workshop) -> None:
    need_programs("dot")
    workshop.doit("graph", "-o", "all.svg")
    assert (workshop.folder / "all.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("command", ["report", "graph"])
def test_a_folder_is_no_file(workshop: Workshop, command: str) -> None:
    (workshop.folder / "there").mkdir()
    result = workshop.doit(command, "-o", "there", check=False)
    assert (result.code, result.output) == (2, "there is a folder; name a file\n")
