"""Tagging end to end in memory: overfit a handful, save, load, and the same tags from everything that decodes."""

import numpy as np
import pytest
import torch
from tiny_corpus import SENTENCES, tiny_recipe

from seqcli.data.order import sorted_batches
from seqcli.engines.tagging import TaggingEngine
from seqcli.errors import ExitCode, UserError
from seqcli.metrics.schemes import Span, convert, violations, write_tags
from seqcli.pipeline.measure import measure
from seqcli.pipeline.prepare import open_splits
from seqcli.recipe import registry
from seqcli.tasks.build import new_task
from seqcli.tasks.checks import NO_NETWORKS
from seqcli.training.loop import Trainer

CPU = torch.device("cpu")
WORDS = [words.split() for words, _ in SENTENCES]
TAGS = [tags.split() for _, tags in SENTENCES]


def prepared(folder, *overrides, **data):
    recipe = tiny_recipe(folder, *overrides, **data)
    task = new_task(recipe)
    splits = open_splits(recipe, task, ("train", "dev"))
    task.fit(splits["train"])
    torch.manual_seed(1)
    return task, splits


def trained(folder, *overrides, **data):
    task, splits = prepared(folder, *overrides, **data)
    model = task.build_model()
    for _ in Trainer(task, model, task.data(splits["train"]), task.recipe.training, CPU).steps():
        pass
    return task, model.eval(), splits


def decoded(task, model, data, batches):
    """Tags of every row by the way that training measures."""
    tags = {}
    with torch.inference_mode():
        for rows in batches:
            batch = data.batch(rows)
            labels = model.head.decode(model(batch.inputs, batch.lengths_B), batch.lengths_B).tolist()
            for row, size, found in zip(rows.tolist(), batch.lengths_B.tolist(), labels, strict=True):
                tags[row] = task.written(found[:size])
    return [tags[row] for row in range(len(data.split))]


@pytest.mark.parametrize(
    ("head", "scheme", "encoder"),
    [
        ("crf", "bioes", "{kind: lstm, dim: 12}"),
        ("softmax", "bio", "{kind: transformer, dim: 16, heads: 2}"),
        ("crf", "bilou", "{kind: window, dim: 24}"),
    ],
)
def test_overfit_save_load_same_output(tmp_path, cache, head, scheme, encoder):
    task, model, splits = trained(
        tmp_path / "data",
        f"model.head={{kind: {head}}}",
        f"target.model_scheme={scheme}",
        f"model.encoder={encoder}",
        "training.epochs=25",
    )
    assert task.model_scheme == scheme
    data = task.data(splits["train"])
    scorer = measure(task, model, data, CPU)
    assert scorer.scores()["f1"] == scorer.scores()["accuracy"] == 100.0
    assert scorer.scores()["loss"] < 0.1
    again = new_task(task.recipe)
    (tmp_path / "run").mkdir()
    assert sorted(task.save(tmp_path / "run")) == sorted(path.name for path in (tmp_path / "run").iterdir())
    again.load(tmp_path / "run")
    loaded = again.empty_model()
    loaded.load_state_dict(model.state_dict())
    loaded.eval()
    assert again.summary() == task.summary()
    assert again.labels == task.labels
    single = [np.array([row]) for row in range(len(SENTENCES))]
    whole = [np.arange(len(SENTENCES))]
    for batches in (single, whole, sorted_batches(data.lengths, tokens=12)):
        assert decoded(again, loaded, again.data(splits["train"]), batches) == TAGS
    assert [tags for tags, _ in TaggingEngine(again, loaded, CPU).tag(WORDS)] == TAGS


def test_an_untrained_model_gives_the_same_tags_batched_and_alone(tmp_path, cache):
    """Before training nothing is sure, so that a small difference would show."""
    task, splits = prepared(tmp_path)
    model = task.build_model().eval()
    data = task.data(splits["train"])
    alone = decoded(task, model, data, [np.array([row]) for row in range(len(SENTENCES))])
    assert decoded(task, model, data, [np.arange(len(SENTENCES))[::-1].copy()]) == alone
    engine = TaggingEngine(task, model, CPU)
    assert [tags for tags, _ in engine.tag(WORDS)] == alone
    assert [engine.tag([words])[0][0] for words in WORDS] == alone
    with torch.inference_mode():
        batch = data.batch(np.arange(len(SENTENCES)))
        whole = model(batch.inputs, batch.lengths_B)
        for row, size in enumerate(batch.lengths_B.tolist()):
            one = data.batch(np.array([row]))
            torch.testing.assert_close(whole[row, :size], model(one.inputs, one.lengths_B)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("model_scheme", ["bio", "bioes", "bilou", "iob1"])
def test_schemes_there_and_back(tmp_path, cache, model_scheme):
    task, splits = prepared(tmp_path, f"target.model_scheme={model_scheme}")
    data = task.data(splits["dev"])
    assert [data.gold_tags(row) for row in range(len(TAGS))] == TAGS
    for row, tags in enumerate(TAGS):
        ids = data.batch(np.array([row])).targets[0].tolist()
        learned = [task.labels[label] for label in ids]
        assert learned == convert(tags, "bio", model_scheme)
        assert not violations(learned, model_scheme)
        assert task.written(ids) == tags
    field = splits["train"].fields["tag"]
    counts = dict(zip(field.symbols, field.counts.tolist(), strict=True))
    seen = [label for label in task.labels if label in counts]
    assert task.labels[: len(counts)] == seen
    assert [counts[label] for label in seen] == sorted(counts.values(), reverse=True)
    assert task.labels[0] == "O"
    # a span of a length that training lacks can be written all the same
    longest = [Span(0, 4, "LOC"), Span(4, 5, "LOC"), Span(5, 7, "PER")]
    assert set(write_tags(longest, 7, model_scheme)) <= set(task.labels)


def test_what_a_softmax_head_may_say_is_read_as_conlleval_reads_it(tmp_path, cache):
    task, _ = prepared(tmp_path)
    ids = {label: number for number, label in enumerate(task.labels)}
    assert task.written([ids[label] for label in ("O", "E-LOC", "O", "B-PER", "B-LOC")]) == [
        "O",
        "B-LOC",
        "O",
        "B-PER",
        "B-LOC",
    ]


def test_binary_labels(tmp_path, cache):
    task, splits = prepared(tmp_path, "target.labels=binary")
    assert sorted(task.labels) == ["B-ENTITY", "E-ENTITY", "I-ENTITY", "O", "S-ENTITY"]
    data = task.data(splits["dev"])
    assert [data.gold_tags(row) for row in range(len(TAGS))] == [
        [tag if tag == "O" else f"{tag[0]}-ENTITY" for tag in tags] for tags in TAGS
    ]


def test_tags_without_a_scheme(tmp_path, cache):
    task, model, splits = trained(tmp_path, "task={kind: tagging}", "training.epochs=20", "model.head={kind: softmax}")
    assert task.select_by == "accuracy"
    scores = measure(task, model, task.data(splits["train"]), CPU).scores()
    assert scores["accuracy"] == 100.0
    assert "f1" not in scores
    assert sorted(task.labels) == ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]


def test_labels_that_training_lacks_are_errors(tmp_path, cache):
    """The dev data knows an organisation: a miss, in recall and in accuracy, and no crash."""
    dev = [*SENTENCES[:2], ("Acme Corp hired Ravi", "B-ORG I-ORG O B-PER")]
    task, model, splits = trained(tmp_path, "training.epochs=30", dev=dev)
    data = task.data(splits["dev"])
    assert sorted(data.unseen) == ["B-ORG", "E-ORG"]
    scorer = measure(task, model, data, CPU)
    counts = scorer.score().counts
    assert (counts["gold"], counts["tokens"], counts["types"]["ORG"]["gold"]) == (5, 10, 1)
    assert counts["types"]["ORG"]["correct"] == 0
    assert scorer.scores()["recall"] <= 80.0
    assert scorer.scores()["accuracy"] <= 80.0
    assert "loss" not in scorer.scores()  # there is no likelihood of a label that the model cannot say


def test_a_span_over_the_limit_trains_and_is_measured(tmp_path, cache):
    long = [("one two three four five", "B-LOC I-LOC I-LOC I-LOC I-LOC"), *SENTENCES]
    task, model, splits = trained(tmp_path, "data.max_length=2", "training.epochs=1", train=long, dev=long)
    assert splits["train"].cut == sum(len(words.split()) > 2 for words, _ in long)
    scorer = measure(task, model, task.data(splits["dev"]), CPU)
    assert scorer.score().counts["tokens"] == sum(len(words.split()) for words, _ in long)
    assert 0 < scorer.scores()["loss"] < 20  # no step that the scheme forbids


def test_describe_shows_unknown_words(tmp_path, cache):
    task, splits = prepared(tmp_path, dev=[("Paris sleeps", "B-LOC O")])
    assert task.describe(task.data(splits["dev"]), [0]) == ["paris/B-LOC <UNK>/O"]


def test_training_data_alone_makes_the_vocabulary(tmp_path, cache):
    task, _ = prepared(tmp_path, dev=[("Zebra ßtrange", "B-ANIMAL O")])
    assert "zebra" not in task.encoder.features.words
    assert "ß" not in task.encoder.features.characters
    assert all("ANIMAL" not in label for label in task.labels)


def test_pretrained_vectors(tmp_path, cache):
    file = tmp_path / "vectors.txt"
    rows = {"paris": 1.0, "zebra": 2.0}
    file.write_text("".join(f"{word} {' '.join([str(value)] * 12)}\n" for word, value in rows.items()))
    vectors = f"model.embedder.vectors={{file: {file}, freeze: true, extend: true}}"
    task, model, _ = trained(tmp_path / "data", vectors, "training.epochs=1")
    words = task.encoder.features.words
    table = model.embedder.words.weight
    assert table[words.id_of("paris")].tolist() == [1.0] * 12  # frozen: training left it
    assert table[words.id_of("zebra")].tolist() == [2.0] * 12
    file.unlink()  # a trained model needs the file no more
    (tmp_path / "run").mkdir()
    task.save(tmp_path / "run")
    again = new_task(task.recipe)
    again.load(tmp_path / "run")
    loaded = again.empty_model()
    loaded.load_state_dict(model.state_dict())
    engine = TaggingEngine(again, loaded, CPU)
    assert engine.tag(WORDS) == TaggingEngine(task, model, CPU).tag(WORDS)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task={kind: tagging, model_scheme: bioes}", "task.model_scheme needs task.scheme"),
        ("task={kind: tagging, labels: binary}", "task.labels: binary needs task.scheme"),
        ("model.embedder={kind: tokens, dim: 0}", "neither characters nor affixes"),
        ("model.head={kind: adaptive}", "model.head: adaptive is for language models"),
        ("model.head={kind: sigmoid}", "model.head: sigmoid is for the task classification"),
        ("model.embedder={kind: frames}", "model.embedder: a tag belongs to a token"),
        ("model.encoder={kind: bag-of-words}", "model.encoder: bag-of-words cannot do the task tagging"),
        ("model.pooling={kind: max}", "model.pooling: the task tagging has none"),
        ("model.head={kind: softmax, tied: true}", "model.head.tied: tags are no words"),
        ("training.select_by=acuracy", "there is no dev score 'acuracy'. Did you mean 'accuracy'?"),
    ],
)
def test_what_cannot_be_meant_together(tmp_path, override, message):
    with pytest.raises(UserError, match=message.replace("?", "[?]")) as caught:
        new_task(tiny_recipe(tmp_path, override))
    assert caught.value.code == ExitCode.USAGE


def test_every_encoder_and_character_net_trains(tmp_path, cache):
    for encoder in registry.kinds("encoder"):
        if encoder in NO_NETWORKS:
            continue
        size = "filters" if encoder == "cnn" else "dim"
        characters = "lstm" if encoder in ("gru", "window") else "cnn"
        task, _, _ = trained(
            tmp_path / encoder,
            f"model.encoder={{kind: {encoder}, {size}: 8}}",
            "training.max_steps=2",
            f"model.embedder.characters={{kind: {characters}, dim: 4}}",
        )
        assert task.summary()["labels"] == len(task.labels)
