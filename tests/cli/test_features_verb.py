"""``seqcli features``: arrays of photographs, recordings and clips, and the files that cannot be read."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from media_files import picture, put_small_encoder, sweep, write_clip, write_sound

from seqcli.data.example import MediaFile
from seqcli.media import encoder
from seqcli.media.audio import LogMel
from seqcli.recipe.features import LogMelConfig


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Recordings of 1 and 2 seconds and one that is none; a clip; pictures in two folders."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sounds").mkdir()
    write_sound(tmp_path / "sounds/a.wav", sweep(1.0))
    write_sound(tmp_path / "sounds/b.flac", np.stack([sweep(2.0, 16000)] * 2, 1), 16000)
    (tmp_path / "bad.wav").write_bytes(b"%PDF-1.7 and more")
    write_clip(tmp_path / "clip.mp4", [10 * number for number in range(20)], fps=10)
    (tmp_path / "photos/more").mkdir(parents=True)
    picture(seed=1).save(tmp_path / "photos/b.jpg")
    picture(seed=2).save(tmp_path / "photos/more/a.png")
    (tmp_path / "photos/notes.txt").write_text("no picture")
    picture(seed=3).save(tmp_path / "photos/.hidden.png")
    return tmp_path


@pytest.fixture
def means(monkeypatch):
    """In place of the encoder: the mean colour of the 49 parts of a picture."""

    def encode(pixels_BHWC):
        parts = pixels_BHWC.reshape(-1, 7, 32, 7, 32, 3).mean((2, 4)).reshape(-1, 49, 3)
        return parts.astype(np.float32)

    monkeypatch.setattr(encoder, "encode", encode)
    monkeypatch.setattr(encoder, "graph_path", lambda progress=None: None)


def test_a_recording(seqcli, folder):
    code, out, err = seqcli("features", "audio", "sounds/a.wav", "--rate", "8000", "--bins", "40", "-o", "a.npy")
    assert (code, out) == (0, "")
    assert err == "a.npy: 100 x 40 of 1 file, log-mel\n"
    expected = LogMel(LogMelConfig(rate=8000, bins=40)).read(MediaFile(folder / "sounds/a.wav"))
    np.testing.assert_array_equal(np.load("a.npy"), expected)


def test_what_is_done_to_a_recording_is_said(seqcli, folder):
    code, _, err = seqcli("features", "audio", "sounds/b.flac", "--kind", "mfcc", "--rate", "8000", "-o", "b.npy")
    assert code == 0
    assert err.splitlines()[:2] == [
        "2 channels of a recording are averaged to one",
        "recordings of 16,000 samples a second are resampled to 8,000",
    ]
    assert np.load("b.npy").shape == (200, 13)


def test_several_are_joined_and_the_index_is_read_back(seqcli, folder):
    code, _, err = seqcli("features", "audio", "sounds", "-o", "all.npy")
    assert (code, "Say --index FILE" in err) == (2, True)
    (folder / "out").mkdir()
    assert seqcli("features", "audio", "sounds", "-o", "out/all.npy", "--index", "out/all.tsv").code == 0
    assert (folder / "out/all.tsv").read_text() == (
        "file\tstart\tlength\tname\nall.npy\t0\t100\ta.wav\nall.npy\t100\t200\tb.flac\n"
    )
    stats = json.loads(seqcli("data", "stats", "out/all.tsv", "--json").out)["splits"][0]
    assert (stats["sequences"], stats["frames"], stats["channels"]) == (2, 300, 80)


def test_names_are_as_given_or_from_the_one_folder(seqcli, folder):
    assert seqcli("features", "audio", "sounds/b.flac", "sounds", "-o", "a.npy", "--index", "a.tsv").code == 0
    assert [line.split("\t")[3] for line in (folder / "a.tsv").read_text().splitlines()[1:]] == [
        "sounds/b.flac",
        "sounds/a.wav",
        "sounds/b.flac",
    ]


def test_a_clip(seqcli, folder):
    code, _, _ = seqcli("features", "video", "clip.mp4", "--fps", "5", "--size", "3x4", "-o", "c.npy")
    assert code == 0
    frames = np.load("c.npy")
    assert frames.shape == (10, 12)
    np.testing.assert_allclose(frames.mean(1), np.arange(0, 200, 20) / 255, atol=0.03)


def test_pictures_as_vectors_and_as_grids(seqcli, folder, means):
    assert seqcli("features", "image", "photos", "-o", "p.npy", "--names", "names.txt").code == 0
    assert (folder / "names.txt").read_text() == "b.jpg\nmore/a.png\n"
    vectors = np.load("p.npy")
    assert seqcli("features", "image", "photos", "--grid", "-o", "g.npy").code == 0
    grids = np.load("g.npy")
    assert (vectors.shape, grids.shape) == ((2, 3), (2, 49, 3))
    np.testing.assert_allclose(grids.mean(1), vectors, rtol=1e-5)
    seqcli("features", "image", "photos/more/a.png", "-o", "one.npy")
    np.testing.assert_array_equal(np.load("one.npy"), vectors[1:])


def test_places_of_fewer_values_by_a_projection(seqcli, folder, means):
    seqcli("features", "image", "photos", "--grid", "-o", "g.npy")
    basis = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    np.savez("p.npz", mean=np.array([1, 2, 3], np.float32), basis=basis, scale=np.array([2, 4], np.float32))
    code, _, err = seqcli("features", "image", "photos", "--grid", "--projection", "p.npz", "-o", "few.npy")
    assert (code, "2 x 49 x 2 of 2 files" in err) == (0, True), err
    np.testing.assert_allclose(np.load("few.npy"), (np.load("g.npy") - [1, 2, 3]) @ basis / [2, 4], rtol=1e-4)


def test_the_frames_of_a_clip_through_the_encoder(seqcli, folder, means):
    arguments = ("--kind", "efficientnet-lite0-frames", "--fps", "10", "-o", "c.npy")
    assert seqcli("features", "video", "clip.mp4", *arguments).code == 0
    np.testing.assert_allclose(np.load("c.npy").mean(1), np.arange(20) * 10, atol=6)


def test_a_bad_file_is_named_and_nothing_is_written(seqcli, folder):
    (folder / "a.npy").write_text("before")
    code, out, err = seqcli("features", "audio", "sounds/a.wav", "bad.wav", "-o", "a.npy", "--index", "a.tsv")
    assert (code, out) == (65, "")
    assert err.startswith(
        "error: bad.wav: is no recording that can be read (Format not recognised); it begins with 25 50"
    )
    assert (folder / "a.npy").read_text() == "before"
    assert not (folder / "a.tsv").exists()


def test_bad_files_are_skipped_where_that_is_asked_for(seqcli, folder):
    picture().save(folder / "broken.jpg")
    (folder / "broken.jpg").write_bytes((folder / "broken.jpg").read_bytes()[:900])
    names = ("bad.wav", "sounds/a.wav", "broken.jpg")
    code, out, err = seqcli("features", "audio", *names, "-o", "a.npy", "--index", "a.tsv", "--skip-bad", "--json")
    assert code == 0
    assert [line.split(": ")[:3] for line in err.splitlines()[:2]] == [
        ["warning", "skipped", "bad.wav"],
        ["warning", "skipped", "broken.jpg"],
    ]
    said = json.loads(out)
    assert (said["shape"], said["files"], [one["file"] for one in said["skipped"]]) == (
        [100, 80],
        1,
        ["bad.wav", "broken.jpg"],
    )
    assert said["features"]["kind"] == "log-mel"
    assert said["features"]["version"] == 1
    assert (folder / "a.tsv").read_text().splitlines()[1:] == ["a.npy\t0\t100\tsounds/a.wav"]


def test_where_all_are_bad_there_is_nothing(seqcli, folder):
    code, _, err = seqcli("features", "audio", "bad.wav", "-o", "a.npy", "--skip-bad")
    assert (code, err.splitlines()[-1]) == (65, "error: none of 1 file could be read")
    assert not (folder / "a.npy").exists()


def test_an_error_while_others_are_being_read_is_one_line(shell, folder, cache):
    """Threads that are still at work must not end the program in their own way."""
    put_small_encoder(cache)
    (folder / "many").mkdir()
    (folder / "many/0.jpg").write_bytes(b"no picture at all")
    for number in range(1, 9):
        picture(224, 224, number).save(folder / f"many/{number}.jpg")
    code, out, err = shell("features", "image", "many", "-o", "a.npy")
    assert (code, out, err.count("\n")) == (65, "", 1)
    code, _, err = shell("features", "image", "many", "-o", "a.npy", "--skip-bad")
    assert (code, err.splitlines()[-1]) == (0, "a.npy: 8 x 160 of 8 files, 1 skipped, efficientnet-lite0")


def test_through_pipes(shell, folder):
    import subprocess
    import sys

    from tiny import ROOT, environment

    command = [sys.executable, "-m", "seqcli", "features", "audio", "-", "--rate", "8000", "-o", "-"]
    data = (folder / "sounds/a.wav").read_bytes()
    done = subprocess.run(
        command, input=data, capture_output=True, cwd=folder, env=environment() | {"PYTHONPATH": str(ROOT)}
    )
    assert (done.returncode, done.stderr.decode().startswith("stdout: 100 x 80 of 1 file")) == (0, True)
    expected = LogMel(LogMelConfig(rate=8000)).read(MediaFile(folder / "sounds/a.wav"))
    np.testing.assert_array_equal(np.load(io.BytesIO(done.stdout)), expected)
    done = subprocess.run(command, input=b"%PDF", capture_output=True, cwd=folder, env=environment())
    assert (done.returncode, done.stdout) == (65, b"")
    assert done.stderr.startswith(b"error: <stdin>: is no recording that can be read")
    appended = folder / "appended"
    appended.write_bytes(b"12345")
    subprocess.run(["bash", "-c", f"{' '.join(command)} < sounds/a.wav >> appended"], cwd=folder, env=environment())
    assert appended.read_bytes()[:5] == b"12345"
    np.testing.assert_array_equal(np.load(io.BytesIO(appended.read_bytes()[5:])), expected)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["audio", "none.wav", "-o", "a.npy"], 74, "none.wav: there is no such file or folder"),
        (["video", "sounds", "-o", "a.npy", "--index", "i"], 65, "sounds: a folder without video files (.mp4, "),
        (
            ["audio", "bad.wav", "-o", "a.npy", "--kind", "mel"],
            2,
            "--kind: unknown value 'mel'. Did you mean 'log-mel'?",
        ),
        (["audio", "bad.wav", "-o", "a.npy", "--cepstra", "5"], 2, "--cepstra is of --kind mfcc"),
        (["audio", "bad.wav", "-o", "a.npy", "--kind", "mfcc", "--cepstra", "30"], 2, "cepstra: 30 of 23 bins"),
        (["audio", "bad.wav", "-o", "a.npy", "--bins", "1"], 2, "--bins"),
        (["audio", "bad.wav"], 2, "-o"),
        (["audio", "bad.wav", "-o", "-", "--json"], 2, "which of the two goes to stdout?"),
        (
            ["video", "clip.mp4", "-o", "a.npy", "--kind", "efficientnet-lite0-frames", "--size", "3x4"],
            2,
            "--size is of",
        ),
        (["video", "clip.mp4", "-o", "a.npy", "--size", "3"], 2, "--size: '3' is no ROWSxCOLUMNS. Such as 24x32."),
        (["video", "clip.mp4", "-o", "a.npy", "--size", "0x3"], 2, "--height: "),
        (["audio", "sounds/a.wav", "-o", "none/a.npy"], 74, "none"),
        (["video", "sounds/a.wav", "-o", "a.npy"], 65, "sounds/a.wav: has no video in it"),
    ],
)
def test_what_is_refused(seqcli, folder, arguments, code, words):
    result = seqcli("features", *arguments)
    assert (result.code, result.out) == (code, "")
    assert words in result.err
    assert not (folder / "a.npy").exists()
