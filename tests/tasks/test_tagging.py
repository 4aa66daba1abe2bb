"""Tagging: overfit a handful, save, load, and the same tags from every engine, batched and alone."""

import numpy as np
import pytest
import torch
from same_model import models_of
from tiny import trained_run
from tiny_corpus import SENTENCES, tiny_recipe

from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.models.network import Memory
from seqcli.pipeline.events import Notice
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.train import train
from seqcli.recipe import registry
from seqcli.store.runs import Store
from seqcli.tasks.base import new_task

WORDS = [words.split() for words, _ in SENTENCES]
TAGS = [tags.split() for _, tags in SENTENCES]


def trained(folder, *overrides, **data):
    return trained_run(tiny_recipe(folder / "data", *overrides, **data), folder)


def prepared(folder, *overrides, **data):
    recipe = tiny_recipe(folder, *overrides, **data)
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train", "dev"))
    task.fit(columns["train"])
    return task, columns


def measured(model, split="train"):
    return model.task.measure(model.engine, model.task.data(model.columns(None, split)), mistakes=True)


@pytest.mark.parametrize(
    ("head", "scheme", "encoder"),
    [
        ("crf", "bioes", "{kind: lstm, dim: 12}"),
        ("softmax", "bio", "{kind: transformer, dim: 16, heads: 2}"),
        ("crf", "bilou", "{kind: window, dim: 24}"),
    ],
)
def test_overfit_save_load_same_output(tmp_path, cache, head, scheme, encoder):
    run = trained(
        tmp_path,
        f"model.head={{kind: {head}}}",
        f"target.model_scheme={scheme}",
        f"model.encoder={encoder}",
        "training.epochs=25",
        "training.select_by=loss",
    )
    assert run.report()["dev"]["value"] == 100
    chances = {}
    for name, model in models_of(run).items():
        assert model.task.target.model_scheme == scheme
        scores = measured(model).scorer.scores()
        assert scores["f1"] == scores["precision"] == scores["recall"] == scores["accuracy"] == 100.0
        assert scores["loss"] < 0.1
        whole = model.predict_block(WORDS, scores=True)
        alone = [model.predict_block([words], scores=True)[0] for words in WORDS]
        assert [one.tags for one in whole] == [one.tags for one in alone] == TAGS
        assert [one.tokens for one in model.predict([" ".join(words) for words in WORDS])] == WORDS
        chances[name] = np.concatenate([one.chances_T for one in whole])
        tolerance = 0.05 if name == "used" else 1e-4
        np.testing.assert_allclose(chances[name], np.concatenate([one.chances_T for one in alone]), atol=tolerance)
        np.testing.assert_allclose(chances[name], chances["used"], atol=0.05)
    np.testing.assert_allclose(chances["onnx"], chances["torch"], atol=1e-4)


def test_measuring_gives_the_loss_of_the_network(tmp_path, cache):
    """Also where nothing is sure yet, whatever the head, and with batches of any size."""
    for head in ("crf", "softmax"):
        model = Model.load(trained(tmp_path, f"model.head={{kind: {head}}}", "training.max_steps=2"), engine="torch")
        data = model.task.data(model.columns(None, "dev"))
        with torch.inference_mode():
            losses = [model.engine.network.loss(data.batch(np.array([row])), Memory()) for row in range(len(WORDS))]
        expected = sum(loss.sum.item() for loss in losses) / sum(loss.targets for loss in losses)
        assert measured(model, "dev").scorer.scores()["loss"] == pytest.approx(expected, rel=1e-5)


def test_an_untrained_model_gives_the_same_tags_batched_and_alone(tmp_path, cache):
    """Before training nothing is sure, so that a small difference would show."""
    run = trained(tmp_path, "training.max_steps=1", "training.optimizer.lr=1e-9")
    models = models_of(run)
    for name in ("onnx", "torch"):
        alone = [models[name].predict_block([words], scores=True)[0] for words in WORDS]
        for order in (range(len(WORDS)), range(len(WORDS) - 1, -1, -1)):
            found = models[name].predict_block([WORDS[row] for row in order], scores=True)
            for row, one in zip(order, found, strict=True):
                assert one.tags == alone[row].tags
                np.testing.assert_allclose(one.chances_T, alone[row].chances_T, rtol=0, atol=1e-5)
    by_row = {rows: predicted.tags for rows, predicted in enumerate(models["torch"].predict_block(WORDS))}
    wrong = {mistake.row for mistake in measured(models["torch"]).mistakes}
    assert wrong == {row for row, tags in by_row.items() if tags != TAGS[row]}


def test_lines_tokens_and_nothing_at_all(tmp_path, cache):
    model = Model.load(trained(tmp_path, "training.epochs=1"))
    lines = ["", "Paris", "", "  New   York "]
    assert [one.tokens for one in model.predict(lines)] == [[], ["Paris"], [], ["New", "York"]]
    assert [one.tags for one in model.predict(["", ""])] == [[], []]
    assert model.predict_block([]) == []


def test_a_line_over_the_limit_is_tagged_in_pieces(tmp_path, cache):
    model = Model.load(trained(tmp_path, "data.max_length=3", "training.epochs=1"), engine="torch")
    long = [*WORDS[2], *WORDS[4]]
    (one,) = model.predict_block([long], scores=True)
    pieces = [long[start : start + 3] for start in range(0, len(long), 3)]
    parts = model.predict_block(pieces, scores=True)
    assert one.tokens == long
    assert one.tags == [tag for part in parts for tag in part.tags]
    np.testing.assert_allclose(one.chances_T, np.concatenate([part.chances_T for part in parts]), atol=1e-5)


def test_binary_labels(tmp_path, cache):
    model = Model.load(trained(tmp_path, "target.labels=binary", "training.epochs=25"))
    gold = [[tag if tag == "O" else f"{tag[0]}-ENTITY" for tag in tags] for tags in TAGS]
    assert [one.tags for one in model.predict_block(WORDS)] == gold
    assert set(measured(model).scorer.score().counts["types"]) == {"ENTITY"}


def test_tags_without_a_scheme(tmp_path, cache):
    run = trained(tmp_path, "target={kind: tags}", "training.epochs=20", "model.head={kind: softmax}")
    assert run.report()["select_by"] == "accuracy"
    model = Model.load(run)
    scores = measured(model).scorer.scores()
    assert scores["accuracy"] == 100.0
    assert "f1" not in scores
    assert sorted(model.task.target.labels) == ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]


def test_labels_that_training_lacks_are_errors(tmp_path, cache):
    """The dev data knows an organisation: a miss, in recall and in accuracy, and no crash."""
    dev = [*SENTENCES[:2], ("Acme Corp hired Ravi", "B-ORG I-ORG O B-PER")]
    recipe = tiny_recipe(tmp_path / "data", "training.epochs=30", dev=dev)
    notices = [one.text for one in train(recipe, Store(tmp_path / "runs"), device="cpu") if isinstance(one, Notice)]
    assert notices[0] == (
        "labels in dev that the training data lacks, so that it cannot be right on them "
        "(as bioes, which the model learns): B-ORG, E-ORG"
    )
    model = Model.load("tiny", runs=str(tmp_path / "runs"))
    found = measured(model, "dev")
    counts = found.scorer.score().counts
    assert (counts["gold"], counts["tokens"], counts["types"]["ORG"]["gold"]) == (5, 10, 1)
    assert counts["types"]["ORG"]["correct"] == 0
    assert found.scorer.scores()["recall"] <= 80.0
    assert found.scorer.scores()["accuracy"] <= 80.0
    assert "loss" not in found.scorer.scores()  # there is no likelihood of a label that the model cannot say
    assert not found.right[2]
    row = next(row for row in model.task.error_rows(found.mistakes) if row[2] == "ORG")
    assert (row[0].rpartition(":")[2], row[4], row[6]) == ("9", "Acme Corp", "Acme Corp hired Ravi")


def test_a_loss_that_no_evaluation_gives_cannot_choose_the_best_step(tmp_path, cache):
    recipe = tiny_recipe(tmp_path / "data", "training.select_by=loss", dev=[("Acme", "B-ORG")])
    with pytest.raises(UserError, match="there is no dev score 'loss', since dev has labels") as caught:
        list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    assert caught.value.code == ExitCode.USAGE
    assert not list((tmp_path / "runs").glob("*/*"))


def test_a_span_over_the_limit_trains_and_is_measured(tmp_path, cache):
    long = [("one two three four five", "B-LOC I-LOC I-LOC I-LOC I-LOC"), *SENTENCES]
    model = Model.load(trained(tmp_path, "data.max_length=2", "training.epochs=1", train=long, dev=long))
    assert model.columns(None, "train").cut == sum(len(words.split()) > 2 for words, _ in long)
    scorer = measured(model, "dev").scorer
    assert scorer.score().counts["tokens"] == sum(len(words.split()) for words, _ in long)
    assert 0 < scorer.scores()["loss"] < 20  # no step that the scheme forbids


def test_describe_shows_unknown_words(tmp_path, cache):
    task, columns = prepared(tmp_path, dev=[("Paris sleeps", "B-LOC O")])
    assert task.describe(task.data(columns["dev"]), [0]) == ["paris/B-LOC <UNK>/O"]


def test_training_data_alone_makes_the_vocabulary(tmp_path, cache):
    task, _ = prepared(tmp_path, dev=[("Zebra ßtrange", "B-ANIMAL O")])
    assert "zebra" not in task.source.words
    assert "ß" not in task.source.features.characters
    assert all("ANIMAL" not in label for label in task.target.labels)


@pytest.mark.parametrize("freeze", [True, False])
def test_pretrained_vectors(tmp_path, cache, freeze):
    file = tmp_path / "vectors.txt"
    rows = {"paris": 1.0, "zebra": 2.0}
    file.write_text("".join(f"{word} {' '.join([str(value)] * 12)}\n" for word, value in rows.items()))
    vectors = f"model.embedder.vectors={{file: {file}, freeze: {str(freeze).lower()}, extend: true}}"
    run = trained(tmp_path, vectors, "training.epochs=1")
    file.unlink()  # a trained model needs the file no more
    models = models_of(run)
    words = models["torch"].task.source.words
    table = models["torch"].engine.network.embedder.words.weight
    assert table[words.id_of("zebra")].tolist() == pytest.approx([2.0] * 12, abs=0.01)  # no sentence has it
    assert (table[words.id_of("paris")].tolist() == [1.0] * 12) == freeze
    tags = [one.tags for one in models["torch"].predict_block(WORDS)]
    assert [one.tags for one in models["onnx"].predict_block(WORDS)] == tags


def test_a_file_of_vectors_that_is_not_there_stops_the_training(tmp_path, cache):
    with pytest.raises(UserError, match=r"none\.txt: cannot read") as caught:
        trained(tmp_path, f"model.embedder.vectors={{file: {tmp_path}/none.txt}}")
    assert caught.value.code == ExitCode.IO
    assert not list((tmp_path / "runs").glob("*/*"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "target={kind: tags, model_scheme: bioes}",
            "target.model_scheme: needs target.scheme, the scheme of the data",
        ),
        ("target={kind: tags, labels: binary}", "target.labels: binary needs target.scheme, the scheme of the data"),
        ("target={kind: labels}", "target: the task tagging has no target of kind labels. Set target: {kind: tags}."),
        ("source={kind: frames}", "source: the task tagging does not read frames. It reads text."),
        ("model.embedder={kind: tokens, dim: 0}", "neither characters nor affixes"),
        ("model.head={kind: adaptive}", "model.head: adaptive is for language models"),
        ("model.head={kind: sigmoid}", "model.head: sigmoid is for the task classification"),
        ("model.embedder={kind: frames}", "model.embedder: a tag belongs to a token"),
        (
            "model={kind: bag-of-words}",
            "model.kind: bag-of-words cannot do the task tagging. It does network or most-frequent-tag.",
        ),
        ("model.pooling={kind: max}", "model.pooling: the task tagging has none"),
        ("model.encoder=null", "model.encoder: is missing; the task tagging needs it"),
        ("model.head={kind: softmax, tied: true}", "model.head.tied: tags are no words"),
    ],
)
def test_what_cannot_be_meant_together(tmp_path, override, message):
    with pytest.raises(UserErrors) as caught:
        tiny_recipe(tmp_path, override)
    assert message in str(caught.value)
    assert caught.value.code == ExitCode.USAGE


def test_a_score_that_the_task_does_not_have(tmp_path):
    with pytest.raises(UserErrors, match=r"there is no dev score 'acuracy'. Did you mean 'accuracy'[?]") as caught:
        tiny_recipe(tmp_path, "training.select_by=acuracy")
    assert caught.value.code == ExitCode.USAGE


def test_every_encoder_and_character_net_trains(tmp_path, cache):
    for encoder in registry.kinds("encoder"):
        size = "filters" if encoder == "cnn" else "dim"
        characters = "lstm" if encoder in ("gru", "window") else "cnn"
        run = trained(
            tmp_path / encoder,
            f"model.encoder={{kind: {encoder}{'' if encoder == 'bag' else f', {size}: 8'}}}",
            "training.max_steps=2",
            f"model.embedder.characters={{kind: {characters}, dim: 4}}",
        )
        assert run.report()["engine"]["difference"] < 1e-4
