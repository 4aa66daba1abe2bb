"""``train --from MODEL``: what the model knows and the weights that fit are taken, the rest is new and said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tiny import Program
from tiny_text import lines

import seqcli as library
from seqcli.errors import ExitCode, UserError
from seqcli.pipeline.events import Started
from seqcli.store.runs import Run, Store
from seqcli.text.vocabulary import Vocabulary

STILL = ("--set", "training.optimizer.lr=1e-30", "--set", "training.max_steps=1")
"""A step that changes nothing: the weights that are kept are those that training began with."""
OWN = "data={train: own.conll, dev: own.conll, test: own.conll}"
SPELLED = (
    "model.embedder={kind: tokens, dim: 8, characters: {kind: cnn, dim: 4, filters: 4}, "
    "affixes: {prefixes: [2], suffixes: [2], shape: true, dim: 4, min_count: 1}}"
)


def write_own(folder: Path) -> None:
    """Sentences with words, characters and labels that `tiny.write_corpus` has, with others, and with none of its ORG."""
    rows = (
        ("Ravi", "B-PER"),
        ("met", "O"),
        ("Zoë", "B-PER"),
        ("Quartz", "I-PER"),
        ("in", "O"),
        ("Delhi", "B-LOC"),
        ("for", "O"),
        ("Xylox", "B-DRUG"),
        (".", "O"),
    )
    sentence = "".join(f"{token}\t{tag}\n" for token, tag in rows)
    (folder / "own.conll").write_text("\n".join([sentence] * 4), encoding="utf-8")


@pytest.fixture
def own(trained: Path) -> Path:
    write_own(trained)
    return trained


def weights(run: Path) -> dict[str, NDArray[np.float32]]:
    return load_file(run / "model.safetensors")


def labels(run: Path) -> list[str]:
    return (run / "labels.txt").read_text().split()


def test_known_words_labels_and_layers_are_taken(seqcli: Program, own: Path) -> None:
    code, _, err = seqcli("train", "--from", "tiny", "--set", "name=mine", "--set", OWN, *STILL)
    assert code == 0
    assert err.splitlines()[:3] == [
        "mine@1: tagging, tokens > lstm > crf, 1,696 parameters, cpu fp32",
        "data: train 4 (36 tokens), dev 4 (36 tokens), test 4 (36 tokens); 16 words, 13 labels",
        "from tiny@1: 14 of 14 tensors; words: 12 known, 4 new; labels: 9 known, 4 new, 4 left out",
    ]
    old, new = Path("runs/tiny/1"), Path("runs/mine/1")
    before, after = weights(old), weights(new)
    for name in after:
        if name.startswith("encoder."):
            assert (after[name] == before[name]).all(), name
    words = Vocabulary.load(old / "vocabulary.txt").tokens
    assert Vocabulary.load(new / "vocabulary.txt").tokens == (*words, "Quartz", "Xylox", "Zoë", "for")
    table, size = "embedder.words.weight", len(words)
    assert (after[table][:size] == before[table]).all()
    assert (after[table][size:] == before[table][words.index("<UNK>")]).all()
    then, now = labels(old), labels(new)
    assert {label for label in now if label not in then} == {"B-DRUG", "I-DRUG", "E-DRUG", "S-DRUG"}
    known = [label for label in now if label in then]
    assert len(known) == 9
    assert {label for label in then if label not in now} == {"B-ORG", "I-ORG", "E-ORG", "S-ORG"}
    for label in known:
        mine, theirs = now.index(label), then.index(label)
        for name in ("head.output.weight", "head.output.bias", "head.start", "head.end"):
            assert (after[name][mine] == before[name][theirs]).all(), name
        for other in known:
            step = before["head.transitions"][theirs, then.index(other)]
            assert after["head.transitions"][mine, now.index(other)] == step


def test_the_parts_of_words_are_taken_too(seqcli: Program, place: Path) -> None:
    write_own(place)
    assert seqcli("train", "tiny.yaml", "--set", SPELLED, "-q").code == 0
    code, _, err = seqcli("train", "--from", "tiny", "--set", "name=mine", "--set", OWN, *STILL)
    assert (code, "begin anew" in err) == (0, False)
    assert "characters: 23 known, 8 new;" in err
    old, new = Path("runs/tiny/1"), Path("runs/mine/1")
    before, after = weights(old), weights(new)
    for file, table in (
        ("characters.txt", "embedder.characters.embedding.weight"),
        ("prefix-2.txt", "embedder.affixes.0.weight"),
        ("suffix-2.txt", "embedder.affixes.1.weight"),
        ("shape.txt", "embedder.affixes.2.weight"),
    ):
        then, now = (Vocabulary.load(run / file).tokens for run in (old, new))
        assert now[: len(then)] == then
        assert (after[table][: len(then)] == before[table]).all()
        assert (after[table][len(then) :] == before[table][then.index("<UNK>")]).all()
        assert after[table].shape[0] == len(now)


def test_on_the_data_of_the_model_it_begins_as_the_model(seqcli: Program, trained: Path) -> None:
    found = [seqcli("evaluate", "tiny").out]
    assert seqcli("train", "tiny.yaml", "--from", "tiny@1", "-q", *STILL).code == 0
    assert (Path("runs/tiny/2/labels.txt").read_bytes()) == Path("runs/tiny/1/labels.txt").read_bytes()
    found.append(seqcli("evaluate", "tiny@2").out.replace("tiny@2", "tiny@1"))
    assert found[0] == found[1]
    assert not found[0].startswith("F1 = 0.00")


def test_the_run_says_where_it_started(seqcli: Program, own: Path) -> None:
    assert seqcli("train", "--from", "tiny", "--set", "name=mine", "--set", OWN, "-q", *STILL).code == 0
    run = Path("runs/mine/1")
    manifest = json.loads(Path("runs/tiny/1/manifest.json").read_text())
    origin = {"model": "tiny@1", "sha256": manifest["files"]["model.safetensors"]["sha256"]}
    assert json.loads((run / "report.json").read_text())["from"] == origin
    assert json.loads((run / "environment.json").read_text())["from"] == origin
    assert f"# started from tiny@1, weights {origin['sha256']}" in (run / "recipe.yaml").read_text().splitlines()[0]
    assert "from" not in json.loads(Path("runs/tiny/1/report.json").read_text())
    assert "#" not in Path("runs/tiny/1/recipe.yaml").read_text()
    shown = seqcli("models", "show", "mine").out
    assert any(line.split(maxsplit=1) == ["from", json.dumps(origin)] for line in shown.splitlines())


def test_layers_that_do_not_fit_begin_anew_and_are_named(seqcli: Program, own: Path) -> None:
    code, _, err = seqcli(
        "train",
        "tiny.yaml",
        "--from",
        "tiny",
        "--set",
        "name=mine",
        "--set",
        OWN,
        "--set",
        "model.encoder.dim=10",
        *STILL,
    )
    assert code == 0
    assert err.splitlines()[2:4] == [
        "from tiny@1: 5 of 14 tensors; words: 12 known, 4 new; labels: 9 known, 4 new, 4 left out",
        "warning: tiny@1 has no such layers, or others in size, so these begin anew: "
        "encoder.ahead, encoder.back, head.output",
    ]


def test_the_vocabulary_grows_to_the_recipes_limit(seqcli: Program, own: Path) -> None:
    code, _, err = seqcli(
        "train", "--from", "tiny", "--set", "name=mine", "--set", OWN, "--set", "source.vocabulary.max_size=11", *STILL
    )
    assert code == 0
    assert "words: 12 known, 1 new;" in err
    assert Vocabulary.load(Path("runs/mine/1/vocabulary.txt")).tokens[-1] == "Quartz"


def test_a_dry_run_shows_what_is_taken(seqcli: Program, own: Path) -> None:
    arguments = ("train", "--from", "tiny", "--set", "name=mine", "--set", OWN, "--dry-run")
    code, out, err = seqcli(*arguments)
    assert (code, err) == (
        0,
        "from tiny@1: 14 of 14 tensors; words: 12 known, 4 new; labels: 9 known, 4 new, 4 left out\n",
    )
    assert ["embedder.words.weight", "16x8", "128"] in [line.split() for line in out.splitlines()]
    found = json.loads(seqcli(*arguments, "--json").out)
    assert found["from"]["tables"]["labels"] == {"known": 9, "new": 4, "left_out": 4}
    scratch = json.loads(seqcli("train", "tiny.yaml", "--set", OWN, "--dry-run", "--json").out)
    assert found["loss"] < scratch["loss"]
    assert not Path("runs/mine").exists()


def test_from_python(own: Path) -> None:
    events: list[object] = []
    overrides = ["name=mine", OWN, "training.max_steps=2"]
    model = library.train(None, overrides, origin="tiny", on_event=events.append)
    (started,) = (event for event in events if isinstance(event, Started))
    assert (model.name, started.model, started.taken, started.unlike) == ("mine@1", "tiny@1", 14, [])
    assert model.report["from"]["model"] == "tiny@1"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("train",),
            2,
            "which recipe? It comes before --data, or alone: seqcli train ner. 'seqcli recipes ls' lists ours; --from "
            "MODEL takes that of a trained model.",
        ),
        (
            ("train", "--from", "tiny"),
            2,
            "data: nothing to train on. Name your files with --data, or set data.corpus ('seqcli data ls' lists some).",
        ),
        (
            ("train", "--from", "tyni", "--set", OWN),
            2,
            "no model 'tyni' in runs. Known: tiny.",
        ),
        (
            ("train", "hello", "--from", "tiny"),
            2,
            "cannot start from tiny@1: it is a model for tagging, and the recipe is for language-model. "
            "The model's own recipe fits: leave RECIPE out, and --set of this.",
        ),
        (
            ("train", "tiny.yaml", "--from", "tiny", "--set", "source.tokenizer={kind: whitespace}"),
            2,
            "cannot start from tiny@1: source.tokenizer is {kind: whitespace} in the recipe and {kind: words} in the model. "
            "The model's own recipe fits: leave RECIPE out, and --set of this.",
        ),
        (
            ("train", "tiny.yaml", "--from", "tiny", "--set", "source.vocabulary.lowercase=true"),
            2,
            "cannot start from tiny@1: source.vocabulary.lowercase is true in the recipe and false in the model. "
            "The model's own recipe fits: leave RECIPE out, and --set of this.",
        ),
        (
            ("train", "tiny.yaml", "--from", "tiny", "--set", "model.encoder.dim=9", "--set", "model.embedder.dim=9",
             "--set", "target.scheme=null", "--set", "target.model_scheme=null", "--set", "training.select_by=accuracy",
             "--set", "data={train: tags.conll}"),
            2,
            "cannot start from tiny@1: none of its weights fits the recipe's network. "
            "The model's own recipe fits: leave RECIPE out, and --set of this.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_started_from(
    seqcli: Program, own: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (own / "tags.conll").write_text("Ravi\tNOUN\nmet\tVERB\n")
    assert seqcli(*arguments) == (code, "", f"error: {message}\n")
    assert sorted(path.name for path in Path("runs").iterdir()) == ["tiny"]


def test_counts_have_no_weights_to_start_from(seqcli: Program, classifiers: Path) -> None:
    assert seqcli("train", "tsv.yaml", "--from", "bag") == (
        2,
        "",
        "error: cannot start from bag@1: bag-of-words is no network, so it has no layers to go on with. "
        "Only a network can be started from.\n",
    )
    bag = ("--set", "model={kind: bag-of-words}", "--set", "training={seed: 1}")
    assert seqcli("train", "tsv.yaml", "--from", "tiny", *bag) == (
        2,
        "",
        "error: cannot start from tiny@1: the recipe's model is bag-of-words, which is not trained in steps. "
        "The model's own recipe fits: leave RECIPE out, and --set of this.\n",
    )
    assert seqcli("train", "tsv.yaml", "--from", "motion") == (
        2,
        "",
        "error: cannot start from motion@1: the source is tokens in the recipe and frames in the model. "
        "The model's own recipe fits: leave RECIPE out, and --set of this.\n",
    )


def test_a_damaged_model_is_not_started_from(seqcli: Program, own: Path) -> None:
    path = Path("runs/tiny/1/vocabulary.txt")
    path.write_bytes(path.read_bytes().replace(b"Paris", b"Pasir"))
    assert seqcli("train", "--from", "tiny", "--set", OWN) == (
        65,
        "",
        f"error: {path}: damaged: its checksum is not the one in the manifest\n",
    )


def test_frames_have_the_channels_and_the_scaling_of_the_model(seqcli: Program, classifiers: Path) -> None:
    from tiny_classes import motions, ts

    shifted = [(frames + 100, label) for frames, label in motions(24)]
    Path("own.ts").write_text(ts(shifted), encoding="utf-8")
    data = ("--set", "data={train: own.ts, format: ts}")
    assert seqcli("train", "--from", "motion", *data, "--set", "name=mine", "-q", *STILL).code == 0
    before, after = weights(Path("runs/motion/1")), weights(Path("runs/mine/1"))
    for name in before:
        assert (after[name] == before[name]).all() or name.startswith("head."), name
    Path("own.ts").write_text(ts(motions(24, channels=3)), encoding="utf-8")
    assert seqcli("train", "--from", "motion", *data, "--set", "name=mine", *STILL) == (
        65,
        "",
        "error: own.ts: frames of 3 channels, but the model was trained on 2\n",
    )


LM = """
name: tiny-lm
task: {kind: language-model, floor: 2}
data: {train: train.txt, dev: dev.txt, format: lines}
source: {kind: text, tokenizer: {kind: whitespace}}
model:
  embedder: {kind: tokens, dim: 8}
  encoder: {kind: lstm, dim: 8, bidirectional: false}
  head: {kind: softmax, tied: true}
training: {optimizer: {kind: adamw, lr: 0.02}, batch: {tokens: 48}, epochs: 3}
"""


@pytest.mark.parametrize("tied", ["true", "false"])
def test_a_language_model_keeps_its_tokens_and_learns_new_ones(
    seqcli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tied: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lm.yaml").write_text(LM.replace("tied: true", f"tied: {tied}"))
    Path("train.txt").write_text(lines())
    Path("dev.txt").write_text(lines(10, seed=2))
    assert seqcli("train", "lm.yaml", "-q").code == 0
    Path("own.txt").write_text("the fox sat on the log\nthe fox ran\n")
    arguments = ("--from", "tiny-lm", "--set", "name=mine", "--set", "data={train: own.txt, dev: own.txt}")
    code, _, err = seqcli("train", *arguments, *STILL)
    assert (code, "words: 12 known, 1 new\n" in err) == (0, True)
    before, after = weights(Path("runs/tiny-lm/1")), weights(Path("runs/mine/1"))
    for name in ("embedder.words.weight", "head.output.weight", "head.output.bias"):
        assert after[name].shape[0] == 13
        assert (after[name][:12] == before[name]).all(), name
    report = json.loads(Path("runs/mine/1/report.json").read_text())
    assert "vocabulary:13|" in report["dev"]["signature"]
    assert report["baselines"][0]["dev"]["signature"] == report["dev"]["signature"]


def test_subwords_are_those_of_the_model(seqcli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lm.yaml").write_text(LM.replace("whitespace", "sentencepiece, size: 24").replace("tied: true", "tied: false"))
    Path("train.txt").write_text(lines(200))
    Path("dev.txt").write_text(lines(10, seed=2))
    assert seqcli("train", "lm.yaml", "-q").code == 0
    Path("own.txt").write_text("a quick brown fox\n" * 3)
    data = ("--set", "name=mine", "--set", "data={train: own.txt, dev: own.txt}")
    assert seqcli("train", "--from", "tiny-lm", *data, "-q", *STILL).code == 0
    pieces = [Path(f"runs/{name}/1/tokenizer.model").read_bytes() for name in ("tiny-lm", "mine")]
    assert pieces[0] == pieces[1]
    assert seqcli("train", "--from", "mine", *data, "-q", *STILL).code == 0
    assert Path("runs/mine/2/tokenizer.model").read_bytes() == pieces[0]


FROM = ("--from", "tiny", "--set", "name=mine", "--set", OWN, "--set", "training.epochs=12")


def stopped(after: int) -> Run:
    """A training from ``tiny@1`` as SIGTERM leaves it after so many steps."""
    from seqcli.pipeline.origin import recipe_to_train
    from seqcli.pipeline.train import train
    from seqcli.training.loop import StepEvent

    store = Store()
    start = store.resolve("tiny")
    steps: list[StepEvent] = []
    events = train(
        recipe_to_train(None, [word for word in FROM if "=" in word], start),
        store,
        origin=start,
        should_stop=lambda: ExitCode.TERMINATED if len(steps) >= after else None,
    )
    with pytest.raises(UserError) as error:
        steps.extend(event for event in events if isinstance(event, StepEvent))
    assert error.value.code == ExitCode.TERMINATED
    return store.versions("mine")[-1]


def test_a_resumed_training_ends_in_the_same_weights(seqcli: Program, own: Path) -> None:
    assert seqcli("train", *FROM, "-q", "--set", "name=whole").code == 0
    run = stopped(5)
    code, _, err = seqcli("train", *FROM, "--resume")
    assert code == 0
    assert "resumed at step 5 of 12\n" in err
    assert "from tiny@1" not in err
    whole = Path("runs/whole/1")
    for name in ("model.safetensors", "vocabulary.txt", "labels.txt"):
        assert (run.path / name).read_bytes() == (whole / name).read_bytes()
    assert run.report()["from"]["model"] == "tiny@1"


def test_a_resume_must_start_from_the_same_model(seqcli: Program, own: Path) -> None:
    assert seqcli("train", "tiny.yaml", "-q").code == 0
    os.rename("runs/tiny/2", "runs/other")
    stopped(5)
    recipe = "runs/mine/1/recipe.yaml"
    assert seqcli("train", recipe, "--resume") == (
        2,
        "",
        "error: cannot resume mine@1: it started from tiny@1. Say --from tiny@1, the same as then.\n",
    )
    assert seqcli("train", recipe, "--from", "runs/other", "--resume") == (
        2,
        "",
        "error: cannot resume mine@1: it started from tiny@1, not from these weights of runs/other. "
        "Say --from tiny@1, the same as then.\n",
    )
    assert seqcli("train", recipe, "--from", "tiny@1", "--resume", "-q").code == 0


def test_a_training_that_started_from_nothing_is_resumed_so(seqcli: Program, trained: Path) -> None:
    from seqcli.pipeline.train import train
    from seqcli.recipe.load import load_recipe

    with pytest.raises(UserError):
        list(train(load_recipe("tiny.yaml").recipe, Store(), should_stop=lambda: ExitCode.TERMINATED))
    assert seqcli("train", "tiny.yaml", "--from", "tiny@1", "--resume") == (
        2,
        "",
        "error: cannot resume tiny@2: it did not start from a model. Leave --from out.\n",
    )


def test_a_stopped_training_says_how_to_go_on(own: Path, seqcli: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from seqcli.cli import signals

    @contextmanager
    def at_once(say: object):
        yield lambda: ExitCode.INTERRUPTED

    monkeypatch.setattr(signals, "stop_requests", at_once)
    code, _, err = seqcli("train", *FROM)
    assert code == 130
    said = err.splitlines()[-1]
    assert said.startswith(
        "error: stopped after step 1, saved in runs/mine/1. Go on with: seqcli train --set name=mine"
    )
    assert said.endswith("--from tiny@1 --resume")


def test_rows_of_a_network_that_counts_otherwise_stay_new() -> None:
    """A table that the trained network lacks is not taken by chance of its shape."""
    from tiny_classes import prepared, text_recipe

    from seqcli.models.start import take_weights

    folder = Path(os.environ["SEQCLI_CACHE"]) / "rows"
    folder.mkdir(exist_ok=True)
    task, _ = prepared(text_recipe(folder))
    network, other = task.network(), task.network()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rows = {"words": np.full(len(task.source.words), -1)}
    taken = take_weights(network, other.state_dict(), rows)
    unknown = other.state_dict()["embedder.words.weight"][1]
    assert torch.equal(network.state_dict()["embedder.words.weight"], unknown.expand(len(task.source.words), -1))
    assert torch.equal(network.state_dict()["head.output.weight"], state["head.output.weight"])
    assert {"head.output.weight", "head.output.bias"} == set(taken.unlike)
    assert taken.taken == taken.tensors - 3
