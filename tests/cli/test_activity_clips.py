"""A user's own clips in folders of labels: a bar that moves left, right, up or down, told apart by a net over small frames."""

from __future__ import annotations

import numpy as np
import pytest
from media_files import write_pictures

DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
RECIPE = """\
name: bars
task: {kind: classification}
data: {train: train, dev: dev}
source:
  kind: frames
  features: {kind: grey-frames, fps: 10, height: 8, width: 12}
  scaling: common
  derive: {differences: 1}
model:
  embedder: {kind: frame-cnn, height: 8, width: 12, filters: [8, 8], dim: 16, vary: {warp: 0.1, shift: 1}}
  encoder: {kind: gru, dim: 16}
  pooling: {kind: mean}
  head: {kind: softmax}
training: {optimizer: {kind: adamw, lr: 1e-2}, epochs: 30, min_steps: 0, batch: {sequences: 8, per_epoch: 0}}
"""


def bar(direction, length, chance, size=(64, 96)):
    """Pictures of a bright bar across, which moves; of any single one nothing can be told but whether it lies or stands."""
    rows, columns = DIRECTIONS[direction]
    place = chance.uniform(0.2, 0.4) if rows + columns > 0 else chance.uniform(0.6, 0.8)
    speed = 0.4 / length
    for _ in range(length):
        pixels = np.full((*size, 3), 20, np.uint8)
        begin = int(place * size[0 if rows else 1])
        (pixels[begin : begin + 10] if rows else pixels[:, begin : begin + 10])[:] = 220
        place += (rows + columns) * speed
        yield pixels


@pytest.fixture
def clips(tmp_path, monkeypatch, cache):
    chance = np.random.default_rng(1)
    for split, count in (("train", 8), ("dev", 3)):
        for label in DIRECTIONS:
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(count):
                pictures = bar(label, int(chance.integers(8, 14)), chance)
                write_pictures(tmp_path / split / label / f"{number}.mp4", pictures, fps=10)
    (tmp_path / "bars.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return tmp_path


def test_clips_in_label_folders_are_trained_and_told_apart(clips, seqcli):
    result = seqcli("train", "bars.yaml")
    assert result.code == 0, result.err
    code, out, _ = seqcli("predict", "bars", "dev")
    expected = [f"{label}/{number}.mp4\t{label}" for label in sorted(DIRECTIONS) for number in range(3)]
    assert code == 0
    assert sum(line in expected for line in out.splitlines()) >= 11
    write_pictures(clips / "clip.mp4", bar("left", 12, np.random.default_rng(9)), fps=10)
    assert seqcli("predict", "bars", "clip.mp4").out == "left\n"
    assert seqcli("predict", "bars", "clip.mp4", "--engine", "torch").out == "left\n"
    write_pictures(clips / "one.mp4", bar("up", 1, np.random.default_rng(9)), fps=10)
    assert (
        seqcli("predict", "bars", "one.mp4").out.strip() in DIRECTIONS
    )  # one frame: no motion, an answer all the same
