"""Recordings, clips and pictures in label folders, and what counts as such a file."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from media_files import picture, sweep, write_sound

from seqcli.data.corpus import file_split, open_corpus
from seqcli.data.example import MediaFile, source_bytes
from seqcli.data.formats import Reading, guess_format
from seqcli.data.media_files import media_files
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label, names in (("up", ["b.WAV", "a.wav"]), ("down", ["c.flac"]), (".hidden", ["x.wav"])):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number, name in enumerate(names):
            form = "FLAC" if name.endswith("flac") else "WAV"
            write_sound(tmp_path / "clips" / label / name, sweep(0.2 + 0.1 * number), format=form)
    (tmp_path / "clips/up/.hidden.wav").write_bytes(b"x")
    (tmp_path / "clips/up/notes.txt").write_text("x")
    (tmp_path / "clips/README").write_text("x")
    return tmp_path


def test_labels_and_files_in_the_order_of_their_names(folder):
    assert guess_format("clips") == "media-folders"
    corpus = open_corpus(DataConfig(train="clips"))
    examples = list(corpus.examples("train"))
    assert [(str(one.source.path), one.target, one.at) for one in examples] == [
        ("clips/down/c.flac", "down", "clips/down/c.flac:1"),
        ("clips/up/a.wav", "up", "clips/up/a.wav:1"),
        ("clips/up/b.WAV", "up", "clips/up/b.WAV:1"),
    ]
    assert corpus.split("train").has_media
    assert not corpus.split("train").has_frames


def test_arrays_in_label_folders_stay_frames(folder):
    (folder / "arrays/up").mkdir(parents=True)
    np.save(folder / "arrays/up/a.npy", np.eye(2))
    assert guess_format("arrays") == "csv-folders"


@pytest.mark.parametrize("change", ["bytes", "label"])
def test_the_fingerprint_knows_bytes_and_labels(folder, change):
    before = open_corpus(DataConfig(train="clips")).fingerprint("train")
    assert open_corpus(DataConfig(train="clips")).fingerprint("train") == before
    if change == "bytes":
        write_sound(folder / "clips/up/a.wav", sweep(0.21))
    else:
        (folder / "clips/up").rename(folder / "clips/upwards")
    assert open_corpus(DataConfig(train="clips")).fingerprint("train") != before


def test_a_share_for_development_goes_by_what_is_in_the_files(folder):
    """So it is the same wherever they lie, and a copy falls on the same side."""
    for number in range(12):
        write_sound(folder / f"clips/up/{number}.wav", sweep(0.2 + number / 100))
    shutil.copytree("clips", "elsewhere/clips")
    shutil.copy("elsewhere/clips/up/a.wav", "elsewhere/clips/up/copy.wav")

    def dev(train):
        corpus = open_corpus(DataConfig(train=train, dev_share=0.5))
        return {one.source.path.name for one in corpus.examples("train")}

    here, there = dev("clips"), dev("elsewhere/clips")
    assert 2 < len(here) < 13
    assert there - {"copy.wav"} == here
    assert ("copy.wav" in there) == ("a.wav" in there)


def test_bytes_of_a_source(folder):
    path = folder / "clips/up/a.wav"
    whole, part = source_bytes(MediaFile(path)), source_bytes(MediaFile(path, 0.1))
    assert whole != part
    shutil.copy(path, folder / "copy.wav")
    assert source_bytes(MediaFile(folder / "copy.wav")) == whole
    write_sound(path, sweep(0.4))
    assert source_bytes(MediaFile(path)) != whole
    assert source_bytes(MediaFile(folder / "none")) == source_bytes(MediaFile(folder / "none"))


def test_what_is_refused(folder):
    (folder / "clips/loose.wav").write_bytes(b"x")
    with pytest.raises(UserError, match="lies in no folder of a label"):
        file_split("train", ["clips"], Reading("media-folders"))
    (folder / "clips/loose.wav").unlink()
    (folder / "clips/up/empty.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"clips/up/empty.wav: the file is empty"):
        list(open_corpus(DataConfig(train="clips")).examples("train"))
    (folder / "nothing").mkdir()
    with pytest.raises(UserError, match="no recordings, clips or pictures: expected a folder for each label"):
        file_split("train", ["nothing"], Reading("media-folders"))


def test_stats_and_lint(seqcli, folder):
    shutil.copytree("clips", "dev")
    (folder / "dev/up").rename(folder / "dev/over")
    write_sound(folder / "dev/down/c.flac", sweep(0.33), format="FLAC")
    code, out, err = seqcli("data", "stats", "clips", "dev")
    assert (code, err) == (0, "clips: read as media-folders\ndev: read as media-folders\n")
    assert out == (
        "                     clips    dev\n"
        "files                    3      3\n"
        "repeated files           0      0\n"
        "files also in clips         66.7%\n"
        "\n"
        "labels  clips  dev\n"
        "up          2    0\n"
        "down        1    1\n"
        "over        0    2\n"
        "only in dev, not in clips: over\n"
    )
    assert json.loads(seqcli("data", "stats", "clips", "--json").out)["splits"][0]["labels"] == {"up": 2, "down": 1}
    code, out, _ = seqcli("data", "lint", "clips", "dev")
    assert out.splitlines() == [
        "dev/over/a.wav:1: the same file stands in another split, at clips/up/a.wav:1",
        "dev/over/b.WAV:1: the same file stands in another split, at clips/up/b.WAV:1",
        "dev/over/a.wav:1: label 'over' does not occur in the training data (times here: 2; this file is the first)",
    ]


def test_start_says_what_it_is_not_for(seqcli, folder):
    code, _, err = seqcli("start", "clips")
    assert (code, "clips: holds media files, and this writes recipes for text" in err) == (2, True)


def test_files_and_folders_of_a_kind(folder):
    picture().save(folder / "clips/up/p.png")
    found = media_files(["clips"], "audio")
    assert [name for _, name in found] == ["down/c.flac", "up/a.wav", "up/b.WAV"]
    assert [name for _, name in media_files(["clips/up", "clips/README"], "image")] == [
        "clips/up/p.png",
        "clips/README",
    ]
    with pytest.raises(UserError, match="a folder without video files"):
        media_files(["clips"], "video")
