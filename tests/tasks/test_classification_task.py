"""Classification end to end in memory: overfit a handful, save, load, and the same from everything that predicts."""

import numpy as np
import pytest
import torch
from tiny_classes import (
    CPU,
    GRADED,
    SEVERAL,
    SIGMOID,
    TEXTS,
    baseline,
    frame_recipe,
    jsonl,
    motions,
    prepared,
    text_recipe,
    trained,
)

from seqcli.engines.classification import ClassificationEngine
from seqcli.errors import ExitCode, UserError
from seqcli.pipeline.errors_of import errors_of
from seqcli.pipeline.measure import measure
from seqcli.pipeline.train import train
from seqcli.store.runs import Store
from seqcli.tasks.build import new_task
from seqcli.text.tokenizers import tokenizer_of

PIECES = "source.tokenizer={kind: sentencepiece, size: 35}"


def of_measuring(task, model, data, batches):
    """Probabilities of every row by the way that training measures."""
    scorer, found = task.scorer(data), np.zeros((len(data.split), len(task.labels)))
    with torch.inference_mode():
        for rows in batches:
            found[rows] = np.exp(scorer.log_probs(model, data.batch(rows)))
    return found


def sources_of(task, split):
    """The examples as an engine takes them: tokens, or frames."""
    if task.source.field != "token":
        return [split.fields["frames"].sequence(row) for row in range(len(split))]
    tokens = split.fields["token"]
    return [[tokens.symbols[token] for token in tokens.sequence(row)] for row in range(len(split))]


def check_round_trip(task, model, splits, folder):
    """Saved and loaded it says the same, batched and alone, measured and through the engine."""
    again = new_task(task.recipe)
    folder.mkdir()
    assert sorted(task.save(folder)) == sorted(path.name for path in folder.iterdir())
    again.load(folder)
    assert (again.labels, again.summary()) == (task.labels, task.summary())
    loaded = again.empty_model()
    loaded.load_state_dict(model.state_dict())
    loaded.eval()
    data, size = again.data(splits["train"]), len(splits["train"])
    alone = of_measuring(again, loaded, data, [np.array([row]) for row in range(size)])
    engine = ClassificationEngine(again, loaded, CPU)
    for found in (
        of_measuring(task, model, task.data(splits["train"]), [np.arange(size)]),
        of_measuring(again, loaded, data, data.measuring_order(20)),
        engine.probabilities(sources_of(again, splits["train"])),
    ):
        np.testing.assert_allclose(found, alone, rtol=0, atol=1e-5)
    return alone


@pytest.mark.parametrize(
    ("overrides", "options"),
    [
        ((), {}),
        (("model.encoder={kind: transformer, dim: 12, heads: 2, dropout: 0}", "training.epochs=60"), {}),
        (("model.encoder={kind: gru, dim: 12}", "model.pooling={kind: attention}"), {}),
        (("model.members=2", "model.encoder={kind: gru, dim: 12}"), {}),
        (("model.encoder={kind: cnn, filters: 6}", "source.tokenizer={kind: characters}"), {}),
        ((PIECES, "model.encoder={kind: window, dim: 20}"), {}),
        ((), {"write": lambda examples: jsonl(examples, tokens=True), "suffix": "jsonl"}),
        (("target.ordinal=true", "training.select_by=kappa"), {"train": GRADED}),
    ],
)
def test_overfit_save_load_same_output(tmp_path, cache, overrides, options):
    if options.get("suffix") == "jsonl":
        overrides = (*overrides, "data.format=jsonl")
    task, model, splits = trained(text_recipe(tmp_path / "data", "training.epochs=30", *overrides, **options))
    scores = measure(task, model, task.data(splits["train"]), CPU).scores()
    assert scores["accuracy"] == scores["macro_f1"] == 100
    assert scores["loss"] < 0.2
    if task.config.ordinal:
        assert (scores["mean_absolute_error"], scores["kappa"]) == (0, 1)
        assert task.labels == ["1", "2", "3", "4", "10"]
    alone = check_round_trip(task, model, splits, tmp_path / "run")
    assert [task.labels[best] for best in alone.argmax(1)] == [label for _, label in options.get("train", TEXTS)]


def test_several_labels(tmp_path, cache):
    task, model, splits = trained(
        text_recipe(tmp_path / "data", "target.separator=','", SIGMOID, "training.epochs=40", train=SEVERAL)
    )
    scores = measure(task, model, task.data(splits["train"]), CPU).scores()
    assert task.select_by == "f1"
    assert scores["f1"] == scores["exact_match"] == 100
    alone = check_round_trip(task, model, splits, tmp_path / "run")
    given = [",".join(sorted(task.labels[number] for number in np.flatnonzero(row >= 0.5))) for row in alone]
    assert given == [label for _, label in SEVERAL]
    assert task.describe(task.data(splits["train"]), [3, 0]) == ["(no label): sun", "rain,wind: rain and wind"]


@pytest.mark.parametrize(
    ("overrides", "options"),
    [
        (("model.members=2",), {}),
        (("model.embedder={kind: frames, dim: 8, kernel: 4, stride: 2, missing: mask}",), {"missing": True}),
        (("model.embedder={kind: frames, dim: 8, scaling: none}", "model.encoder={kind: cnn, filters: 6}"), {}),
    ],
)
def test_frames(tmp_path, cache, overrides, options):
    task, model, splits = trained(
        frame_recipe(tmp_path / "data", *overrides, "training.epochs=60", train=motions(24, **options))
    )
    assert measure(task, model, task.data(splits["train"]), CPU).scores()["accuracy"] == 100
    check_round_trip(task, model, splits, tmp_path / "run")
    assert task.describe(task.data(splits["train"]), [0])[0].endswith(" frames of 2 channels")


def test_scaling_is_that_of_the_training_split(tmp_path, cache):
    """A test split far away leaves the scaling as it is, and is not scaled by its own."""

    def mean_and_deviation(shift):
        recipe = frame_recipe(tmp_path / str(shift), dev=motions(6, 2, shift=shift), test=motions(9, 3, shift=shift))
        task, model, splits = trained(recipe)
        return model.embedder.mean_D, model.embedder.deviation_D, measure(task, model, task.data(splits["test"]), CPU)

    here, far = mean_and_deviation(0), mean_and_deviation(1000)
    frames = np.concatenate([frames for frames, _ in motions()])
    for found in (here, far):
        np.testing.assert_allclose(found[0], frames.mean(0), rtol=1e-6)
        np.testing.assert_allclose(found[1], frames.std(0), rtol=1e-5)
    assert here[2].scores()["loss"] < far[2].scores()["loss"]


@pytest.mark.parametrize(("value", "mean", "deviation"), [(5.0, 5.0, 1.0), (0.0, 0.0, 1.0), (np.nan, 0.0, 1.0)])
def test_scaling_of_a_channel_that_tells_nothing(tmp_path, cache, value, mean, deviation):
    examples = [
        (np.stack([np.full(3, value), np.array([1e-9, -1e-9, 0]) + 3 * number], 1), label)
        for number, label in enumerate("aab")
    ]
    recipe = frame_recipe(tmp_path, "model.embedder={kind: frames, dim: 2, missing: mask}", train=examples)
    task, _ = prepared(recipe)
    embedder = task.build_model().embedder
    assert (embedder.mean_D[0].item(), embedder.deviation_D[0].item()) == (mean, deviation)


def test_tiny_values_are_scaled_too(tmp_path, cache):
    """Amperes of a nerve are 1e-9: that is a signal, not a channel that stands still."""
    examples = [(frames * 1e-9, label) for frames, label in motions()]
    task, _ = prepared(frame_recipe(tmp_path, train=examples))
    frames = np.concatenate([frames for frames, _ in examples])
    np.testing.assert_allclose(task.build_model().embedder.deviation_D, frames.std(0), rtol=1e-4)


@pytest.mark.parametrize("overrides", [(), (baseline("bag-of-words"),)])
def test_labels_that_training_lacks_are_missed(tmp_path, cache, overrides):
    dev = [("a charming film", "good"), ("dull", "awful"), ("dull", "awful"), ("so so", "great")]
    recipe = text_recipe(tmp_path, *overrides, "training.epochs=30", "training.patience=9", dev=dev)
    task, model, splits = trained(recipe)
    data = task.data(splits["dev"])
    assert data.unseen == ["awful", "great"]
    scorer = measure(task, model, data, CPU)
    assert scorer.right.tolist() == [True, False, False, False]
    assert scorer.score().value == 25
    assert scorer.score().counts["unknown_labels"] == {"awful": 2, "great": 1}
    rows = list(errors_of(task, model, data, CPU))
    assert {row[1] for row in rows} == {"awful", "great"}
    assert [row[3] for row in rows] == sorted((row[3] for row in rows), reverse=True)
    notices = [event.text for event in train(recipe, Store(tmp_path / "runs"), device="cpu") if hasattr(event, "text")]
    assert notices[0] == (
        "labels in dev that the training data lacks, so that it cannot be right on them: awful, great"
    )


def test_several_labels_that_training_lacks(tmp_path, cache):
    dev = [("rain", "rain,hail"), ("sun", "fog"), ("sun", "")]
    task, model, splits = trained(
        text_recipe(tmp_path, "target.separator=','", SIGMOID, "training.epochs=40", train=SEVERAL, dev=dev)
    )
    data = task.data(splits["dev"])
    scorer = measure(task, model, data, CPU)
    assert data.unknown_labels(np.arange(3)).tolist() == [1, 1, 0]
    assert scorer.right.tolist() == [False, False, True]
    counts = scorer.score().counts
    assert (counts["correct"], counts["gold"], counts["unknown_labels"]) == (1, 3, 2)
    assert [row[1:3] for row in errors_of(task, model, data, CPU)] in (
        [("hail,rain", "rain"), ("fog", "")],
        [("rain,hail", "rain"), ("fog", "")],
        [("fog", ""), ("rain,hail", "rain")],
        [("fog", ""), ("hail,rain", "rain")],
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "target.separator=','",
            "model.head: softmax does not fit, since an example may have several labels. Set head: {kind: sigmoid}.",
        ),
        (
            SIGMOID,
            "model.head: sigmoid does not fit, since an example has one label. "
            "Set head: {kind: softmax}, or task.separator.",
        ),
        (
            "model.head={kind: crf}",
            "model.head: crf does not fit, since an example has one label. Set head: {kind: softmax}.",
        ),
        (
            "model.head={kind: softmax, tied: true}",
            "model.head.tied: labels are no words, so no word vectors are their output weights. Set tied: false.",
        ),
        (
            "task={kind: classification, separator: ',', ordinal: true}",
            "task.ordinal is for examples with one label each, and task.separator allows several",
        ),
        (
            "task={kind: classification, separator: ',', class_weights: balanced}",
            "task.class_weights: balanced is for examples with one label each, and task.separator allows several",
        ),
        (
            "task.baselines=[majority, mean-pool]",
            "task.baselines: mean-pool is for frames, and this recipe reads text. "
            "Take mean-pool out of task.baselines.",
        ),
        (
            "model.embedder={kind: tokens, dim: 0}",
            "model.embedder.dim: 0 leaves words to their spelling, but there are "
            "neither characters nor affixes. Set model.embedder.characters, or a dim of at least 1.",
        ),
        (
            "model.encoder={kind: rnn, inputs: false}",
            "model.encoder.inputs: without input every sequence is the same. Set inputs: true.",
        ),
        (
            "model.embedder={kind: frames}",
            "text: this recipe reads frames, and frames have no tokens. Take the section text out.",
        ),
        (
            "model={kind: mean-pool}",
            "text: this recipe reads frames, and frames have no tokens. Take the section text out.",
        ),
        (
            "model={encoder: {kind: bag-of-words}, members: 2}",
            "model.members: bag-of-words has one optimum, so several would be alike. Take model.members out.",
        ),
        ("model.encoder={kind: bag-of-words}", "model.embedder: bag-of-words has none. Take model.embedder out."),
        (
            "model.encoder={kind: ngram}",
            "model.encoder: ngram cannot do the task classification. "
            "It is for the task language-model; take lstm, for one.",
        ),
        (
            "training.select_by=f1",
            "training.select_by: there is no dev score 'f1'. "
            "Scores: accuracy, macro_f1, brier, calibration_error, loss.",
        ),
        (
            "training.select_by=kappa",
            "training.select_by: there is no dev score 'kappa'. "
            "Scores: accuracy, macro_f1, brier, calibration_error, loss.",
        ),
    ],
)
def test_what_cannot_be_meant_together(tmp_path, override, message):
    with pytest.raises(UserError) as caught:
        new_task(text_recipe(tmp_path, override))
    assert (str(caught.value), caught.value.code) == (message, ExitCode.USAGE)


@pytest.mark.parametrize("weight", ["0", "-1", ".nan", ".inf"])
def test_a_class_weight_is_a_number_above_0(tmp_path, weight):
    with pytest.raises(UserError, match=r"task\.class_weights\.good: ") as caught:
        text_recipe(tmp_path, f"task.class_weights={{good: {weight}}}")
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("recipe", "options", "message", "code"),
    [
        (
            text_recipe,
            {"train": [("a", "x"), ("b", "x")]},
            "{folder}/train.tsv: the training data has one label only, 'x': there is nothing to tell apart",
            65,
        ),
        (
            lambda folder, **more: text_recipe(folder, "task.class_weights={god: 2}", **more),
            {},
            "task.class_weights: no training example has the label 'god'. Did you mean 'good'?",
            2,
        ),
        (
            lambda folder, **more: text_recipe(folder, "target.ordinal=true", **more),
            {},
            "{folder}/train.tsv: task.ordinal: the label 'bad' is no number, so it has no place on a scale. "
            "Set ordinal: false, or give grades such as 1 to 5.",
            65,
        ),
        (
            lambda folder, **more: text_recipe(folder, "target.ordinal=true", **more),
            {"train": [("a", "1"), ("b", "nan")]},
            "{folder}/train.tsv: task.ordinal: the label 'nan' is no number, so it has no place on a scale. "
            "Set ordinal: false, or give grades such as 1 to 5.",
            65,
        ),
        (
            frame_recipe,
            {"dev": motions(3, channels=3)},
            "{folder}/dev.ts: frames of 3 channels, but the model was trained on 2",
            65,
        ),
        (frame_recipe, {"train": motions(6, missing=True)}, "{folder}/train.ts:", 65),
        (text_recipe, {"train": [("a", "x"), ("b", " ")]}, "{folder}/train.tsv:2: the label is empty", 65),
        (
            lambda folder, **more: text_recipe(folder, "target.separator=','", SIGMOID, **more),
            {"train": [("a", ""), ("b", "")]},
            "{folder}/train.tsv: the training data has no labels: there is nothing to tell apart",
            65,
        ),
    ],
)
def test_data_that_cannot_be_learned(tmp_path, cache, recipe, options, message, code):
    with pytest.raises(UserError) as caught:
        list(train(recipe(tmp_path, **options), Store(tmp_path / "runs"), device="cpu"))
    text = message.format(folder=tmp_path)
    assert caught.value.code == code
    assert str(caught.value) == text or (message.endswith(":") and str(caught.value).startswith(text))
    assert not list((tmp_path / "runs").glob("*/*"))


def test_missing_values_are_refused_with_their_place(tmp_path, cache):
    examples = motions(3)
    examples[1][0][2, 1] = np.nan
    with pytest.raises(UserError) as caught:
        prepared(frame_recipe(tmp_path, train=examples))
    assert str(caught.value) == (
        f"{tmp_path}/train.ts:7: a value is missing (frame 2, channel 1, both counted from 0). "
        "Set 'missing: mask' in the recipe's embedder, or fill the gaps."
    )


def test_text_and_frames_are_not_mistaken_for_each_other(tmp_path, cache):
    with pytest.raises(UserError, match="this recipe classifies text, and here is none"):
        prepared(
            text_recipe(
                tmp_path,
                "data.format=ts",
                write=lambda examples: "@dimensions 1\n@classLabel true a b\n@data\n1,2:a\n2,3:b\n",
            )
        )
    file = tmp_path / "train.tsv"
    file.write_text("a\tb\n")
    with pytest.raises(UserError, match="this recipe classifies frames, and here are none"):
        prepared(frame_recipe(tmp_path, f"data={{train: {file}, format: tsv}}"))


def test_one_label_is_expected(tmp_path, cache):
    with pytest.raises(UserError, match="one label is expected, and here is a list"):
        prepared(
            text_recipe(
                tmp_path, "data.format=jsonl", write=lambda examples: '{"text": "a", "label": ["x"]}\n', suffix="jsonl"
            )
        )


@pytest.mark.parametrize(
    ("recipe", "names", "own"),
    [
        (text_recipe, ["majority", "bag of 1-2-grams, logistic regression"], ()),
        (text_recipe, ["majority"], (baseline("bag-of-words"),)),
        (text_recipe, ["bag of 1-2-grams, logistic regression"], (baseline("majority"),)),
        (text_recipe, [], ("task.baselines=[]",)),
        (text_recipe, ["bag of 1-2-grams, logistic regression"], ("task.baselines=[bag-of-words, bag-of-words]",)),
        (frame_recipe, ["majority", "mean of the frames, logistic regression"], ()),
        (frame_recipe, ["majority"], (baseline("mean-pool"),)),
        (frame_recipe, ["mean of the frames, logistic regression"], (baseline("majority"),)),
    ],
)
def test_every_report_has_baselines(tmp_path, cache, recipe, names, own):
    options = {"test": [*TEXTS[:5], ("new", "alien")]} if recipe is text_recipe else {"test": motions(5, 9)}
    *_, finished = train(recipe(tmp_path, *own, **options), Store(tmp_path / "runs"), device="cpu")
    found = finished.report.get("baselines", [])
    assert [entry["model"] for entry in found] == names
    for entry in found:
        for split in ("dev", "test"):
            score, paired = finished.report[split], entry[split]["paired"]
            assert entry[split]["name"] == score["name"] == "accuracy"
            assert paired["better"] + paired["both"] == score["counts"]["correct"]
            assert paired["worse"] + paired["both"] == entry[split]["counts"]["correct"]
            assert sum(paired[name] for name in ("better", "worse", "both", "neither")) == score["counts"]["total"]
            assert paired["difference"] == pytest.approx(score["value"] - entry[split]["value"])


def test_baselines_of_missing_values_and_of_several_labels(tmp_path, cache):
    masked = "model.embedder={kind: frames, dim: 8, missing: mask}"
    *_, finished = train(
        frame_recipe(tmp_path / "frames", masked, train=motions(missing=True)), Store(tmp_path / "runs"), device="cpu"
    )
    assert len(finished.report["baselines"]) == 2
    weighted = ("target.separator=','", SIGMOID, "task.class_weights={rain: 2}")
    *_, finished = train(
        text_recipe(tmp_path / "text", *weighted, train=SEVERAL), Store(tmp_path / "runs"), device="cpu"
    )
    assert [entry["test"]["name"] for entry in finished.report["baselines"]] == ["F1", "F1"]
    with pytest.raises(UserError, match=r"task\.class_weights: bag-of-words weighs whole examples"):
        new_task(
            text_recipe(
                tmp_path / "text",
                "task={kind: classification, separator: ',', class_weights: {rain: 2}}",
                baseline("bag-of-words"),
                train=SEVERAL,
            )
        )


def test_the_majority_is_that_of_the_data_whatever_the_classes_weigh(tmp_path, cache):
    *_, finished = train(
        text_recipe(tmp_path, "task.class_weights=balanced", train=[*TEXTS, ("x", "bad")]),
        Store(tmp_path / "runs"),
        device="cpu",
    )
    majority = finished.report["baselines"][0]["test"]
    assert majority["counts"]["correct"] == 5
    assert list(majority["counts"]["confusion"]["good"]) == ["bad"]


def test_balanced_weights(tmp_path, cache):
    task, _ = prepared(text_recipe(tmp_path, "task.class_weights=balanced", train=TEXTS[:5]))
    assert task.labels == ["good", "bad"]
    assert task.weights_K.tolist() == pytest.approx([5 / 6, 5 / 4])
    task, _ = prepared(text_recipe(tmp_path, "task.class_weights={bad: 3}", train=TEXTS[:5]))
    assert task.weights_K.tolist() == [1, 3]


def test_a_text_over_the_limit_is_cut_and_that_is_said(tmp_path, cache):
    recipe = text_recipe(tmp_path, "data.max_length=3")
    task, splits = prepared(recipe)
    tokenizer = tokenizer_of(recipe.source.tokenizer, None)
    assert splits["train"].cut == sum(len(tokenizer.tokenize(text)) > 3 for text, _ in TEXTS) == 4
    assert sources_of(task, splits["train"])[0] == ["Good", "movie", ","]
    for own in ((), (baseline("bag-of-words"),)):
        events = train(text_recipe(tmp_path, "data.max_length=3", *own), Store(tmp_path / "runs"), device="cpu")
        assert next(event.text for event in events if hasattr(event, "text")) == (
            "4 train sequences are longer than data.max_length = 3 tokens and only the first 3 count"
        )


def test_labels_are_trimmed(tmp_path, cache):
    task, _ = prepared(text_recipe(tmp_path, train=[("a", "x "), ("b", "x"), ("c", "y")]))
    assert task.labels == ["x", "y"]
