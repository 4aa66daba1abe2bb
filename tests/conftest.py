"""What several rooms' tests share. That this file is here puts the helpers beside it on the import path."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of downloads and encoded corpora for one test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SEQCLI_CACHE", str(folder))
    return folder
