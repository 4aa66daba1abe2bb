"""Every recipe that comes with seqcli is valid and trains: a few steps on a tiny corpus in the format of its data."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import tiny_classes
import tiny_images
import tiny_speech
from tiny_corpus import SENTENCES, conll, conllu
from tiny_pairs import pairs, write_pairs
from tiny_series import hours, wave, write_table

from seqcli.data import catalogue
from seqcli.data.series import Series
from seqcli.decode.sampling import SamplingOptions
from seqcli.errors import ExitCode, UserError
from seqcli.pipeline.events import Evaluated, Finished, Prepared
from seqcli.pipeline.language import load_language_model
from seqcli.pipeline.model import Model
from seqcli.pipeline.sample import grow
from seqcli.pipeline.score import LineScorer
from seqcli.pipeline.train import train
from seqcli.pipeline.word_vectors import model_vectors
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Store

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def inline(sentences=SENTENCES, separator="/"):
    return "".join(
        " ".join(f"{word}{separator}{tag}" for word, tag in zip(words.split(), tags.split(), strict=True)) + "\n"
        for words, tags in sentences
    )


def plain_lines(count=60):
    """Enough text for a few batches, the same every time, with blank lines as in a running text."""
    words = [word for words, _ in SENTENCES for word in words.split()]
    chance = random.Random(3)
    return "".join(
        " ".join(chance.choices(words, k=chance.randint(1, 9))) + "\n" * chance.choice((1, 1, 2)) for _ in range(count)
    )


def records():
    return "written by hand\n\n" + "".join(
        f"X:{number}\nK:C\n{line}|\n\n" for number, line in enumerate(plain_lines(30).split("\n"), 1) if line
    )


def jsonl():
    return "".join(json.dumps({"book": "A", "text": line}) + "\n" for line in plain_lines().split("\n") if line)


def graded(write):
    """Lines of text with grades as labels, which are labels like any other where no scale is meant."""
    lines = [line for line in plain_lines().split("\n") if line]
    return write([(line, "352"[number % 3]) for number, line in enumerate(lines)])


WRITE = {
    "conll": conll,
    "conllu": conllu,
    "inline": inline,
    "lines": plain_lines,
    "records": records,
    "jsonl": jsonl,
    "tsv": lambda: graded(tiny_classes.tsv),
    "labelled": lambda: graded(tiny_classes.labelled),
    "ts": lambda: tiny_classes.ts(tiny_classes.motions(30)),
}


CHANNELS = {"utd-mhad-skeleton": 60, "utd-mhad-inertial": 6, "utd-mhad-depth": 24 * 32, "an4-mfcc": 13}
"""Those of the data that a recipe's joints and pictures are of."""


def smaller(recipe):
    """Overrides that cut the sizes of a network down; a model that is fitted in one go is quick as it is."""
    if recipe.task.kind == "word-vectors":
        return ["model.dim=8", "training.epochs=2", "source.vocabulary.min_count=1"]
    if recipe.task.kind == "forecasting":
        return smaller_forecaster(recipe)
    if recipe.task.kind == "imputation":
        sizes = ["task.steps=12", "task.block=3", "task.rounds=10", "model.embedder.dim=8", "model.encoder.dim=8"]
        return [*sizes, "training.max_steps=3", "training.evaluate_every=3", "training.batch.per_epoch=0"]
    if recipe.model.kind == "encoder-decoder":
        decoder = [f"model.{name}.dim=8" for name in ("embedder", "encoder", "decoder") if dict(recipe.model)[name]]
        return [*decoder, "training.max_steps=3", "training.evaluate_every=3", "training.batch.per_epoch=0"]
    if recipe.model.kind != "network":
        return []
    size = "filters" if recipe.model.encoder.kind == "cnn" else "dim"
    sizes = [f"model.encoder.{size}=8"] + ["model.embedder.dim=8"] * (recipe.model.embedder.kind != "one-hot")
    if getattr(recipe.model.encoder, "sizes", None):
        sizes = [*sizes[1:], f"model.encoder.sizes={[8] * len(recipe.model.encoder.sizes)}"]
    return [*sizes, "training.max_steps=3", "training.evaluate_every=3"]


def smaller_forecaster(recipe):
    model = recipe.model
    sizes = [
        f"model.{name}.dim=8"
        for name in ("embedder", "encoder", "decoder")
        if dict(dict(model).get(name) or ()).get("dim")
    ]
    if model.embedder.segment > 1:
        sizes.append("model.embedder.segment=4")
    steps = min(recipe.task.steps, 4)
    horizon = [] if recipe.task.horizon is None else [f"task.horizon={min(recipe.task.horizon, 6)}"]
    training = [
        "training.max_steps=3",
        "training.min_steps=0",
        "training.evaluate_every=3",
        "training.batch.per_epoch=0",
    ]
    return ["task.look_back=12", f"task.steps={steps}", *horizon, "task.season=4", *sizes, *training]


def series_files(folder, recipe, form):
    """Overrides that name a tiny table of series, divided by time as in the recipe or in files of their own."""
    names = recipe.source.columns or [f"c{number}" for number in range(2)]
    names = [*dict.fromkeys([*names, *(recipe.target.columns or [])])]
    times = {"times": hours(60)} if recipe.source.calendar or form == "series" else {}
    gaps = recipe.task.kind == "imputation"
    for split in ("train", "dev", "test"):
        path = folder / f"{split}.csv"
        if form == "series-rows":
            waves = (wave(60, seed=number).round(3).astype(str) for number in range(4))
            path.write_text("".join(",".join([f"{split}{number}", *row]) + "\n" for number, row in enumerate(waves)))
        else:
            waves = {name: wave(60, seed=number).round(3) for number, name in enumerate(names)}
            for number, values in enumerate(waves.values() if gaps else ()):
                values[number::9] = np.nan
            write_table(path, {**times, **waves})
    files = [f"data.train={folder / 'train.csv'}", "data.frequency=1 hour", f"data.format={form}"]
    files.append("data.corpus=null" if gaps else "data.columns=null")
    for split in ("dev", "test"):
        by_time = dict(recipe.data)[f"{split}_steps"] is not None
        files.append(f"data.{split}_steps=8" if by_time else f"data.{split}={folder / f'{split}.csv'}")
    return [*files, *(["data.train_steps=40"] if recipe.data.train_steps else [])]


@pytest.fixture
def one_recipe(request, tmp_path, cache):
    """The recipe of a file with small sizes and other data; all else is what it says."""
    path = request.param
    plain = load_recipe(path).recipe
    assert plain.name == path.stem
    assert plain.description
    entry = catalogue.data_set(plain.data.corpus) if plain.data.corpus else None
    form = plain.data.format or (entry.format if entry else "conll")
    if plain.task.kind in ("forecasting", "imputation"):
        return load_recipe(path, [*series_files(tmp_path, plain, form), *smaller(plain)]).recipe
    if plain.task.kind == "transcription":
        write = tiny_speech.write_sounds if form == "manifest" else tiny_speech.write_joined
        files = [f"data.{split}={write(tmp_path, split)}" for split in ("train", "dev", "test")]
        return load_recipe(path, [*files, f"data.format={form}", *smaller(plain)]).recipe
    if plain.task.kind == "captioning":
        grid = plain.source.kind == "grid"
        images = tiny_images.write_images(tmp_path, [name for name, _ in tiny_images.pictures()], grid=grid)
        (tmp_path / "tiny.txt").write_text(tiny_images.captions_text(tiny_images.pictures()))
        files = [f"data.{split}={tmp_path / 'tiny.txt'}" for split in ("train", "dev", "test")]
        return load_recipe(path, [*files, f"data.images={images}", "data.format=captions", *smaller(plain)]).recipe
    if plain.task.kind == "translation":
        write_pairs(tmp_path / "tiny.tsv", pairs(60))
        files = [f"data.{split}={tmp_path / 'tiny.tsv'}" for split in ("train", "dev", "test")]
        return load_recipe(
            path, [*files, "data.format=tsv", "data.columns={source: 0, target: 1}", *smaller(plain)]
        ).recipe
    file = tmp_path / f"tiny.{form}"
    options = {"separator": plain.data.separator or (entry and entry.separator) or "/"} if form == "inline" else {}
    if form == "npz":
        text = tiny_classes.npz(tmp_path, tiny_classes.motions(30, channels=CHANNELS[plain.data.corpus]))
    else:
        text = WRITE[form](**options)
    file.write_text(text, encoding="utf-8")
    files = [f"data.{split}={file}" for split in ("train", "dev", "test")]
    return load_recipe(path, [*files, f"data.format={form}", *smaller(plain)]).recipe


@pytest.mark.parametrize("one_recipe", RECIPES, ids=lambda path: path.stem, indirect=True)
def test_a_recipe_trains_and_is_used(one_recipe, tmp_path):
    recipe = one_recipe
    assert recipe.training.batch.tokens >= getattr(recipe.task, "bptt", 1), "a batch takes no window"
    events = list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    finished = events[-1]
    assert isinstance(finished, Finished)
    if recipe.training.max_steps is not None:  # a network
        *_, evaluated = (event for event in events if isinstance(event, Evaluated))
        assert recipe.training.select_by is None or recipe.training.select_by in evaluated.scores
        assert finished.report["steps"] == evaluated.step >= 1
    else:
        assert [type(event) for event in events] == [Prepared, Finished]
    run = Store(tmp_path / "runs").resolve(recipe.name)
    USE[recipe.task.kind](run, finished.report)


def tag(run, report):
    """Every engine tags each token, and the graph is the network's to rounding."""
    assert report["engine"]["kind"] == "onnx"
    assert report["engine"]["difference"] < 1e-4
    sentences = [words.split() for words, _ in SENTENCES]
    for engine in ("onnx", "torch"):
        tagged = Model.load(run, engine=engine).predict_block(sentences)
        assert [len(one.tags) for one in tagged] == [len(words) for words in sentences]


def sample_and_score(run, report):
    """What it samples it can score, and says the same of it; the report has a score and the floor asked for."""
    model = load_language_model(run)
    for split in ("dev", "test"):
        assert report[split]["name"] == "perplexity"
        assert 1 < report[split]["value"] < 3 * len(model.vocabulary)
    assert ("baselines" in report) == (load_recipe(run.recipe_path).recipe.task.floor is not None)
    *_, drawn = grow(model, options=SamplingOptions(), max_tokens=40, seed=4)
    assert model.engine.score([np.array(drawn.ids)])[0] == pytest.approx(drawn.log_probs, abs=1e-4)
    lines = ["Paris is big", "", "unseen \u263a"]
    scored = LineScorer(model).score(lines)
    assert [line.text for line in scored] == lines
    assert all(line.log_prob < 0 for line in scored)


def classify(run, report):
    """It gives each text, or each sequence of frames, a label it knows; the report compares it with the baselines."""
    model = Model.load(run)
    source = model.task.source
    sources = ["Paris is big", "", "unseen \u263a"]
    if source.unit == "frames":
        sources = [frames for frames, _ in tiny_classes.motions(3, channels=source.raw(source.channels))]
    predictions = model.predict_block(sources)
    assert all(one.labels[0] in model.task.target.labels for one in predictions)
    np.testing.assert_allclose([one.probs_K.sum() for one in predictions], 1, atol=1e-5)
    assert len(model.task.target.labels) == 3  # the catalogue may give them other names
    assert len(report["baselines"]) == (2 if model.task.is_network else 1)
    for entry in report["baselines"]:
        assert entry["test"]["counts"]["total"] == report["test"]["counts"]["total"]


def translate(run, report):
    """Every engine writes the same, and the scores stand with their signatures."""
    assert report["engine"]["kind"] in ("onnx", "ctranslate2")
    assert report["engine"]["difference"] < 1e-3
    assert {one["name"] for one in report["test"]["counts"]["also"]} & {"chrF2", "token error rate"}
    sources = [source for source, _ in pairs(5)]
    found = [[one.text for one in Model.load(run, engine=name).predict(sources)] for name in ("auto", "torch")]
    assert report["engine"]["precision"] == "int8" or found[0] == found[1]


def caption(run, report):
    """Every engine writes the same, and baselines stand beside it."""
    assert report["engine"]["difference"] < 1e-4
    assert [entry["section"]["kind"] for entry in report["baselines"]] == [
        "random-caption",
        "nearest-caption",
        "consensus-caption",
    ]
    make = tiny_images.grid_of if load_recipe(run.recipe_path).recipe.source.kind == "grid" else tiny_images.vector_of
    images = [make(name) for name, _ in tiny_images.pictures()[:4]]
    found = [[one.text for one in Model.load(run, engine=name).predict(images)] for name in ("auto", "torch")]
    assert report["engine"]["precision"] == "int8" or found[0] == found[1]


def neighbors(run, report):
    vectors = model_vectors(run, Store(run.path.parents[1]))
    assert vectors.matrix.shape == (len(vectors.words), 8)
    assert len(vectors.neighbors("paris", 3)) == 3


def transcribe(run, report):
    """The graph is the network's to rounding, and error rates stand beside those of the most frequent transcript."""
    assert report["engine"]["kind"] == "onnx"
    assert report["engine"]["difference"] < 1e-4
    assert report["test"]["name"] == "WER"
    assert [entry["model"] for entry in report["baselines"]] == ["most frequent transcript"]
    model = Model.load(run, engine="torch")
    frames = np.random.default_rng(1).normal(size=(60, model.task.source.channels)).astype(np.float32)
    (one,) = model.predict([frames])
    assert len(one.words) == len(one.text.split())


def forecast(run, report):
    """Every engine says the same of what comes next, and baselines stand beside it."""
    assert report["engine"]["difference"] < 1e-4
    assert {entry["model"] for entry in report["baselines"]} >= {"last value", "linear"}
    for engine in ("onnx", "torch"):
        model = Model.load(run, engine=engine)
        field = model.task.source
        values = np.stack([wave(40, seed=number) for number in range(len(field.columns))], 1)
        name = next(iter(field.names))
        (one,) = model.predict([Series(name, tuple(field.columns), values, hours(40), "1 hour")])
        assert one.values_KM.shape == (model.task.horizon, len(field.targets))
        assert np.isfinite(one.values_KM).all()


def impute(run, report):
    """Every engine fills the same, and the report has all baselines and all ways to hide."""
    assert report["engine"]["kind"] == "onnx"
    assert report["engine"]["difference"] < 1e-4
    assert [entry["section"]["kind"] for entry in report["baselines"]] == ["last-value", "interpolation", "median"]
    assert {"10% of points", "50% of points"} <= {*report["test"]["counts"]["hidden"]}
    field = Model.load(run).task.source
    values = np.stack([wave(40, seed=number) for number in range(len(field.columns))], 1)
    values[5:9] = np.nan
    series = Series("x", tuple(field.columns), values, hours(40).astype("datetime64[ms]"), "1 hour")
    found = [next(Model.load(run, engine=name).predict([series])) for name in ("auto", "torch")]
    assert not np.isnan(found[0].values_TM).any()
    np.testing.assert_allclose(found[0].values_TM, found[1].values_TM, rtol=1e-4)


USE = {
    "imputation": impute,
    "forecasting": forecast,
    "transcription": transcribe,
    "tagging": tag,
    "language-model": sample_and_score,
    "classification": classify,
    "translation": translate,
    "captioning": caption,
    "word-vectors": neighbors,
}


def test_there_are_recipes_of_every_task():
    assert {load_recipe(path).recipe.task.kind for path in RECIPES} == set(USE)


def test_where_it_was_trained_does_not_stop_a_model_but_what_it_opens_does(tmp_path, cache):
    """Data anywhere on the disk is a record; a tokenizer's model outside the run's folder is refused."""
    file = tmp_path / "mine.conll"
    file.write_text(conll(), encoding="utf-8")
    recipe = load_recipe("ner", [f"data={{train: {file}}}", "training.max_steps=1", "model.encoder.dim=4"]).recipe
    list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    run = Store(tmp_path / "runs").resolve("ner")
    assert Model.load(run).task.recipe.data.train == str(file)
    text = run.recipe_path.read_text(encoding="utf-8")
    files = [path.name for path in run.path.iterdir() if path.suffix in (".txt", ".safetensors", ".onnx")]
    assert "kind: words" in text
    run.recipe_path.write_text(
        text.replace("kind: words", "{kind: sentencepiece, model: /etc/passwd}", 1)
        if "{kind: words" in text
        else text.replace("kind: words", "kind: sentencepiece\n    model: /etc/passwd", 1)
    )
    run.seal(["recipe.yaml", "report.json", "environment.json", *files])
    with pytest.raises(UserError, match=r"source\.tokenizer\.model: a path out of the model's folder") as caught:
        Model.load(run)
    assert caught.value.code == ExitCode.DATA
