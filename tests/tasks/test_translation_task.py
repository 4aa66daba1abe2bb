"""The task translation: overfit -> save -> load -> same output -> batched = single, long lines, filters, scores, rules."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import trained_run
from tiny_pairs import BY_HEART, FEW, MODELS, PIECES, RECIPE, pair_recipe, pairs

from seqcli.data.example import Example
from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.models.network import Memory
from seqcli.pipeline.events import Notice
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.train import train
from seqcli.recipe.load import load_recipe, recipe_from_text
from seqcli.store.runs import Store
from seqcli.tasks.base import new_task
from seqcli.tasks.writing import Generated, Written
from seqcli.text.pieces import train_sentencepiece


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of each of `MODELS` that knows `FEW` by heart, the last one by pieces of both sides."""
    made = {}

    def run(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            more = PIECES if name == "transformer" else ()
            recipe = pair_recipe(folder, *MODELS[name], *more, *BY_HEART, train=FEW, dev=FEW)
            made[name] = trained_run(recipe, folder)
        return made[name]

    return run


def task_of(folder, *overrides, **files):
    """``(task, data of the training split)``."""
    recipe = pair_recipe(folder, *overrides, **files)
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    return task, task.data(columns)


# -- from a recipe to translations


@pytest.mark.parametrize("name", MODELS)
def test_a_handful_is_learned_by_heart_and_said_again_after_loading(cache, runs, name):
    run = runs(name)
    model = Model.load(run, engine="torch")
    sources = [source for source, _ in FEW]
    found = list(model.predict([*sources, "", "  "]))
    assert [one.text for one in found] == [target for _, target in FEW] + ["", ""]
    report = run.report()
    assert report["dev"]["value"] == pytest.approx(100)
    assert report["dev"]["counts"]["right"] == len(FEW)
    for source, one in zip(sources, found, strict=False):
        (alone,) = model.predict([source])
        assert [h.text for h in alone.hypotheses] == [h.text for h in one.hypotheses]
        assert alone.hypotheses[0].log_prob == pytest.approx(one.hypotheses[0].log_prob, abs=1e-4)
        assert alone.hypotheses[0].ended
    batch = model.task.data(model.columns(None, "dev")).batch(np.arange(len(FEW)))
    with torch.no_grad():
        loss = model.engine.network.loss(batch, Memory())
    assert -sum(one.hypotheses[0].log_prob for one in found) == pytest.approx(float(loss.sum), abs=1e-3)


@pytest.mark.parametrize("name", ["gru-fed", "transformer"])
def test_a_batch_of_unlike_lines_is_each_alone(cache, runs, name):
    """Also where the model guesses: lines of words in any order, with and without ones it never saw."""
    model = Model.load(runs(name), engine="torch")
    chance = random.Random(3)
    lines = [" ".join(chance.choices([*FEW[0][0].split(), "two", "new"], k=chance.randint(1, 9))) for _ in range(12)]
    for line, one in zip(lines, model.predict(lines), strict=True):
        (alone,) = model.predict([line])
        assert alone.text == one.text
        assert alone.hypotheses[0].log_prob == pytest.approx(one.hypotheses[0].log_prob, abs=1e-3)


def test_what_is_written_is_shown_as_text_and_as_json(cache, runs):
    model = Model.load(runs("lstm-attention"), engine="torch")
    (one,) = model.predict(["two dogs"])
    assert model.task.writer("lines")([one]) == "Hunde zwei\n"
    score = one.hypotheses[0].score
    assert model.task.writer("lines", scores=True)([one]) == f"{score:.4f}\tHunde zwei\n"
    document = json.loads(model.task.writer("jsonl")([one]))
    assert document["tokens"] == ["two", "dogs"]
    assert document["translations"][0]["tokens"] == ["Hunde", "zwei"]
    assert score == pytest.approx(one.hypotheses[0].log_prob / 3, abs=1e-3)  # <EOS> counts


def test_several_targets_of_a_source_are_several_pairs_and_nothing_is_cut(cache, tmp_path):
    lines = [{"source": f"red {number}", "target": [f"rot {number}", f"ein rotes {number}"]} for number in range(5)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = pair_recipe(tmp_path, f"data={{train: {tmp_path / 'train.jsonl'}}}")
    columns = open_columns(recipe, new_task(recipe), ("train",))["train"]
    assert (len(columns), columns.cut) == (10, 0)


def test_mistakes_are_told_with_the_worst_first(cache, runs):
    model = Model.load(runs("lstm-attention"), engine="torch")
    task = model.task
    data = task.data(model.columns(None, "dev"))
    assert task.measure(model.engine, data, mistakes=True).mistakes == []
    task.options = replace(task.options, max_length=1)
    measured = task.measure(model.engine, data, mistakes=True)
    assert measured.right.tolist() == [False, False, True, False]
    rows = list(task.error_rows(measured.mistakes))
    assert {int(row[0].rpartition(":")[2]) for row in rows} == {1, 2, 4}
    assert [float(row[1]) for row in rows] == sorted(float(row[1]) for row in rows)
    assert {row[2:4] for row in rows} == {pair for pair in FEW if pair[0] != "red"}


# -- long lines


PART = st.sampled_from(["one", "two.", "three", "!", "▁a", "b", "▁", "."])


@settings(deadline=None)
@given(st.lists(PART, max_size=30), st.integers(1, 7))
def test_a_long_line_is_cut_and_no_token_is_lost(raw, most):
    task = new_task(recipe_from_text(RECIPE, overrides=[f"data.max_length={most}"]).recipe)
    parts = task.pieces(raw)
    assert [token for part in parts for token in part] == raw
    assert all(1 <= len(part) <= most for part in parts)


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ("a b c. d e f g", ["a b c.", "d e f g"]),
        ("a b . d e f g", ["a b .", "d e f g"]),
        ('a . " b c d e', ['a . "', "b c d e"]),
        ("a b c d e f", ["a b c d", "e f"]),
        ("a. b. c d e f", ["a. b.", "c d e f"]),
        ("▁a ▁b c d ▁e f", ["▁a ▁b c d", "▁e f"]),
        ("▁a . ▁b c ▁d e", ["▁a .", "▁b c ▁d e"]),
        ("▁3 . 5 ▁b ▁c ▁d", ["▁3 . 5 ▁b", "▁c ▁d"]),
        ("▁a b. ” ▁c d ▁e", ["▁a b. ”", "▁c d ▁e"]),
        ("▁a b c d e f", ["▁a b c d", "e f"]),
        ("a b c d", ["a b c d"]),
        ("", []),
    ],
)
def test_where_a_long_line_is_cut(raw, parts):
    task = new_task(recipe_from_text(RECIPE, overrides=["data.max_length=4"]).recipe)
    assert [" ".join(part) for part in task.pieces(raw.split())] == parts


def test_a_long_line_is_translated_in_parts(cache, runs):
    model = Model.load(runs("lstm-attention"), engine="torch")
    model.task.max_length = 3
    parts = list(model.predict(["see red cats", "two dogs", "see one two"]))
    line = "see red cats two dogs see one two"
    model.task.pieces = lambda raw: [raw[:3], raw[3:5], raw[5:]] if len(raw) > 3 else [raw]
    (whole,) = model.predict([line])
    assert whole.text == " ".join(one.text for one in parts)
    assert whole.source == line.split()
    best = whole.hypotheses[0]
    assert best.tokens == [token for one in parts for token in one.hypotheses[0].tokens]
    assert best.log_prob == pytest.approx(sum(one.hypotheses[0].log_prob for one in parts), abs=1e-4)


def test_a_long_line_is_measured_as_it_is_translated(tmp_path, cache, runs):
    trained = Model.load(runs("lstm-attention"), engine="torch")
    sources = [source for source, _ in pairs(12, seed=4, most=9)]
    recipe = pair_recipe(tmp_path, dev=[(source, "nothing at all") for source in sources])
    task = trained.task
    task.max_length = 4
    predicted = list(trained.predict(sources))
    data = task.data(open_columns(recipe, task, ("dev",))["dev"])
    measured = task.measure(trained.engine, data, mistakes=True)
    assert [one.prediction.text for one in measured.mistakes] == [one.text for one in predicted]


def test_a_translation_may_be_as_long_as_the_source_allows(tmp_path):
    task = new_task(recipe_from_text(RECIPE, overrides=["task.max_length=1.5"]).recipe)
    assert [task.longest(length) for length in (1, 10, 1000)] == [11, 25, 1510]


# -- what is trained on


LENGTHS = [(3, 3), (1, 9), (9, 2), (2, 1), (12, 12), (1, 1), (4, 8)]


def of_lengths(lengths):
    return [(" ".join(["one"] * one), " ".join(["eins"] * other)) for one, other in lengths]


def test_pairs_beyond_the_limits_are_left_out_and_counted(tmp_path, cache):
    limits = ("data.max_length=10", "task.min_tokens=2", "task.max_ratio=2")
    task, data = task_of(tmp_path, *limits, train=of_lengths(LENGTHS))
    assert data.chosen.tolist() == [0, 6]
    assert task.notices("train", data) == [
        "5 train pairs left out: 1 over data.max_length = 10 tokens, 3 under task.min_tokens = 2, 1 beyond "
        "task.max_ratio = 2"
    ]
    assert task.notices("dev", data) == []
    order = data.training_order(task.recipe.training.batch, seed=1, epoch=0)
    assert sorted(row for batch in order for row in batch.tolist()) == [0, 6]
    measured = data.measuring_order(1000)
    assert sorted(row for batch in measured for row in batch.tolist()) == list(range(len(LENGTHS)))


def test_without_limits_nothing_is_left_out(tmp_path, cache):
    task, data = task_of(tmp_path, train=of_lengths(LENGTHS))
    assert (data.chosen.tolist(), task.notices("train", data)) == ([*range(len(LENGTHS))], [])
    assert data.widths(np.arange(3)).tolist() == [4, 10, 10]
    for rows in data.training_order(task.recipe.training.batch.model_copy(update={"tokens": 26}), seed=1, epoch=0):
        assert int(data.widths(rows).max()) * len(rows) <= 26


def test_a_training_without_pairs_is_refused(tmp_path, cache):
    recipe = pair_recipe(tmp_path, "task.min_tokens=9")
    with pytest.raises(UserError) as refused:
        list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    assert str(refused.value) == (
        "no train pair is left to learn from: 30 under task.min_tokens = 9. Raise those limits, or give other data."
    )
    assert refused.value.code == ExitCode.DATA


def test_a_vocabulary_of_fewer_pieces_than_asked_for_is_said(tmp_path, cache):
    """The text gives fewer than 9,000 pieces: as many as it gives are taken, and that is a note."""
    recipe = pair_recipe(
        tmp_path,
        "source.tokenizer={kind: sentencepiece, size: 9000}",
        "target.tokenizer={kind: sentencepiece, size: 30, algorithm: bpe}",
        "training.max_steps=1",
    )
    notes = [event.text for event in train(recipe, Store(tmp_path / "runs"), device="cpu") if isinstance(event, Notice)]
    (note,) = [note for note in notes if "tokenizer.size" in note]
    assert note.startswith("source.tokenizer.size 9,000 -> ")
    assert note.endswith(": the text gives no more pieces")
    files = {path.name for path in Store(tmp_path / "runs").resolve("tiny-mt").path.iterdir()}
    assert files >= {"vocabulary.txt", "tokenizer.model", "target-vocabulary.txt", "target-tokenizer.model"}


def test_a_shared_tokenizer_learns_of_both_sides(tmp_path, cache):
    task, _ = task_of(tmp_path, *PIECES)
    assert task.target.tokenizer_model == task.source.tokenizer_model
    assert {"K", "H", "z"} <= set("".join(task.source.words.tokens))
    apart, _ = task_of(tmp_path, PIECES[0].replace("40", "30"), "target.tokenizer={kind: sentencepiece, size: 30}")
    assert not {"K", "H", "z"} & set("".join(apart.source.words.tokens[2:]))
    assert apart.target.tokenizer_model != apart.source.tokenizer_model


def test_pieces_from_files_lie_in_the_run(tmp_path, cache):
    """The run alone is enough: for its model, and for a training that goes on by the recipe that it keeps."""
    overrides = []
    for side, column in (("source", 0), ("target", 1)):
        text = tmp_path / f"{side}.txt"
        text.write_text("".join(f"{pair[column]}\n" for pair in pairs()))
        train_sentencepiece([text], 22, tmp_path / f"{side}.model")
        overrides.append(f"{side}.tokenizer={{kind: sentencepiece, model: {tmp_path}/{side}.model}}")
    run = trained_run(pair_recipe(tmp_path, *overrides, "training.max_steps=1"), tmp_path)
    models = [tmp_path / "source.model", tmp_path / "target.model"]
    copies = [run.path / "tokenizer.model", run.path / "target-tokenizer.model"]
    assert [path.read_bytes() for path in copies] == [path.read_bytes() for path in models]
    for path in models:
        path.unlink()
    kept = load_recipe(run.recipe_path).recipe
    assert [Path(side.tokenizer.model) for side in (kept.source, kept.target)] == copies
    (one,) = Model.load(run, engine="torch").predict(["see red cats"])
    assert "".join(one.source) == "▁see▁red▁cats"


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("", "rot", "x:7: the source is empty. Fill it, or take it out."),
        ("red", " ", "x:7: the target is empty. Fill it, or take it out."),
        ("red", None, "x:7: there is no target. Check data.format and data.columns."),
        ("red", [], "x:7: there is no target. Check data.format and data.columns."),
        ("red", ["rot", ""], "x:7: the target is empty. Fill it, or take it out."),
        (
            "red",
            ["rot", 5],
            "x:7: the target is no text, and this recipe needs it. Check data.format and data.columns.",
        ),
    ],
)
def test_a_side_that_is_none(source, target, message):
    task = new_task(recipe_from_text(RECIPE).recipe)
    for read in (task.reader("train"), task.reader("dev")):
        with pytest.raises(UserError) as refused:
            list(read(Example(source, target, "x:7")))
        assert (str(refused.value), refused.value.code) == (message, ExitCode.DATA)


def test_several_targets_are_trained_on_singly_and_measured_together():
    task = new_task(recipe_from_text(RECIPE).recipe)
    example = Example("red cats", ["rote Katzen", "Katzen  rot"], "x:1")
    source = ["red", "cats"]
    assert list(task.reader("train")(example)) == [
        {"source": source, "target": ["rote", "Katzen"]},
        {"source": source, "target": ["Katzen", "rot"]},
    ]
    assert list(task.reader("test")(example)) == [
        {"source": source, "target": ["rote", "Katzen"], "references": ["rote Katzen", "Katzen  rot"]}
    ]
    tokens = Example(source, ["rote", "Katzen"], "x:1")  # a list beside tokens is tokens
    assert list(task.reader("dev")(tokens)) == [
        {"source": source, "target": ["rote", "Katzen"], "references": ["rote Katzen"]}
    ]


def test_a_file_of_several_targets_is_measured_with_all_of_them(tmp_path, cache):
    """In training each is a pair, in measuring a line is right that equals one of them."""
    recipe = pair_recipe(tmp_path, f"data={{train: {tmp_path}/a.jsonl, dev: {tmp_path}/a.jsonl}}")
    rows = [{"source": "red cats", "target": ["rote Katzen", "Katzen rot"]}, {"source": "red", "target": "rot"}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train", "dev"))
    task.fit(columns["train"])
    assert len(task.data(columns["train"]).chosen) == 3
    data = task.data(columns["dev"])
    assert [data.references(row) for row in (0, 1)] == [["rote Katzen", "Katzen rot"], ["rot"]]
    assert [data.raw(row) for row in (0, 1)] == [["red", "cats"], ["red"]]


# -- scores


def translated(text):
    return Generated([], [Written(text.split(), text, -1.0, -1.0, True)])


def scorer_of(*overrides):
    return new_task(recipe_from_text(RECIPE, overrides=overrides).recipe).scorer()


def test_a_scorer_by_hand():
    scorer = scorer_of("training.select_by=token_error_rate")
    golds = [["a b c d", "a x"], ["a b", "c"], ["a b c"]]
    verdicts = scorer.add(golds, [translated(text) for text in ("a b", "c", "")])
    assert verdicts == [False, True, False]
    scores = scorer.scores()
    assert scores["exact"] == pytest.approx(100 / 3)
    assert scores["token_error_rate"] == pytest.approx(100 * (1 + 0 + 3) / (2 + 1 + 3))
    score = scorer.score()
    assert (score.name, score.value) == ("token error rate", scores["token_error_rate"])
    assert {name: score.counts[name] for name in ("edits", "reference_tokens", "right", "lines")} == {
        "edits": 4,
        "reference_tokens": 6,
        "right": 1,
        "lines": 3,
    }
    assert [one["name"] for one in score.counts["also"]] == ["exact match"]


LINES = st.lists(st.sampled_from(["the", "cat", "Sat", "on", "mat", "."]), min_size=1, max_size=9).map(" ".join)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(LINES, st.lists(LINES, min_size=1, max_size=3)), min_size=1, max_size=5))
def test_bleu_and_chrf_are_sacrebleus_own(lines):
    """With several references too, of which lines may have unlike numbers."""
    scorer = scorer_of()
    scorer.add([golds for _, golds in lines], [translated(text) for text, _ in lines])
    texts = [text for text, _ in lines]
    most = max(len(golds) for _, golds in lines)
    streams = [[golds[at] if at < len(golds) else None for _, golds in lines] for at in range(most)]
    scores = scorer.scores()
    assert scores["bleu"] == pytest.approx(sacrebleu.corpus_bleu(texts, streams).score)
    assert scores["chrf"] == pytest.approx(sacrebleu.corpus_chrf(texts, streams).score)
    score = scorer.score()
    assert score.value == pytest.approx(scores["bleu"])
    lowered = next(one for one in score.counts["also"] if "lc" in one["signature"])
    assert lowered["value"] == pytest.approx(sacrebleu.corpus_bleu(texts, streams, lowercase=True).score)


@pytest.mark.parametrize("name", ["bleu", "chrf", "exact", "token_error_rate"])
def test_each_score_can_decide_and_comes_with_the_others(name):
    scorer = scorer_of(f"training.select_by={name}")
    scorer.add([["a b c d e"], ["f"]], [translated("a b c d e"), translated("g")])
    score = scorer.score()
    assert score.value == pytest.approx(scorer.scores()[name])
    assert len(score.counts["also"]) == {"bleu": 2, "chrf": 2}.get(name, 1)
    assert all(one["signature"] for one in score.counts["also"])


# -- rules of a recipe


SHARED = "target={kind: text, share: source}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["source={kind: frames}"], "source: the task translation does not read frames. It reads text."),
        (
            ["target={kind: labels}"],
            "target: the task translation has no target of kind labels. Set target: {kind: text}.",
        ),
        (["model={kind: ngram}"], "model.kind: ngram cannot do the task translation. It does encoder-decoder."),
        *(
            (
                [f"model.{part}=null"],
                f"model.{part}: is missing; the task translation needs it. 'seqcli components' lists the kinds of {part}.",
            )
            for part in ("embedder", "encoder", "decoder", "head")
        ),
        (["training.select_by=f1"], "training.select_by: there is no dev score 'f1'"),
        (["model.head={kind: crf}"], "model.head: a crf head cannot write text. For translation: softmax."),
        (
            ["model.head={kind: softmax, tied: true}"],
            "model.head.tied: an encoder-decoder has several tables that may be tied. Set model.tied: target-output "
            "instead.",
        ),
        (
            ["model.embedder={kind: tokens, dim: 8, affixes: {}}"],
            "model.embedder: translation takes plain token vectors: no characters, affixes or pretrained vectors. "
            "embedder: {kind: tokens, dim: 256} is one.",
        ),
        (["model.embedder={kind: tokens, dim: 0}"], "model.embedder: translation takes plain token vectors"),
        (["model.embedder={kind: frames, dim: 8}"], "model.embedder: translation takes plain token vectors"),
        (
            ["model.tied=all"],
            "model.tied: all needs one vocabulary for both sides. Set target: {kind: text, share: source}.",
        ),
        (
            [SHARED, "model.tied=source-target", "model.decoder.dim=16"],
            "model.tied: vectors of 8 and of 16 values cannot be the same. Set model.embedder.dim and model.decoder.dim to "
            "one number.",
        ),
        (
            ["model.decoder.attention=dot"],
            "model.decoder.attention: dot compares vectors of 16 and of 8 values. Make them equal, or set attention: "
            "general.",
        ),
        (
            ["model.encoder={kind: cnn, widths: [1, 2], filters: 5}", "model.decoder.attention=dot"],
            "model.decoder.attention: dot compares vectors of 10 and of 8 values",
        ),
        (
            ["target={kind: text, share: source, tokenizer: {kind: words}}"],
            "target.tokenizer: share: source has the tokenizer of the source. Leave it out, or leave out share.",
        ),
        (
            ["target={kind: text, share: source, vocabulary: {max_size: 9}}"],
            "target.vocabulary: share: source has the vocabulary of the source. Leave it out, or leave out share.",
        ),
    ],
)
def test_what_cannot_stand_in_a_recipe(overrides, message):
    with pytest.raises(UserErrors) as refused:
        recipe_from_text(RECIPE, overrides=overrides)
    assert any(message in line for line in str(refused.value).splitlines()), str(refused.value)
    assert refused.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    "overrides",
    [
        [SHARED, "model.tied=all"],
        ["model.encoder={kind: lstm, dim: 4}", "model.decoder.attention=dot"],
        ["model.encoder={kind: cnn, widths: [1, 2], filters: 4}", "model.decoder.attention=dot"],
    ],
)
def test_what_can(tmp_path, cache, overrides):
    task, data = task_of(tmp_path, *overrides)
    loss = task.network().loss(data.batch(np.arange(4)), Memory())
    loss.sum.backward()
    assert torch.isfinite(loss.sum)


@pytest.mark.parametrize("name", ["gru-fed", "transformer"])  # an LSTM in bf16 is not for every CPU
def test_bf16_trains_as_fp32_within_its_digits(tmp_path, cache, name):
    task, data = task_of(tmp_path, *MODELS[name])
    network, batch = task.network(), data.batch(np.arange(9))
    whole = network.loss(batch, Memory()).sum
    with torch.autocast("cpu", torch.bfloat16):
        rough = network.loss(batch, Memory()).sum
    rough.backward()
    assert float(rough.detach()) == pytest.approx(float(whole.detach()), rel=0.02)
    assert all(torch.isfinite(one.grad).all() for one in network.parameters() if one.grad is not None)
