"""Late fusion: two sensors that each see half of what there is to see, told apart clip by clip by their names."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from tiny import run_inside

from seqcli.errors import ExitCode

LABELS = ("left-up", "left-down", "right-up", "right-down")
RECIPE = """\
name: NAME
task: {kind: classification, baselines: [majority]}
data: {train: train-NAME.tsv, dev: dev-NAME.tsv, test: test-NAME.tsv, format: npz}
source: {kind: frames}
model: {kind: mean-pool}
"""


def clips(split, count=40):
    """``(id, label)`` of clips, four kinds of them."""
    return [(f"{split}{number}", LABELS[number % 4]) for number in range(count)]


def write(folder, split, name, some, *, head="id"):
    """What one sensor sees: ``side`` left or right alone, ``height`` up or down alone; it leans to one of each pair."""
    chance = np.random.default_rng([len(split), len(name)])
    frames, lines = [], [f"{head}\tfile\tstart\tlength\tlabel\n"]
    for number, (clip, label) in enumerate(some):
        at = label.split("-")[0 if name == "side" else 1]
        seen = 1.0 if at in ("left", "up") else -1.0
        frames.append(seen + 0.1 * chance.normal(size=(5, 2)))
        lines.append(f"{clip}\t{split}-{name}.npy\t{5 * number}\t5\t{label}\n")
    np.save(folder / f"{split}-{name}.npy", np.concatenate(frames).astype(np.float32))
    (folder / f"{split}-{name}.tsv").write_text("".join(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sensors")
    for split in ("train", "dev", "test"):
        some = clips(split)
        for name in ("side", "height"):
            write(path, split, name, some)
            random.Random(name).shuffle(some)  # the other sensor lists them in another order
    for name in ("side", "height"):
        text = RECIPE.replace("NAME", name)
        if name == "side":  # changes that are added to the frames are added once
            text = text.replace("kind: frames", "kind: frames, derive: {differences: 1}")
        (path / f"{name}.yaml").write_text(text)
        done = run_inside("train", str(path / f"{name}.yaml"), "-q", "--runs", str(path / "runs"))
        assert done.code == 0, done.err
    return path


def ask(folder, verb, *arguments):
    return run_inside(verb, *map(str, arguments), "--runs", str(folder / "runs"))


def test_two_sensors_know_what_neither_knows_alone(folder):
    done = ask(folder, "evaluate", "side", "--with", "height", "--json")
    found = json.loads(done.out)
    assert found["model"] == "side@1 + height@1"
    assert found["score"]["value"] == 100
    alone = {one["model"]: one["score"]["value"] for one in found["compared"]}
    assert set(alone) == {"side@1", "height@1"}
    assert max(alone.values()) < 60
    assert found["compared"][0]["paired"]["better"] > 15
    own = {
        name: json.loads(ask(folder, "evaluate", name, "--json").out)["score"]["value"] for name in ("side", "height")
    }
    assert alone == {f"{name}@1": value for name, value in own.items()}


def test_the_mean_is_that_of_the_probabilities(folder):
    files = (folder / "test-side.tsv", folder / "test-height.tsv")
    done = ask(folder, "predict", "side", *files, "--with", "height", "--jsonl", "--scores")
    together = [json.loads(line) for line in done.out.splitlines()]
    parts = {}
    for name, file in zip(("side", "height"), files, strict=True):
        rows = [line.split("\t")[0] for line in file.read_text().splitlines()[1:]]
        lines = ask(folder, "predict", name, file, "--jsonl", "--scores").out.splitlines()
        parts[name] = dict(zip(rows, (json.loads(line)["scores"] for line in lines), strict=True))
    for clip, one in zip(parts["side"], together, strict=True):
        for label, chance in one["scores"].items():
            mean = (parts["side"][clip][label] + parts["height"][clip][label]) / 2
            assert chance == pytest.approx(mean, abs=2e-6)
    golds = [line.split("\t")[-1] for line in files[0].read_text().splitlines()[1:]]
    assert [one["label"] for one in together] == golds


def test_files_of_one_clip_each_need_no_name(folder):
    for name in ("side", "height"):
        np.save(folder / f"one-{name}.npy", np.ones((5, 2), np.float32))
    done = ask(folder, "predict", "side", folder / "one-side.npy", folder / "one-height.npy", "--with", "height")
    assert (done.code, done.out) == (0, "left-up\n")


def test_mistakes_are_those_of_all_together(folder, tmp_path):
    """A model beside itself alone is as wrong as it is."""
    for name, others in (("twice", ["--with", "side"]), ("alone", [])):
        assert ask(folder, "evaluate", "side", *others, "--errors", tmp_path / name).code == 0
    errors = {name: (tmp_path / name).read_text().splitlines() for name in ("twice", "alone")}
    assert errors["twice"] == errors["alone"]
    assert len(errors["alone"]) > 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "height@1 has no clip 'test"),
        (lambda rows: [*rows, rows[-1]], "stands there twice, first at"),
        (lambda rows: [("other", rows[0][1]), *rows[1:]], "height@1 has no clip 'test"),
        (lambda rows: [(rows[0][0], LABELS[3 - LABELS.index(rows[0][1])]), *rows[1:]], "this clip is "),
    ],
)
def test_clips_that_are_not_the_same_are_refused(folder, change, message):
    rows = [
        (line.split("\t")[0], line.split("\t")[-1]) for line in (folder / "test-height.tsv").read_text().splitlines()
    ]
    write(folder, "bad", "height", change(rows[1:]))
    done = ask(folder, "evaluate", "side", folder / "test-side.tsv", folder / "bad-height.tsv", "--with", "height")
    assert (done.code, message in done.err) == (ExitCode.DATA, True), done.err


def test_an_index_without_names_is_refused(folder):
    write(folder, "anon", "height", clips("test"), head="number")
    done = ask(folder, "predict", "side", folder / "test-side.tsv", folder / "anon-height.tsv", "--with", "height")
    assert done.code == ExitCode.DATA
    assert "anon-height.tsv: its lines have no name by which a clip could be told from others" in done.err


def test_what_cannot_be_averaged(folder, tmp_path):
    (folder / "texts.csv").write_text("text,label\nleft,left-up\nright,right-down\n")
    text = RECIPE.replace("NAME", "texts").replace("kind: frames", "kind: text").replace("mean-pool", "bag-of-words")
    text = text.replace("train-texts.tsv, dev: dev-texts.tsv, test: test-texts.tsv, format: npz", "texts.csv")
    (folder / "texts.yaml").write_text(text)
    assert ask(folder, "train", folder / "texts.yaml", "-q").code == 0
    for name, file in (("few", clips("few", 3)),):
        for split in ("train", "dev", "test"):
            write(folder, split, name, file)
        (folder / f"{name}.yaml").write_text(RECIPE.replace("NAME", name))
        assert ask(folder, "train", folder / f"{name}.yaml", "-q").code == 0
    for arguments, message in (
        (
            ("evaluate", "side", "--with", "texts"),
            "--with joins classifiers of frames; texts@1 is a classifier of text",
        ),
        (("evaluate", "side", "--with", "few"), "few@1 knows other labels than side@1, such as 'right-down'"),
        (("evaluate", "side", "test-side.tsv", "--with", "height"), "2 models and 1 file"),
        (("predict", "side", "--with", "height"), "2 models and 0 files"),
        (("evaluate", "side", "--with", "height", "--against", "few"), "--with measures several models as one"),
        (("predict", "side", "--html", "x.html", "--with", "height"), "--with and --html: which of the two?"),
    ):
        done = ask(folder, *arguments)
        assert (done.code, message in done.err) == (ExitCode.USAGE, True), done.err
