"""Fixtures for tests that run the whole program: a tiny corpus, and one model trained for the whole session."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny matrices: threads only wait for each other

import pytest
from tiny import Program, run_inside, run_outside, write_corpus


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("SEQCLI_CACHE")
    os.environ["SEQCLI_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("SEQCLI_CACHE")
    if before is not None:
        os.environ["SEQCLI_CACHE"] = before


@pytest.fixture(autouse=True)
def _denormals() -> Iterator[None]:
    """A training in this process flushes denormal numbers; hypothesis refuses to draw floats after that."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the corpus and the recipe; no models."""
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_corpus(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = run_inside("train", "tiny.yaml", "--set", "training.epochs=25", "-q")
    finally:
        os.chdir(before)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def trained(trained_folder: Path, place: Path) -> Path:
    """A working folder whose ``runs`` holds the finished model ``tiny@1``; the test may damage it."""
    shutil.copytree(trained_folder / "runs", place / "runs")
    return place


@pytest.fixture
def seqcli() -> Program:
    """Run the program inside this process (importing torch anew takes seconds)."""
    return run_inside


@pytest.fixture
def shell() -> Program:
    """Run the program as a process of its own."""
    return run_outside


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of downloads and encoded corpora for one test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SEQCLI_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def classifiers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny labelled data, recipes and finished classifiers of every make."""
    from tiny_classes import write_classifiers

    folder = tmp_path_factory.mktemp("classifiers")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for arguments in write_classifiers(folder):
            result = run_inside("train", *arguments, "-q")
            assert result.code == 0, result.err
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def classifiers(classifiers_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy: of texts ``tiny``, ``bag``, ``most``, ``several``, of frames ``motion``, ``pool``, ``gaps``."""
    folder = tmp_path / "classifiers"
    shutil.copytree(classifiers_folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What is marked ``mirror`` has its data from the fixture of that name, or from the environment."""
    fixtures = getattr(item, "fixturenames", ())
    if item.get_closest_marker("mirror") and "mirror" not in fixtures and not os.environ.get("SEQCLI_MIRROR"):
        pytest.skip("needs the real data sets: set SEQCLI_MIRROR")
