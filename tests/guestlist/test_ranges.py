"""Ranges in names and values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import GuestfarmError
from pipeline.guestlist.syntax.ranges import MAX_LENGTH, has_range, parse_range

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[08:11]", ["web08", "web09", "web10", "web11"]),
        ("[8:11]", ["8", "9", "10", "11"]),
        ("[000:001].example", ["000.example", "001.example"]),
        ("a[0:1]b", ["a0b", "a1b"]),
        ("a[7:7]", ["a7"]),
        ("10.0.1.[9:10]/24", ["10.0.1.9/24", "10.0.1.10/24"]),
    ],
)
def test_a_range_stands_for_its_numbers_in_order(text: str, expanded: list[str]) -> None:
    assert has_range(text)
    assert list(parse_range(text)) == expanded


def test_a_range_is_a_sequence() -> None:
    numbers = parse_range("web[01:20]")
    assert len(numbers) == 20
    assert numbers[-1] == "web20"
    assert numbers[1:3] == ["web02", "web03"]
    assert "web07" in numbers
    assert "web7" not in numbers


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("web[3:1]", "the range [3:1] ends before it starts", "write [1:3]"),
        (
            "web[01:100]",
            "the range [01:100] is padded with zeros unevenly",
            "write [001:100], or no leading zeros",
        ),
        ("web[1:05]", "the range [1:05] is padded with zeros unevenly", "write [01:05], or no leading zeros"),
        (f"web[1:{MAX_LENGTH + 1}]", "the range [1:65537] has more than 65,536 numbers", ""),
        ("web[0:999999999]", "the range [0:999999999] has more than 65,536 numbers", ""),
    ],
)
def test_a_range_that_cannot_be_counted_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(GuestfarmError) as caught:
        parse_range(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    "text",
    [
        *("web", "web[1]", "web[1-3]", "web[a:c]", "web[1:2:3]", "web[1:2][3:4]", "web[1:2", "web1:2]"),
        *("[[1:2]]", "web[-1:2]", "web[ 1:2]", "web[:]", "web[٣:٤]", "web[1:9999999999]"),
    ],
)
def test_what_is_not_one_range_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(GuestfarmError) as caught:
        parse_range(text)
    assert caught.value.message == f"expected one range of numbers like [01:20], found {text!r}"


def test_the_longest_range_is_allowed() -> None:
    assert len(parse_range(f"web[1:{MAX_LENGTH}]")) == MAX_LENGTH


no_brackets = st.text(max_size=5).filter(lambda text: not has_range(text))


@given(no_brackets, st.integers(0, 99_999), st.integers(0, 40), st.booleans(), no_brackets)
def test_every_range_expands_to_what_counting_gives(
    before: str, first: int, more: int, padded: bool, after: str
) -> None:
    last = first + more
    width = len(str(last)) if padded else 1
    texts = parse_range(f"{before}[{first:0{width}}:{last:0{width}}]{after}")
    assert list(texts) == [f"{before}{number:0{width}}{after}" for number in range(first, last + 1)]


@given(st.text(alphabet="w0129[:]-", max_size=14))
def test_any_text_has_a_range_or_is_an_error(text: str) -> None:
    try:
        texts = parse_range(text)
    except GuestfarmError:
        return
    assert 0 < len(texts) == len(set(texts)) <= MAX_LENGTH
