"""Classification end to end in memory: overfit a handful, save, load, and the same from everything that predicts."""

import numpy as np
import pytest
from same_model import models_of
from tiny import trained_run
from tiny_classes import (
    FITTED,
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
)

from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.pipeline.events import Notice
from seqcli.pipeline.model import Model
from seqcli.pipeline.train import train
from seqcli.store.runs import Store
from seqcli.text.tokenizers import tokenizer_of

PIECES = "source.tokenizer={kind: sentencepiece, size: 35}"


def measured(model, split="train"):
    return model.task.measure(model.engine, model.task.data(model.columns(None, split)), mistakes=True)


def probabilities(model, items):
    return np.stack([one.probs_K for one in model.predict_block(items)])


def check_every_engine(run, items):
    """Every engine says the same, batched and alone, predicted and measured; returns what torch says, and its model."""
    found = {}
    for name, model in models_of(run).items():
        found[name] = probabilities(model, items)
        alone = np.concatenate([probabilities(model, [item]) for item in items])
        np.testing.assert_allclose(found[name], alone, rtol=0, atol=0.05 if name == "used" else 1e-5)
        labels = [one.labels for one in model.predict_block(items)]
        wrong = {mistake.row: mistake.prediction for mistake in measured(model).mistakes}
        data = model.task.data(model.columns(None, "train"))
        gold = [sorted(data.target.gold(row)) for row in range(len(items))]
        assert [row for row, given in enumerate(labels) if sorted(given) != gold[row]] == sorted(wrong)
    np.testing.assert_allclose(found["onnx"], found["torch"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["used"], found["torch"], rtol=0, atol=0.05)
    return found["torch"], model


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
    recipe = text_recipe(tmp_path / "data", "training.epochs=30", "training.select_by=loss", *overrides, **options)
    run = trained_run(recipe, tmp_path)
    examples = options.get("train", TEXTS)
    items = [text.split() if "write" in options else text for text, _ in examples]
    probs_BK, model = check_every_engine(run, items)
    scores = measured(model).scorer.scores()
    assert scores["accuracy"] == scores["macro_f1"] == 100
    assert scores["loss"] < 0.2 or recipe.training.select_by != "loss"
    labels = model.task.target.labels
    if recipe.target.ordinal:
        assert (scores["mean_absolute_error"], scores["kappa"]) == (0, 1)
        assert labels == ["1", "2", "3", "4", "10"]
    assert [labels[best] for best in probs_BK.argmax(1)] == [label for _, label in examples]
    np.testing.assert_allclose(probs_BK.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["bag-of-words", "majority"])
def test_models_that_are_fitted_in_one_go(tmp_path, cache, kind):
    run = trained_run(text_recipe(tmp_path / "data", baseline(kind), FITTED), tmp_path)
    model, items = Model.load(run), [text for text, _ in TEXTS]
    whole = probabilities(model, items)
    np.testing.assert_allclose(np.concatenate([probabilities(model, [item]) for item in items]), whole, atol=1e-6)
    tokens = [model.task.source.read(text, "") for text in items]
    np.testing.assert_allclose(probabilities(model, tokens), whole, atol=1e-6)
    assert measured(model).scorer.scores()["accuracy"] == (100 if kind == "bag-of-words" else pytest.approx(100 / 3))
    assert [one.length for one in model.predict(items)] == [len(one) for one in tokens]


def test_several_labels(tmp_path, cache):
    recipe = text_recipe(tmp_path / "data", "target.separator=','", SIGMOID, "training.epochs=40", train=SEVERAL)
    run = trained_run(recipe, tmp_path)
    probs_BK, model = check_every_engine(run, [text for text, _ in SEVERAL])
    scores = measured(model).scorer.scores()
    assert model.task.select_by == "f1"
    assert scores["f1"] == scores["exact_match"] == 100
    labels = model.task.target.labels
    given = [",".join(sorted(labels[number] for number in np.flatnonzero(row >= 0.5))) for row in probs_BK]
    assert given == [",".join(sorted(label.split(","))) for _, label in SEVERAL]
    described = model.task.describe(model.task.data(model.columns(None, "train")), [3, 0])
    assert described == ["(no label): sun", "rain,wind: rain and wind"]


def test_a_threshold_decides_which_labels_are_given(tmp_path, cache):
    given = {}
    for threshold in (0.1, 0.9):
        head = f"model.head={{kind: sigmoid, threshold: {threshold}}}"
        recipe = text_recipe(tmp_path / "data", "target.separator=','", head, train=SEVERAL)
        model = Model.load(trained_run(recipe, tmp_path), engine="torch")
        predictions = model.predict_block([text for text, _ in SEVERAL])
        for one in predictions:
            assert one.labels == [
                name for name, chance in zip(one.names, one.probs_K, strict=True) if chance >= threshold
            ]
        given[threshold] = sum(len(one.labels) for one in predictions)
    assert given[0.1] > given[0.9]


@pytest.mark.parametrize(
    ("overrides", "options"),
    [
        (("model.members=2",), {}),
        (("source.missing=mask", "model.embedder={kind: frames, dim: 8, kernel: 4, stride: 2}"), {"missing": True}),
        (("model.embedder={kind: frame-cnn, height: 1, width: 2, filters: [8], dim: 8, vary: {noise: 0.05}}",), {}),
        (
            (
                "source={kind: frames, scaling: common, derive: {pairs: [[1, 0]], origin: 0, differences: 1}}",
                "model.embedder={kind: frames, dim: 8, vary: {warp: 0.2, scale: 0.1, turn: 5}}",
            ),
            {},
        ),
        (("source.scaling=none", "model.encoder={kind: cnn, filters: 6}"), {}),
    ],
)
def test_frames(tmp_path, cache, overrides, options):
    examples = motions(24, **options)
    recipe = frame_recipe(tmp_path / "data", *overrides, "training.epochs=60", train=examples)
    _, model = check_every_engine(trained_run(recipe, tmp_path), [frames for frames, _ in examples])
    assert measured(model).scorer.scores()["accuracy"] == 100
    described = model.task.describe(model.task.data(model.columns(None, "train")), [0])[0]
    assert described == f"{examples[0][1]}: {len(examples[0][0])} frames of 2 channels"


def test_scaling_is_that_of_the_training_split(tmp_path, cache):
    """A test split far away leaves the scaling as it is, and is not scaled by its own."""

    def found(shift):
        recipe = frame_recipe(tmp_path / str(shift), dev=motions(6, 2, shift=shift), test=motions(9, 3, shift=shift))
        model = Model.load(trained_run(recipe, tmp_path), engine="torch")
        embedder = model.engine.network.embedder
        return embedder.mean_D, embedder.deviation_D, measured(model, "test").scorer.scores()["loss"]

    here, far = found(0), found(1000)
    frames = np.concatenate([frames for frames, _ in motions()])
    for mean_D, deviation_D, _ in (here, far):
        np.testing.assert_allclose(mean_D, frames.mean(0), rtol=1e-6)
        np.testing.assert_allclose(deviation_D, frames.std(0), rtol=1e-5)
    assert here[2] < far[2]


@pytest.mark.parametrize("overrides", [(), (baseline("bag-of-words"), FITTED)])
def test_labels_that_training_lacks_are_missed(tmp_path, cache, overrides):
    dev = [("a charming film", "good"), ("dull", "awful"), ("dull", "awful"), ("so so", "great")]
    steps = () if overrides else ("training.epochs=30", "training.patience=9")
    recipe = text_recipe(tmp_path, *overrides, *steps, dev=dev)
    notices = [one.text for one in train(recipe, Store(tmp_path / "runs"), device="cpu") if isinstance(one, Notice)]
    said = "labels in dev that the training data lacks, so that it cannot be right on them: awful, great"
    assert said in notices
    model = Model.load(recipe.name, runs=str(tmp_path / "runs"))
    found = measured(model, "dev")
    assert model.task.unseen(model.task.data(model.columns(None, "dev"))) == ["awful", "great"]
    assert found.right.tolist() == [True, False, False, False]
    assert found.scorer.score().value == 25
    assert found.scorer.score().counts["unknown_labels"] == {"awful": 2, "great": 1}
    rows = list(model.task.error_rows(found.mistakes))
    assert {row[1] for row in rows} == {"awful", "great"}
    assert [row[3] for row in rows] == sorted((row[3] for row in rows), reverse=True)


def test_several_labels_that_training_lacks(tmp_path, cache):
    dev = [("rain", "rain,hail"), ("sun", "fog"), ("sun", "")]
    recipe = text_recipe(tmp_path, "target.separator=','", SIGMOID, "training.epochs=40", train=SEVERAL, dev=dev)
    model = Model.load(trained_run(recipe, tmp_path))
    found = measured(model, "dev")
    assert found.right.tolist() == [False, False, True]
    counts = found.scorer.score().counts
    assert (counts["correct"], counts["gold"], counts["unknown_labels"]) == (1, 3, 2)
    rows = {row[1:3] for row in model.task.error_rows(found.mistakes)}
    assert rows in ({("rain,hail", "rain"), ("fog", "")}, {("hail,rain", "rain"), ("fog", "")})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "target.separator=','",
            "model.head: softmax does not fit, since an example may have several labels. "
            "softmax gives one label; sigmoid several, and goes with target.separator.",
        ),
        (
            SIGMOID,
            "model.head: sigmoid does not fit, since an example has one label. "
            "softmax gives one label; sigmoid several, and goes with target.separator.",
        ),
        ("model.head={kind: crf}", "model.head: crf does not fit, since an example has one label. "),
        (
            "model.head={kind: softmax, tied: true}",
            "model.head.tied: labels are no words, so no word vectors are their output weights. Set tied: false.",
        ),
        (
            "target={kind: labels, separator: ',', ordinal: true}",
            "target.ordinal: is for examples with one label each, and target.separator allows several",
        ),
        (
            "target={kind: tags}",
            "target: the task classification has no target of kind tags. Set target: {kind: labels}.",
        ),
        (
            "task.baselines=[majority, mean-pool]",
            "task.baselines: mean-pool is for frames, and this recipe reads text. Take it out.",
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
        ("model.embedder={kind: frames}", "model.embedder: the source is text, so an embedder of that is needed. "),
        ("source={kind: frames}", "model.embedder: the source is frames, so an embedder of that is needed. "),
        (baseline("mean-pool"), "model.kind: mean-pool is for frames, and this recipe reads text. "),
        (baseline("ngram"), "model.kind: ngram cannot do the task classification. "),
        ("model.pooling=null", "model.pooling: is missing; the task classification needs it. "),
    ],
)
def test_what_cannot_be_meant_together(tmp_path, override, message):
    with pytest.raises(UserErrors) as caught:
        text_recipe(tmp_path, override)
    assert message in str(caught.value)
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize("weights", ["balanced", "{rain: 2}"])
@pytest.mark.parametrize("model", [(), (baseline("bag-of-words"),)])
def test_weights_of_whole_examples_and_several_labels(tmp_path, weights, model):
    """A network weighs each label's loss; nothing balances examples of several labels."""
    overrides = ["target.separator=','", f"task.class_weights={weights}", *(model or [SIGMOID])]
    if weights != "balanced" and not model:
        text_recipe(tmp_path, *overrides)
        return
    with pytest.raises(UserErrors, match=r"task\.class_weights: balances or weighs whole examples"):
        text_recipe(tmp_path, *overrides)


@pytest.mark.parametrize("score", ["f1", "kappa"])
def test_a_score_that_the_task_does_not_have(tmp_path, score):
    with pytest.raises(UserErrors) as caught:
        text_recipe(tmp_path, f"training.select_by={score}")
    assert (
        f"training.select_by: there is no dev score '{score}'. "
        "Scores: accuracy, macro_f1, brier, calibration_error, loss."
    ) in str(caught.value)
    assert caught.value.code == ExitCode.USAGE


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
            "{folder}/train.tsv: target.ordinal: the label 'bad' is no number, so it has no place on a scale. "
            "Set ordinal: false, or give grades such as 1 to 5.",
            65,
        ),
        (
            lambda folder, **more: text_recipe(folder, "target.ordinal=true", **more),
            {"train": [("a", "1"), ("b", "nan")]},
            "{folder}/train.tsv: target.ordinal: the label 'nan' is no number, so it has no place on a scale. "
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
        "Set 'missing: mask' in the recipe's source, or fill the gaps."
    )


def test_text_and_frames_are_not_mistaken_for_each_other(tmp_path, cache):
    with pytest.raises(UserError, match="this recipe reads text, and here is none"):
        prepared(
            text_recipe(
                tmp_path,
                "data.format=ts",
                write=lambda examples: "@dimensions 1\n@classLabel true a b\n@data\n1,2:a\n2,3:b\n",
            )
        )
    file = tmp_path / "train.tsv"
    file.write_text("a\tb\n")
    with pytest.raises(UserError, match="this recipe reads frames, and here are none"):
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
        (text_recipe, ["majority"], (baseline("bag-of-words"), FITTED)),
        (text_recipe, ["bag of 1-2-grams, logistic regression"], (baseline("majority"), FITTED)),
        (text_recipe, [], ("task.baselines=[]",)),
        (text_recipe, ["bag of 1-2-grams, logistic regression"], ("task.baselines=[bag-of-words, bag-of-words]",)),
        (frame_recipe, ["majority", "mean of the frames, logistic regression"], ()),
        (frame_recipe, ["majority"], (baseline("mean-pool"), FITTED)),
        (frame_recipe, ["mean of the frames, logistic regression"], (baseline("majority"), FITTED)),
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
    *_, finished = train(
        frame_recipe(tmp_path / "frames", "source.missing=mask", train=motions(missing=True)),
        Store(tmp_path / "runs"),
        device="cpu",
    )
    assert len(finished.report["baselines"]) == 2
    weighted = ("target.separator=','", SIGMOID, "task.class_weights={rain: 2}")
    *_, finished = train(
        text_recipe(tmp_path / "text", *weighted, train=SEVERAL), Store(tmp_path / "runs"), device="cpu"
    )
    assert [entry["test"]["name"] for entry in finished.report["baselines"]] == ["F1", "F1"]


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
    assert task.target.labels == ["good", "bad"]
    assert task.weights_K.tolist() == pytest.approx([5 / 6, 5 / 4])
    task, _ = prepared(text_recipe(tmp_path, "task.class_weights={bad: 3}", train=TEXTS[:5]))
    assert task.weights_K.tolist() == [1, 3]


@pytest.mark.parametrize("overrides", [("training.epochs=5",), (baseline("bag-of-words"), FITTED)])
def test_a_weight_is_as_if_the_examples_stood_there_so_often(tmp_path, cache, overrides):
    texts = [text for text, _ in TEXTS]

    def of_bad(*more, train):
        recipe = text_recipe(tmp_path / "data", *overrides, *more, "name=weighted", train=train)
        model = Model.load(trained_run(recipe, tmp_path))
        return probabilities(model, texts)[:, model.task.target.labels.index("bad")].mean()

    plain, weighted = of_bad(train=TEXTS), of_bad("task.class_weights={bad: 9}", train=TEXTS)
    assert weighted > plain + 0.02
    if baseline("bag-of-words") in overrides:
        repeated = [example for example in TEXTS for _ in range(9 if example[1] == "bad" else 1)]
        assert of_bad(train=repeated) == pytest.approx(weighted, abs=1e-3)


def test_a_text_over_the_limit_is_cut_and_that_is_said(tmp_path, cache):
    recipe = text_recipe(tmp_path, "data.max_length=3")
    _, columns = prepared(recipe)
    tokenizer = tokenizer_of(recipe.source.tokenizer, None)
    source = columns["train"]["source"]
    assert columns["train"].cut == sum(len(tokenizer.tokenize(text)) > 3 for text, _ in TEXTS) == 4
    assert [source.symbols[number] for number in source.sequence(0)] == ["Good", "movie", ","]
    events = list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    assert "4 train sequences are longer than data.max_length = 3 tokens and were cut to the first 3" in [
        event.text for event in events if isinstance(event, Notice)
    ]
    model = Model.load("tiny", runs=str(tmp_path / "runs"))
    long, short = model.predict_block(["a charming film indeed and more", "a charming film"])
    np.testing.assert_allclose(long.probs_K, short.probs_K, atol=1e-5)
    assert (long.length, short.length) == (6, 3)


def test_a_bag_of_words_reads_a_text_over_the_limit_whole(tmp_path, cache):
    recipe = text_recipe(tmp_path, "data.max_length=3", baseline("bag-of-words"), FITTED)
    _, columns = prepared(recipe)
    assert columns["train"].cut == 0
    events = list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    assert not [event for event in events if isinstance(event, Notice) and "max_length" in event.text]
    model = Model.load("tiny", runs=str(tmp_path / "runs"))
    long, short = model.predict_block(["a charming film indeed and dull", "a charming film"])
    assert (long.length, short.length) == (6, 3)
    assert abs(long.probs_K - short.probs_K).max() > 0.01


def test_pretrained_vectors_are_where_training_starts(tmp_path, cache):
    file = tmp_path / "vectors.txt"
    file.write_text("".join(f"{word} {' '.join(['0.25'] * 12)}\n" for word in ("film", "unheard")))
    vectors = f"model.embedder.vectors={{file: {file}, freeze: true, extend: true}}"
    run = trained_run(text_recipe(tmp_path / "data", vectors), tmp_path)
    file.unlink()
    _, model = check_every_engine(run, [text for text, _ in TEXTS])
    words, table = model.task.source.words, model.engine.network.embedder.words.weight
    assert table[words.id_of("film")].tolist() == table[words.id_of("unheard")].tolist() == [0.25] * 12


def test_labels_are_trimmed(tmp_path, cache):
    task, _ = prepared(text_recipe(tmp_path, train=[("a", "x "), ("b", "x"), ("c", "y")]))
    assert task.target.labels == ["x", "y"]


def test_nothing_to_predict_is_nothing(tmp_path, cache):
    for own in ((), (baseline("bag-of-words"), FITTED)):
        model = Model.load(trained_run(text_recipe(tmp_path / "data", *own), tmp_path))
        assert list(model.predict_block([])) == []
        assert [one.length for one in model.predict(["", "film"])] == [0, 1]
