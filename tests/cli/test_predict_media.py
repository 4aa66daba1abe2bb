"""A user's own recordings, clips and pictures in label folders: trained by changing only paths, predicted from files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from media_files import picture, sweep, write_clip, write_sound
from PIL import Image
from tiny import run_inside

import seqcli as library
from seqcli.media import encoder

RECIPE = """\
name: own
task: {kind: classification}
data: {train: train, dev: dev}
source: {kind: frames, features: FEATURES}
model:
  embedder: {kind: frames, dim: 16}
  encoder: {kind: gru, dim: 16}
  pooling: {kind: last}
  head: {kind: softmax}
training: {optimizer: {kind: adamw, lr: 2e-2}, epochs: 8, min_steps: 0, batch: {sequences: 4, per_epoch: 0}}
"""
FEATURES = {
    "wav": "{kind: log-mel, rate: 8000, bins: 12}",
    "mp4": "{kind: grey-frames, fps: 10, height: 3, width: 4}",
    "jpg": "{kind: efficientnet-lite0}",
}


def write_examples(folder, suffix):
    """Tones that rise or fall, clips that grow light or dark, pictures that are light or dark."""
    chance = np.random.default_rng(1)
    for split, count in (("train", 12), ("dev", 4)):
        for label in ("down", "up"):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                path = folder / split / label / f"{number}.{suffix}"
                turn = 1 if label == "up" else -1
                if suffix == "wav":
                    wave = sweep(chance.uniform(0.3, 0.6))[::turn]
                    write_sound(path, wave + chance.normal(0, 0.01, len(wave)))
                elif suffix == "mp4":
                    write_clip(
                        path, [int(value) for value in np.linspace(0, 200, chance.integers(6, 12))[::turn]], fps=10
                    )
                else:
                    pixels = np.asarray(picture(80, 80, int(chance.integers(10**6)))) // 2 + (120 if turn > 0 else 0)
                    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def small_encoder(monkeypatch):
    """The mean colour of 49 parts of a picture, where the weights cannot be fetched."""
    monkeypatch.setattr(encoder, "graph_path", lambda progress=None: None)
    monkeypatch.setattr(
        encoder,
        "encode",
        lambda pixels: pixels.reshape(-1, 7, 32, 7, 32, 3).mean((2, 4)).reshape(-1, 49, 3).astype(np.float32),
    )


@pytest.fixture(scope="module")
def sounds_folder(tmp_path_factory):
    """A folder with recordings and the model ``own``, trained on them."""
    folder = tmp_path_factory.mktemp("sounds")
    write_examples(folder, "wav")
    (folder / "own.yaml").write_text(RECIPE.replace("FEATURES", FEATURES["wav"]))
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = run_inside("train", "own.yaml", "-q")
    finally:
        os.chdir(before)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def sounds(sounds_folder, tmp_path, monkeypatch):
    """A copy, which the test may change."""
    folder = tmp_path / "sounds"
    shutil.copytree(sounds_folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return folder


@pytest.mark.parametrize("suffix", ["mp4", "jpg"])
def test_clips_and_pictures_in_label_folders(tmp_path, monkeypatch, seqcli, cache, small_encoder, suffix):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    write_examples(tmp_path, suffix)
    (tmp_path / "own.yaml").write_text(RECIPE.replace("FEATURES", FEATURES[suffix]))
    result = seqcli("train", "own.yaml")
    assert result.code == 0, result.err
    code, out, _ = seqcli("predict", "own", "dev")
    assert (code, out) == (0, "".join(f"{label}/{n}.{suffix}\t{label}\n" for label in ("down", "up") for n in range(4)))


def test_one_file_gives_its_label_and_several_their_names(seqcli, sounds):
    assert seqcli("predict", "own", "dev/up/1.wav") == (0, "up\n", "")
    assert seqcli("predict", "own", "dev/up/1.wav", "dev/down/0.wav").out == "dev/up/1.wav\tup\ndev/down/0.wav\tdown\n"
    line = seqcli("predict", "own", "dev/up/1.wav", "--top", "2").out.rstrip("\n").split("\t")
    assert (line[0], line[2]) == ("up", "down")
    rows = [json.loads(line) for line in seqcli("predict", "own", "dev", "--jsonl", "--scores").out.splitlines()]
    assert [row["file"] for row in rows] == [f"{label}/{n}.wav" for label in ("down", "up") for n in range(4)]
    assert [row["label"] for row in rows] == ["down"] * 4 + ["up"] * 4


def test_several_at_once_are_as_one_by_one(seqcli, sounds):
    together = [json.loads(line) for line in seqcli("predict", "own", "dev", "--jsonl", "--scores").out.splitlines()]
    for row in together:
        alone = json.loads(seqcli("predict", "own", f"dev/{row['file']}", "--jsonl", "--scores").out)
        assert alone["label"] == row["label"]
        assert len(alone["scores"]) == 2
        for label, share in row["scores"].items():
            assert abs(share - alone["scores"][label]) < 1e-5


def test_another_rate_and_two_channels(seqcli, sounds):
    wave = sweep(0.5, 44100)
    write_sound(sounds / "new.wav", np.stack([wave, wave], 1) * 0.5, 44100)
    code, _, err = seqcli("predict", "own", "new.wav")
    assert code == 0
    assert err == (
        "2 channels of a recording are averaged to one\nrecordings of 44,100 samples a second are resampled to 8,000\n"
    )


def test_standard_input_and_a_folder_of_bad_files(shell, sounds):
    for arguments in (["-"], []):
        assert shell("predict", "own", *arguments, stdin=(sounds / "dev/up/2.wav").read_bytes()) == (0, "up\n", "")
    (sounds / "dev/up/9.wav").write_bytes(b"no sound at all")
    code, out, err = shell("predict", "own", "dev")
    assert (code, len(out.splitlines())) == (65, 8)
    assert err.startswith("error: dev/up/9.wav: is no recording that can be read")
    code, out, err = shell("predict", "own", "dev", "--skip-bad")
    assert (code, len(out.splitlines())) == (0, 8)
    assert err.startswith("warning: skipped: dev/up/9.wav: is no recording")


def test_features_made_before_are_read_too(seqcli, sounds):
    arguments = ("--rate", "8000", "--bins", "12")
    assert seqcli("features", "audio", "dev/up/0.wav", *arguments, "-o", "up.npy").code == 0
    assert seqcli("predict", "own", "up.npy").out == "up\n"
    assert seqcli("features", "audio", "dev/up/0.wav", "--bins", "20", "-o", "other.npy").code == 0
    code, _, err = seqcli("predict", "own", "other.npy")
    assert (code, "frames of 20 channels, but the model was trained on 12" in err) == (65, True)


def test_features_are_those_of_training(seqcli, sounds):
    """The kind, its options and its version stand in the run; another version is refused, not read otherwise."""
    said = json.loads((sounds / "runs/own/1/frames.json").read_text())
    assert said["features"][0]["kind"] == "log-mel"
    assert said["features"][0]["bins"] == 12
    from seqcli.recipe.features import LogMelConfig

    before, LogMelConfig.version = LogMelConfig.version, 99
    try:
        code, _, err = seqcli("predict", "own", "dev/up/0.wav")
    finally:
        LogMelConfig.version = before
    assert code == 65
    assert "was trained on other log-mel features than this version computes" in err


def test_evaluate_and_the_library(seqcli, sounds):
    assert seqcli("evaluate", "own", "--split", "dev").out.startswith("accuracy = 100.00")
    assert seqcli("evaluate", "own", "dev").out.startswith("accuracy = 100.00")
    model = library.load("own")
    assert [one.labels for one in model.predict([Path("dev/up/0.wav"), Path("dev/down/3.wav")])] == [["up"], ["down"]]


def test_a_bad_file_stops_a_training_and_is_named(seqcli, sounds):
    (sounds / "train/up/99.wav").write_bytes(b"no sound at all")
    code, _, err = seqcli("train", "own.yaml", "-q")
    assert code == 65
    assert "train/up/99.wav" in err
    assert "it begins with 6e 6f 20 73 6f 75 6e 64 'no sound'" in err


def test_media_files_without_features(seqcli, sounds):
    (sounds / "none.yaml").write_text(RECIPE.replace(", features: FEATURES", "").replace("own", "none"))
    code, _, err = seqcli("train", "none.yaml", "-q")
    assert code == 65
    assert "a media file, and the recipe does not say which features of it are read. Set source.features" in err


def test_what_other_models_do_not_take(seqcli, trained):
    (trained / "a.txt").write_text("Ravi met Anna\n")
    code, _, err = seqcli("predict", "tiny", "a.txt", "a.txt")
    assert (code, "tiny@1 reads one file at a time" in err) == (2, True)
    code, _, err = seqcli("predict", "tiny", "a.txt", "--skip-bad")
    assert (code, "--skip-bad is for models of recordings, clips or pictures" in err) == (2, True)


def test_the_cache_knows_the_features(seqcli, sounds, cache):
    """Other features of the same files are computed anew; the same ones are not."""
    one_step = ("-q", "--set", "training.max_steps=1", "--set", "task.baselines=[]")
    for change, more in (("bins=12", 2), ("bins=12", 2), ("bins=13", 4)):
        assert seqcli("train", "own.yaml", *one_step, "--set", f"source.features.{change}").code == 0
        assert len(list((cache / "encoded").iterdir())) == more
