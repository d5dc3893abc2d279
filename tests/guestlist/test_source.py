"""The YAML reader: what it makes of good files, and how it withstands bad ones."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import GuestfarmError
from pipeline.guestlist.syntax import source
from pipeline.guestlist.syntax.nodes import Mapping, Node, ReadingError, Scalar, Sequence, Unreadable

pytestmark = pytest.mark.unit

SPLIT = "use 'defaults', 'roles' and ranges, or split the farm"
PARSERS = [pytest.param(source.PARSER, id="preferred"), pytest.param(yaml.BaseLoader, id="pure Python")]
Parser = Callable[[str], source.Parser]


def plain(node: Node | None) -> Any:
    """The node as Python values, without places."""
    if isinstance(node, Mapping):
        return {name: plain(value) for name, (_, value) in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.text if isinstance(node, Scalar) else None


def faults(content: bytes, parser: Parser = source.PARSER) -> list[str]:
    """What is wrong with a file `f` of this content."""
    try:
        found = source.parse(source.decode(content), parser).faults
    except ReadingError as error:
        found = list(error.faults)
    return [str(fault.problem("f")) for fault in found]


@pytest.mark.parametrize("parser", PARSERS)
def test_values_are_text_with_line_and_column(parser: Parser) -> None:
    document = source.parse("a: 00:16:3E:17:35:50\nb:\n  - no\n  - {c: 0755, 'd': \"x\\ty\"}\n", parser)
    assert document.faults == []
    root = document.root
    assert isinstance(root, Mapping)
    assert plain(root) == {"a": "00:16:3E:17:35:50", "b": ["no", {"c": "0755", "d": "x\ty"}]}
    key, items = root.entries["b"]
    assert (key.line, key.column) == (2, 1)
    assert isinstance(items, Sequence)
    assert (items.line, items.column) == (3, 3)
    mapping = items.items[1]
    assert isinstance(mapping, Mapping)
    assert mapping.entries["d"] == (
        Scalar("d", plain=False, line=4, column=15),
        Scalar("x\ty", plain=False, line=4, column=20),
    )


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("text", "is_null"),
    [
        *(("a:", True), ("a: ~", True), ("a: null", True)),
        *(("a: ''", False), ('a: ""', False), ("a: 'null'", False), ("a: none", False), ("a: |\n", False)),
    ],
)
def test_an_empty_value_is_not_an_empty_text(text: str, is_null: bool, parser: Parser) -> None:
    root = source.parse(text, parser).root
    assert isinstance(root, Mapping)
    value = root.entries["a"][1]
    assert isinstance(value, Scalar)
    assert value.is_null == is_null


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("text", ["", "# nothing\n", "\n\n"])
def test_a_file_may_hold_nothing(text: str, parser: Parser) -> None:
    assert source.parse(text, parser) == source.Document(None, [])


def test_a_byte_order_mark_and_windows_line_ends_do_not_count() -> None:
    document = source.parse(source.decode(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n"))
    root = document.root
    assert plain(root) == {"a": "1", "b": "2"}
    assert isinstance(root, Mapping)
    assert [(key.line, key.column) for key, _ in root.entries.values()] == [(1, 1), (2, 1)]


REFUSED = [
    (b"a:\n  - 1\nb: 2\na: 3\n", ["f:4:1: a: given twice; the first is in line 1"]),
    (
        b"guests:\n  web3: {memory: 1G, memory: 2G, memory: 3G}\n  web3: {}\n",
        [
            "f:2:22: guest 'web3': memory: given twice; the first is in line 2",
            "f:2:34: guest 'web3': memory: given twice; the first is in line 2",
            "f:3:3: guest 'web3': given twice; the first is in line 2",
        ],
    ),
    (
        b"masters: {m: &x {tar: *x}}\n",
        [
            "f:1:14: master 'm': the anchor '&x' is not read here; use 'defaults' or a range",
            "f:1:23: master 'm': tar: the alias '*x' is not read here; use 'defaults' or a range",
        ],
    ),
    (
        b"defaults: {network: {<<: [*a, *b]}}\n",
        ["f:1:22: defaults: network: the merge key '<<' is not read here; put what guests share under 'defaults'"],
    ),
    (
        b"a: !!python/object/apply:os.system [reboot]\n",
        ["f:1:4: a: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not read here;"
         " remove it: all values are text"],
    ),
    (b"a: ! 1\n", ["f:1:4: a: the tag '!' is not read here; remove it: all values are text"]),
    (b"? [a, b]\n: 1\nc: 2\n", ["f:1:3: a key is a single text, not a mapping, list or alias"]),
    (b"a: 1\n---\nb: 2\n", ["f:2:1: a second document starts here; one file holds one list"]),
    (b"[" * 100_000, ["f:1:21: nested deeper than 20 levels"]),
    (b"{a: " * 100_000, ["f:1:81: a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a: nested deeper than 20 levels"]),
    (b"- " * 100_000, ["f:1:41: nested deeper than 20 levels"]),
    (b"a: [" + b"b," * 65_537 + b"]", [f"f:1:131077: a: more than 65,536 entries; {SPLIT}"]),
    (b"".join(b"k%d:\n" % i for i in range(65_537)), [f"f:65537:1: more than 65,536 entries; {SPLIT}"]),
    (b"a: caf\xc3\xa9\nb: caf\xe9\n", ["f:2:7: byte 0xe9 is not UTF-8; save the file in the encoding UTF-8"]),
    (b"\xff\xfea\x00:\x00", ["f:1:1: byte 0xff is not UTF-8; save the file in the encoding UTF-8"]),
    (b"a: 1\r\nb: \x00\r\n", ["f:2:4: the control character '\\x00' is not allowed; remove it"]),
    (b"a: \x1b[31m\n", ["f:1:4: the control character '\\x1b' is not allowed; remove it"]),
    (b"a: \xef\xbb\xbf1\n", ["f:1:4: the control character '\\ufeff' is not allowed; remove it"]),
]  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(("content", "lines"), REFUSED)
def test_what_is_not_read_is_refused_at_its_place(content: bytes, lines: list[str], parser: Parser) -> None:
    assert faults(content, parser) == lines


SYNTAX = "check indentation, quotes and brackets up to here"
BROKEN = [
    (b"a: 1\n\tb: 2\n", "f:2:1: a: a tab cannot indent or separate here; use spaces"),
    (b"a:\n\t- b\n", "f:2:1: a: a tab cannot indent or separate here; use spaces"),
    (
        b"a: [1, 2\nb: 3\n",
        "f:2:2: a: not YAML: did not find expected ',' or ']' while parsing a flow sequence that starts in line 1; "
        + SYNTAX,
    ),
    (b"a: b: c\n", "f:1:5: not YAML: mapping values are not allowed in this context; " + SYNTAX),
    (
        b"a: 'x\n",
        "f:2:1: a: not YAML: found unexpected end of stream while scanning a quoted scalar that starts in line 1; "
        + SYNTAX,
    ),
    (
        b"a: @x\n",
        "f:1:4: a: not YAML: found character that cannot start any token while scanning for the next token; " + SYNTAX,
    ),
    (
        b"b\tc: [}\n",
        "f:1:7: 'b\\tc': not YAML: did not find expected node content while parsing a flow node; " + SYNTAX,
    ),
    (
        b"\xc3\xa9: @x\n",
        "f:1:4: 'é': not YAML: found character that cannot start any token while scanning for the next token; "
        + SYNTAX,
    ),
    (b"{a: 1}}\n", "f:1:7: not YAML: did not find expected <document start>; " + SYNTAX),
]


@pytest.mark.skipif(
    source.PARSER is yaml.BaseLoader, reason="PyYAML without libyaml finds other words and, for tabs, places"
)
@pytest.mark.parametrize(("content", "line"), BROKEN)
def test_what_is_not_yaml_is_one_line_at_its_place(content: bytes, line: str) -> None:
    assert faults(content) == [line]


def test_an_alias_bomb_is_refused_and_not_expanded() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 50)]
    found = faults("\n".join(lines).encode())
    assert len(found) == 50 + 2 * 49
    assert found[0] == "f:1:5: a0: the anchor '&a0' is not read here; use 'defaults' or a range"


def test_an_alias_stands_for_nothing() -> None:
    root = source.parse("a: &x 1\nb: *x\n").root
    assert isinstance(root, Mapping)
    assert root.entries["b"][1] == Unreadable(line=2, column=4)


def test_twenty_levels_are_read() -> None:
    assert faults(b"[" * 20 + b"]" * 20) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "guests.yaml"
    with pytest.raises(GuestfarmError) as caught:
        source.read(path)
    assert str(caught.value) == f"{path}: there is no such file; name the list with doit guests=FILE"


@pytest.mark.parametrize("parser", PARSERS)
def test_too_many_keys_and_values(parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_NODES", 5)
    assert faults(b"a: [b, c]", parser) == []
    assert faults(b"a: [b, c, d]", parser) == [f"f:1:11: a: the list has more than 5 keys and values; {SPLIT}"]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(GuestfarmError, match="fifo: cannot be read: it is a FIFO, not a regular file"):
        source.read(tmp_path / "fifo")
    with pytest.raises(GuestfarmError, match="/dev/zero: cannot be read: it is a device, not a regular file"):
        source.read(Path("/dev/zero"))


def test_a_folder_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(GuestfarmError) as caught:
        source.read(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "guests.yaml"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(GuestfarmError) as caught:
        source.read(path)
    message = f"{path}: larger than 16 MiB, which no guest list needs to be; use defaults and ranges"
    assert str(caught.value) == message


def test_the_largest_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 5)
    path = tmp_path / "guests.yaml"
    path.write_bytes(b"a: 1\n")
    assert source.read(path) == b"a: 1\n"
    path.write_bytes(b"a: 12\n")
    with pytest.raises(GuestfarmError):
        source.read(path)


values = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff"), max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.sampled_from("abcdefg"), children, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
def test_what_yaml_writes_is_read_back_by_either_parser(value: Any, flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    for parser in (source.PARSER, yaml.BaseLoader):
        document = source.parse(source.decode(text.encode()), parser)
        assert document.faults == []
        assert plain(document.root) == value


yaml_like = st.lists(
    st.sampled_from(
        [*":-,[]{}#&*!|>'\"%@`? \n\t\\~", "a", "b1", "---", "...", "<<", "\x00", "é", "\u2028", "  ", "\n "]
    )
).map("".join)


@given(st.binary(max_size=40) | yaml_like.map(str.encode))
def test_any_bytes_are_read_or_refused_inside_the_file(content: bytes) -> None:
    ends = content.decode("utf-8-sig", "replace").count
    lines = 1 + sum(ends(end) for end in "\n\r\x85\u2028\u2029")
    for parser in (source.PARSER, yaml.BaseLoader):
        try:
            found = source.parse(source.decode(content), parser).faults
        except ReadingError as error:
            found = list(error.faults)
            assert found
        for fault in found:
            assert 1 <= fault.line <= lines
            assert fault.column >= 1
            assert str(fault.problem("f")).isprintable()
