"""Sizes: what is one, what is not, and what the user is told instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import GuestfarmError
from pipeline.model.sizes import approximate_size, format_size, parse_size

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "size"),
    [("1B", 1), ("40K", 40_960), ("512M", 536_870_912), ("2G", 2_147_483_648), ("16T", 17_592_186_044_416)],
)
def test_a_size_is_a_number_and_a_binary_unit(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("512", "add a unit: B, K, M, G or T"),
        ("512m", "write 512M"),
        ("512 M", "write 512M"),
        (" 512M", "write 512M"),
        ("512MB", "write 512M"),
        ("512MiB", "write 512M"),
        ("0512M", "write 512M"),
        ("1024M ", "write 1G"),
        ("1.5G", "write 1536M"),
        ("1.3G", ""),
        ("0M", ""),
        ("-1G", ""),
        ("12x", ""),
        ("", ""),
        ("1e3M", ""),
        ("512M\n512M", ""),
        ("99999999999999999G", ""),
    ],
)
def test_anything_else_is_refused_with_its_spelling_where_that_is_plain(text: str, hint: str) -> None:
    with pytest.raises(GuestfarmError) as caught:
        parse_size(text)
    assert caught.value.message == f"expected a size like 512M, found {text!r}"
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("size", "text"), [(1536 << 20, "1536M"), (1 << 20, "1M"), ((1 << 20) + 1, "1048577B"), (4096, "4K")]
)
def test_the_unit_is_the_largest_that_divides(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (9, "9B"), (1023, "1023B"), (1024, "1.0K"), (1536, "1.5K"), (10 << 20, "10M"), (847 << 20, "847M")],
)
def test_sizes_for_people_are_rounded(size: int, text: str) -> None:
    assert approximate_size(size) == text


@given(st.integers(min_value=1, max_value=1 << 50))
def test_a_formatted_size_is_exact(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.text(alphabet="0123456789.KMGTkmBbi \n٣", max_size=12))
def test_any_text_is_a_size_or_an_error(text: str) -> None:
    try:
        size = parse_size(text)
    except GuestfarmError:
        return
    assert parse_size(format_size(size)) == size > 0
