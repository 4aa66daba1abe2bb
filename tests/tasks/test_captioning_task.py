"""The task captioning: overfit -> save -> load -> same output -> batched = single; attention; scores; baselines; rules."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tiny import trained_run
from tiny_images import BY_HEART, GRID, MODELS, RECIPE, captions_text, image_recipe, pictures, vector_of

from seqcli.data.batch import Side
from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.models.network import Memory
from seqcli.pipeline.model import Model
from seqcli.pipeline.prepare import open_columns
from seqcli.pipeline.writing import options_of
from seqcli.recipe.load import recipe_from_text
from seqcli.tasks.base import new_task
from seqcli.tasks.captioning import CaptionScorer
from seqcli.tasks.writing import Generated, Written


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of each of `MODELS` that knows its images by heart."""
    made = {}

    def run(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = trained_run(image_recipe(folder, *MODELS[name], *BY_HEART), folder)
        return made[name]

    return run


def sources(model):
    """The images of the dev split, and the captions of each."""
    data = model.task.data(model.columns(None, "dev"))
    return [data.raw(row) for row in range(len(data.columns))], [
        data.references(row) for row in range(len(data.columns))
    ]


@pytest.mark.parametrize("name", MODELS)
def test_a_handful_is_learned_by_heart_and_said_again_after_loading(cache, runs, name):
    run = runs(name)
    report = run.report()
    assert report["engine"]["kind"] == "onnx"
    assert report["engine"]["difference"] < 1e-4
    assert report["dev"]["counts"]["right"] >= 17
    images, golds = sources(Model.load(run))
    texts = {}
    for engine in ("onnx", "torch"):
        model = Model.load(run, engine=engine)
        found = list(model.predict(images))
        texts[engine] = [one.text for one in found]
        for image, one in zip(images[:4], found, strict=False):
            (alone,) = model.predict([image])
            assert alone.text == one.text
    assert texts["onnx"] == texts["torch"]
    assert sum(text in [gold.lower() for gold in own] for text, own in zip(texts["onnx"], golds, strict=True)) >= 17


@pytest.mark.parametrize("name", ["input-fed", "grid-attention", "grid-transformer"])
def test_padding_never_changes_a_caption(cache, runs, name):
    """Places past the length, as a batch with a longer sequence has them, whatever is in them."""
    model = Model.load(runs(name), engine="torch")
    task, images = model.task, sources(model)[0][:3]
    side = task.source.side(images)
    if name.startswith("grid"):
        frames = np.concatenate([side.arrays["frames_BTD"], np.full((3, 5, 8), 1e3, np.float32)], axis=1)
        side = Side({"frames_BTD": frames}, side.lengths_B)
    options = options_of(model)
    padded = task.generate(model.engine, side, images, options, attention=True)
    for image, one in zip(images, padded, strict=True):
        (alone,) = task.generate(model.engine, task.source.side([image]), [image], options)
        assert (alone.text, one.text) == (one.text, alone.text)
        assert alone.hypotheses[0].log_prob == pytest.approx(one.hypotheses[0].log_prob, abs=1e-4)


@pytest.mark.parametrize("engine", ["onnx", "torch"])
@pytest.mark.parametrize("name", ["grid-attention", "grid-transformer"])
def test_attention_over_the_grid_sums_to_one(cache, runs, name, engine):
    model = Model.load(runs(name), engine=engine)
    task, images = model.task, sources(model)[0]
    found = task.generate(model.engine, task.source.side(images), images, options_of(model), attention=True)
    for one in found:
        looked_TS = one.hypotheses[0].attention_TS
        assert looked_TS.shape[1] == 4
        np.testing.assert_allclose(looked_TS.sum(1), 1, atol=1e-5)
        assert (looked_TS >= 0).all()


def test_the_hypothesis_most_like_the_captions_of_near_images_comes_first(cache, tmp_path):
    recipe = image_recipe(tmp_path, "task.beam=6", "task.rerank=2", "training.epochs=4", "task.baselines=[]")
    model = Model.load(trained_run(recipe, tmp_path))
    task, images = model.task, sources(model)[0]
    found = task.generate(model.engine, task.source.side(images), images, options_of(model, best=6))
    unlike_the_search = 0
    for image, one in zip(images, found, strict=True):
        scores = [text.score for text in one.hypotheses]
        assert scores == sorted(scores, reverse=True)
        agreement = task.reranker.agreement(image[0], [text.text for text in one.hypotheses], 2)
        np.testing.assert_allclose(scores, agreement)
        unlike_the_search += one.hypotheses[0].log_prob < max(text.log_prob for text in one.hypotheses)
        (alone,) = model.predict([image])
        assert alone.hypotheses == one.hypotheses[:1]
    assert unlike_the_search
    (run,) = [path for path in tmp_path.rglob("captions.safetensors")]
    run.unlink()
    with pytest.raises(UserError, match=r"captions\.safetensors"):
        Model.load(str(run.parent))


def test_an_image_is_kept_once_and_each_of_its_captions_is_trained_on(cache, tmp_path):
    recipe = image_recipe(tmp_path)
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    data = task.data(columns)
    assert (len(columns), len(data.lengths)) == (18, 36)
    seen = np.concatenate(list(data.training_order(recipe.training.batch, seed=1, epoch=0)))
    assert sorted(seen.tolist()) == list(range(36))
    batch = data.batch(np.array([0, 1, 35]))
    np.testing.assert_array_equal(batch.source.arrays["vector_BD"][0], batch.source.arrays["vector_BD"][1])
    written = [
        task.target.text(ids[: length - 1])
        for ids, length in zip(batch.target.arrays["ids_BT"], batch.target.lengths_B, strict=True)
    ]
    assert written == [data.references(0)[0].lower(), data.references(0)[1].lower(), data.references(17)[1].lower()]


def test_the_scaling_is_that_of_the_training_images_alone(cache, tmp_path):
    recipe = image_recipe(tmp_path)
    (tmp_path / "train.txt").write_text(captions_text(pictures()[:5]))
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train", "dev"))
    task.fit(columns["train"])
    own = np.stack([vector_of(name) for name, _ in pictures()[:5]])
    mean, deviation = task.source.scaling
    np.testing.assert_allclose(mean, own.mean(0), atol=1e-5)
    np.testing.assert_allclose(deviation, own.std(0), rtol=1e-4)


def test_features_of_another_width_are_refused_and_both_are_said(cache, runs):
    model = Model.load(runs("state"))
    with pytest.raises(UserError, match="vectors of 5 values, but the model was trained on vectors of 8") as caught:
        list(model.predict([np.zeros(5, np.float32)]))
    assert caught.value.code == ExitCode.DATA
    with pytest.raises(UserError, match="4 vectors for one picture"):
        list(model.predict([np.zeros((4, 8), np.float32)]))


def test_all_references_count_and_case_does_not():
    scorer = CaptionScorer("bleu")
    golds = [["A dog runs on the grass", "The dog is out"], ["Two cats sleep on a red sofa"]]
    found = [Generated(None, [Written.plain(text)]) for text in ("the dog is out", "two cats sleep on a red sofa")]
    assert list(scorer.add(golds, found)) == [True, True]
    score = scorer.score()
    assert (score.name, round(score.value, 6)) == ("BLEU-4", 100)
    assert "case:lc" in score.signature
    assert "tok:none" in score.signature
    assert {one["name"] for one in score.counts["also"]} == {
        "CIDEr-D",
        "ROUGE-L",
        "exact match",
        "BLEU-1",
        "BLEU-2",
        "BLEU-3",
    }


def test_baselines_stand_in_the_report_and_are_compared(cache, tmp_path):
    recipe = image_recipe(tmp_path, "training.max_steps=2", "training.select_by=cider")
    report = trained_run(recipe, tmp_path).report()
    assert [one["model"] for one in report["baselines"]] == [
        "random training caption",
        "nearest neighbour",
        "consensus of 25 neighbours",
    ]
    for one in report["baselines"]:
        assert one["dev"]["paired"]["metric"] == "CIDEr-D"
        mine = next(s for s in [report["dev"], *report["dev"]["counts"]["also"]] if s["name"] == "CIDEr-D")["value"]
        assert one["dev"]["paired"]["difference"] == pytest.approx(mine - one["dev"]["value"])


@pytest.mark.parametrize("kind", ["random-caption", "nearest-caption", "consensus-caption"])
def test_a_baseline_is_a_model_like_any_other(cache, tmp_path, kind):
    recipe = image_recipe(tmp_path, f"model={{kind: {kind}}}", "training={seed: 3}")
    run = trained_run(recipe, tmp_path)
    model = Model.load(run)
    images, golds = sources(model)
    found = [one.text for one in model.predict(images)]
    assert found == [one.text for image in images for one in model.predict([image])]
    everything = {caption.lower() for _, captions in pictures() for caption in captions}
    assert {text.lower() for text in found} <= everything
    if kind == "nearest-caption":
        assert [text.lower() for text in found] == [own[0].lower() for own in golds]  # dev has the training images


def test_a_caption_is_shown_as_text_and_as_json(cache, runs):
    model = Model.load(runs("state"), engine="torch")
    (one,) = model.predict([vector_of("red-dog-on.jpg")])
    assert model.task.writer("lines")([one]) == f"{one.text}\n"
    document = json.loads(model.task.writer("jsonl")([one]))
    assert document["captions"][0]["text"] == one.text
    assert document["captions"][0]["tokens"] == one.text.split()


def test_ln_p_of_a_caption_is_the_loss(cache, runs):
    model = Model.load(runs("input"), engine="torch")
    data = model.task.data(model.columns(None, "dev"))
    rows = np.arange(4)
    batch = data.batch(rows)
    with torch.no_grad():
        loss = model.engine.network.loss(batch, Memory())
    targets = [ids[:length] for ids, length in zip(batch.target.arrays["ids_BT"], batch.target.lengths_B, strict=True)]
    assert -sum(map(np.sum, model.engine.score(batch.source, targets))) == pytest.approx(float(loss.sum), abs=1e-3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model.embedder={kind: tokens, dim: 12}",), "an embedder of that is needed"),
        (("source.kind=grid",), "an embedder of that is needed"),
        (("source={kind: text}",), "does not read text"),
        (("target={kind: labels}",), "no target of kind labels"),
        (("target.share=source",), "neither tokenizer nor vocabulary"),
        (("model.tied=all",), "no vocabulary that the target could share"),
        (("model.head={kind: crf}",), "cannot write text"),
        (("model.decoder=null",), "is missing"),
        (("model={kind: majority}",), "cannot do the task captioning"),
        ((*GRID, "model.decoder={kind: lstm, dim: 16, attention: dot}"), "dot compares vectors of 12 and of 16"),
        (("task.beam=1", "task.rerank=5"), "there is nothing to choose from"),
        (("training.select_by=f1",), "there is no dev score 'f1'"),
    ],
)
def test_what_cannot_stand_together_is_said_before_any_data_is_read(overrides, message):
    with pytest.raises(UserErrors) as caught:
        new_task(recipe_from_text(RECIPE, overrides=overrides).recipe)
    assert message in str(caught.value)
