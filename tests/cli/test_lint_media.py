"""``data lint`` opens the recordings, photographs and clips that data names, so that a training meets no broken one."""

from __future__ import annotations

import json

import pytest
from media_files import picture, sweep, write_clip, write_sound

from seqcli.errors import ExitCode
from seqcli.media import features


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lint(seqcli, *arguments):
    done = seqcli("data", "lint", *arguments, "--json")
    found = json.loads(done.out)
    return done.code, [(one["file"], one["line"], one["kind"], one["message"]) for one in found["listed"]], found


def test_a_broken_recording_of_a_list_is_named_by_its_line(folder, seqcli):
    for name in ("a", "b", "c", "d"):
        write_sound(folder / f"{name}.wav", sweep(0.4))
    (folder / "b.wav").write_bytes((folder / "b.wav").read_bytes()[:3000])
    (folder / "d.wav").write_bytes(b"%PDF-1.4")
    (folder / "train.tsv").write_text("a.wav\tone\nb.wav\ttwo\nc.wav\tthree\nd.wav\tfour\n")
    code, listed, found = lint(seqcli, "train.tsv")
    assert (code, found["by_kind"]) == (ExitCode.DATA, {"media": 2})
    (first, second) = listed
    assert first[:3] == ("train.tsv", 2, "media")
    assert "b.wav': was cut off: its header says" in first[3]
    assert second[:3] == ("train.tsv", 4, "media")
    assert "is no recording that can be read" in second[3]
    shown = seqcli("data", "lint", "train.tsv")
    assert shown.out.startswith("train.tsv:2: '")
    assert "2 faults: 2 media files that cannot be read" in shown.err


def test_a_broken_photograph_with_a_caption(folder, seqcli):
    for name in ("a", "b"):
        picture().save(folder / f"{name}.jpg")
    (folder / "b.jpg").write_bytes((folder / "b.jpg").read_bytes()[:900])
    (folder / "train.txt").write_text("a.jpg#0\tSquares .\nb.jpg#0\tHalf of it .\nb.jpg#1\tBroken .\n")
    code, listed, _ = lint(seqcli, "train.txt")
    assert code == ExitCode.DATA
    assert [one[:3] for one in listed] == [("train.txt", 2, "media")]
    assert "is a broken image" in listed[0][3]


def test_clips_in_label_folders(folder, seqcli):
    for label in ("up", "down"):
        (folder / "clips" / label).mkdir(parents=True)
        write_clip(folder / "clips" / label / "a.mp4", [10 * number for number in range(10)])
    (folder / "clips/down/b.mp4").write_bytes(b"no clip at all, only words")
    code, listed, _ = lint(seqcli, "clips")
    assert code == ExitCode.DATA
    assert [one[:3] for one in listed] == [("clips/down/b.mp4", None, "media")]


def test_what_cannot_be_opened_here_is_said_once_and_is_no_fault(folder, seqcli, monkeypatch):
    for name in ("a", "b"):
        write_sound(folder / f"{name}.wav", sweep(0.4))
    (folder / "train.tsv").write_text("a.wav\tone\nb.wav\ttwo\n")
    assert lint(seqcli, "train.tsv")[0] == ExitCode.OK

    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(features, "import_module", missing)
    code, listed, found = lint(seqcli, "train.tsv")
    assert (code, listed) == (ExitCode.OK, [])
    (note,) = found["notes"]
    assert note["message"].startswith("was not opened: reading this takes the package 'soundfile'")
