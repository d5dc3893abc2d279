"""What changed in a guest list, found by its text, is what a parser would have found."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.guestlist.syntax import source
from pipeline.guestlist.syntax.layout import Layout, change, excerpt, layout_of
from pipeline.guestlist.syntax.nodes import Mapping, Node, ReadingError, Scalar, Sequence

pytestmark = pytest.mark.unit

LIST = """\
farm: lab
guests:  # all of them

  # the first
  a: {memory: 1G}
  "b[1:2]":
    memory: 1G
    # not much
    swap: 1G
  c:

  # the last
  d: {memory: 1G,
swap: 1G}
images: /srv
"""


def plain(node: Node | None) -> object:
    if isinstance(node, Scalar):
        return node.text, node.plain
    if isinstance(node, Sequence):
        return list(map(plain, node.items))
    assert isinstance(node, Mapping)
    return {key: plain(value) for key, (_, value) in node.entries.items()}


def known(text: str) -> Layout:
    found = layout_of(source.parse(text).root, text)
    assert found is not None
    return found


def test_where_entries_are() -> None:
    layout = known(LIST)
    assert layout == Layout((4, 5, 9, 12), 3, 14)
    assert excerpt(LIST, layout, [1, 2]) == LIST.replace("  a: {memory: 1G}\n", "").replace(
        "  d: {memory: 1G,\nswap: 1G}\n", ""
    )
    without_more = LIST.removesuffix("images: /srv\n")
    assert known(without_more).end == len(without_more.split("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "farm: lab\n",
        "guests:\n",
        "guests: {a: {}, b: {}}\n",
        "guests: {\n  a: {},\n  b: {}}\n",
        "guests: {a: {},\n  b: {}}\n",
        "guests:\n  {a: {},\n   b: {}}\n",
        "guests:\n  ? a\n  : {}\n  ? b\n  : {}\n",
        "guests: [a]\n",
        "{guests:\n  {a: {}}}\n",
        "guests:\r\n  a: {}\r\n",
        "guests:\n  a: {description: 'x\u2028y'}\n",
    ],
)
def test_lists_that_are_written_otherwise(text: str) -> None:
    assert layout_of(source.parse(text).root, text) is None


@pytest.mark.parametrize(
    ("old", "new", "entries", "size"),
    [
        ("a: {memory: 1G}", "a: {memory: 2G}", (0, 1), 1),
        ("  a: {memory: 1G}\n", "  a: {memory: 1G}\n  x: {}\n", (0, 1), 2),
        ("  a: {memory: 1G}\n", "  x: {}\n  a: {memory: 1G}\n", (0, 0), 1),
        ("  c:\n", "", (1, 3), 1),
        ("  c:\n", "  c: {}\n  x: {}\n  y: {}\n", (1, 3), 4),
        ("    memory: 1G\n    # not", "    memory: 2G\n    # not", (1, 2), 1),
        ("# the last", "# the last but not the least", (2, 3), 1),
        ("  d: {memory: 1G,\nswap: 1G}\n", "", (2, 4), 1),
        ("swap: 1G}\n", "swap: 2G}\n", (3, 4), 1),
        ("swap: 1G}\n", "swap: 1G}\n  e: {}\n", (3, 4), 2),
        ("    swap: 1G\n  c:\n", "    swap: 2G\n  c: {}\n", (1, 3), 2),
        ("  # the first\n  a: {memory: 1G}\n", "  # the first\n  z: {memory: 1G}\n", (0, 1), 1),
    ],
)
def test_changes(old: str, new: str, entries: tuple[int, int], size: int) -> None:
    assert LIST.count(old) == 1
    now = LIST.replace(old, new)
    found = change(LIST, known(LIST), now)
    assert found is not None
    assert ((found.first, found.last), found.size) == (entries, size)
    assert found.layout == known(now)
    assert plain(source.parse(found.text).root) == {
        **_top(now),
        "guests": dict(list(_guests(now).items())[found.first : found.first + size]),
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("farm: lab", "farm: lap"),
        ("images: /srv", "images: /srw"),
        ("  # the first", "  # the very first"),
        ("guests:  # all", "guests:\n # all"),
        ("a: {memory: 1G}", "a: {memory: 1G"),
        ("a: {memory: 1G}", "a: 'memory"),
        ("a: {memory: 1G}", "a: &a {memory: 1G}"),
        ("  a: {memory: 1G}", "   a: {memory: 1G}"),
        ("  a: {memory: 1G}\n", ""),
        ("  c:\n", "  c:\n...\n"),
        ("  c:\n", "---\n  c:\n"),
        ("  c:\n", "x:\n"),
        ("  c:\n", "  c: {}, x: {}\n"),
        ("  c:\n", " c:\n"),
        ("  c:\n", "  c:\r\n"),
        ("swap: 1G}\n", "swap: 1G}\nroles: {}\n"),
        ("swap: 1G}\n", "swap: 1G\n"),
    ],
)
def test_changes_of_which_more_has_to_be_read(old: str, new: str) -> None:
    assert LIST.count(old) == 1
    assert change(LIST, known(LIST), LIST.replace(old, new)) is None


def _top(text: str) -> dict[str, object]:
    top = plain(source.parse(text).root)
    assert isinstance(top, dict)
    return top


def _guests(text: str) -> dict[str, object]:
    guests = _top(text)["guests"]
    assert isinstance(guests, dict)
    return guests


LINES = st.sampled_from(
    [
        *(
            "  a: {memory: 1G}",
            "  b:",
            "    memory: 1G",
            "  c: 'x",
            "  y'",
            "  'd': |",
            "     text",
            "  e: {x:",
            "  f: 1}",
        ),
        *(
            "",
            "# no",
            "   # no",
            "x: 1",
            "  g: [",
            "]",
            "  - h",
            "...",
            "---",
            "  i: >",
            "    ",
            "  j: k",
            "   l",
            "'",
            "}",
        ),
        *(
            "  ? m",
            "  : n",
            "   o: p",
            "\tq",
            '  r: "',
            '"',
            "  a: {}",
            "  ! s: t",
            "  &u v: w",
            "  x: *u",
            "%YAML 1.1",
        ),
    ]
)
LISTS = st.lists(LINES, min_size=1, max_size=8)


@pytest.mark.hypothesis
@given(
    before=LISTS,
    start=st.integers(0, 9),
    end=st.integers(0, 9),
    new=st.lists(LINES, max_size=4),
    ending=st.sampled_from([["images: /srv", ""], [""], []]),
)
def test_any_change(before: list[str], start: int, end: int, new: list[str], ending: list[str]) -> None:
    """Whatever is said to have changed only in some entries, has: all are where and what a parser finds."""
    first, last = sorted((start, end))
    old_text = "\n".join(["guests:", *before, *ending])
    new_text = "\n".join(["guests:", *before[:first], *new, *before[last:], *ending])
    try:
        old_root, faults = source.parse(old_text)
    except ReadingError:
        return
    layout = layout_of(old_root, old_text)
    if faults or layout is None:
        return
    found = change(old_text, layout, new_text)
    if found is None:
        return
    try:
        excerpt_root, faults = source.parse(found.text)
    except ReadingError:  # then more is read
        return
    if faults:
        return
    document = source.parse(new_text)
    # Of keys that are given twice, the second is refused, and these are names of guests: others see to them.
    if any("given twice" in fault.message for fault in document.faults):
        return
    assert not document.faults
    assert layout_of(document.root, new_text) == found.layout
    now, before_now = list(_guests(new_text).items()), list(_guests(old_text).items())
    rest = len(before_now) - found.last
    assert now[: found.first] == before_now[: found.first]
    assert now[len(now) - rest :] == before_now[found.last :]
    assert isinstance(excerpt_root, Mapping)
    assert plain(excerpt_root) == {**_top(new_text), "guests": dict(now[found.first : found.first + found.size])}
    for number, (begin, after) in enumerate(pairwise((*found.layout.starts, found.layout.end))):
        assert begin < after
        alone = source.parse(excerpt(new_text, found.layout, [number]))
        assert not alone.faults
        assert plain(alone.root) == {**_top(new_text), "guests": dict(now[number : number + 1])}
