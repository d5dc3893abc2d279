"""What the catalogue knows files by."""

import time
from pathlib import Path

import pytest

from pipeline.engine import Catalogue

pytestmark = pytest.mark.unit


def test_a_file_that_has_just_changed_is_known_by_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may change once more within a tick of the kernel's clock, and have the same times then."""
    file = tmp_path / "file"
    file.write_text("a")
    changed = file.stat().st_ctime_ns
    monkeypatch.setattr(time, "time_ns", lambda: changed + 10**6)
    assert Catalogue.stamp(file) == ()
    monkeypatch.setattr(time, "time_ns", lambda: changed + 3 * 10**9)
    assert Catalogue.stamp(file)
    monkeypatch.setattr(time, "time_ns", lambda: changed - 10**9)
    assert Catalogue.stamp(file) == (), "the clock of a file server may be ahead of ours"
    assert Catalogue.stamp(tmp_path / "none") is None
