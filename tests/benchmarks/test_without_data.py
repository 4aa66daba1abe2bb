"""What ``make bench`` runs ends well where no data set is at hand, and says what it skipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT, environment

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(("script", "skipped"), [("tagging", 1), ("language", 6), ("classification", 1)])
def test_benchmarks_say_what_they_skip(tmp_path: Path, script: str, skipped: int) -> None:
    assert f"benchmarks/{script}.py" in (ROOT / "Makefile").read_text()
    closed = {name: NOWHERE for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "PIP_INDEX_URL")}
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / f"{script}.py"],
        capture_output=True,
        text=True,
        env=environment(SEQCLI_MIRROR=str(tmp_path), SEQCLI_CACHE=str(tmp_path / "cache"), PIP_RETRIES="0", **closed),
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == skipped
    assert all("skipped" in line for line in lines)
