"""A model fitted in one go beside a network: what both say is mixed, and the share is the best one on dev."""

import numpy as np
import pytest
import tiny_corpus
import tiny_text
from tiny import trained_run
from tiny_classes import SEVERAL, SIGMOID, TEXTS, frame_recipe, text_recipe

from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.pipeline.model import Model
from seqcli.store.manifest import read_manifest
from seqcli.store.weights import load_arrays, save_arrays
from seqcli.tasks.mixture import Mixture, best_shares

BAG = "model.beside=[{kind: bag-of-words, naive_bayes: true}]"
COUNTS = "model.beside=[{kind: ngram, order: 2}, {kind: ngram, order: 3}]"
ITEMS = [*(text for text, _ in TEXTS), "a word never seen", "film"]


def probs(model, items=ITEMS):
    return np.array([one.probs_K for one in model.predict(items)])


@pytest.mark.parametrize("several", [False, True])
def test_a_classifier_and_a_bag(tmp_path, cache, several):
    more = {"train": SEVERAL} if several else {}
    overrides = ("target.separator=','", SIGMOID) if several else ()
    run = trained_run(text_recipe(tmp_path / "data", BAG, *overrides, **more), tmp_path)
    model, torch = Model.load(run), Model.load(run, engine="torch")
    mixed = model.engine
    assert isinstance(mixed, Mixture)
    share = mixed.shares[1]
    assert mixed.shares == pytest.approx([1 - share, share])
    network = Model(model.name, model.task, mixed.network)
    counts = Model("bag", model.task.beside()[0], mixed.counts[0])
    np.testing.assert_allclose(probs(model), (1 - share) * probs(network) + share * probs(counts), rtol=0, atol=1e-6)
    np.testing.assert_allclose(probs(torch), probs(model), rtol=0, atol=0.05)
    about = run.report()["beside"]
    assert [one["model"] for one in about] == ["network", "bag of 1-2-grams, logistic regression"]
    assert [one["share"] for one in about] == mixed.shares
    dev = model.columns(None, "dev")
    losses = {
        name: one.task.measure(one.engine, one.task.data(dev)).scorer.scores()["loss"]
        for name, one in (("mixed", model), ("network", network), ("beside", counts))
    }
    assert losses["mixed"] <= min(losses["network"], losses["beside"]) + 1e-4
    if not several:
        assert [one["dev_loss"] for one in about] == pytest.approx([losses["network"], losses["beside"]], abs=1e-4)


def test_a_language_model_and_counts(tmp_path, cache):
    for unit in ("sentences", "stream"):
        recipe = tiny_text.text_recipe(tmp_path / unit, COUNTS, f"task.unit={unit}", f"name={unit}")
        model = Model.load(trained_run(recipe, tmp_path))
        mixed, ids = model.engine, np.array([3, 4, 2, 5, 3])
        steppers = [one.stepper() for one in (mixed.network, *mixed.counts)]
        both, shares = mixed.stepper(), np.array(mixed.shares)
        assert len(shares) == 3
        assert shares.sum() == pytest.approx(1)
        each = np.exp([stepper.score([ids])[0] for stepper in steppers])
        together = np.exp(both.score([ids])[0])
        np.testing.assert_allclose(together, shares @ each, rtol=1e-6)
        log_probs, state = both.start(2)
        np.testing.assert_allclose(np.exp(log_probs).sum(1), 1, rtol=1e-5)
        log_probs, _ = both.read(np.array([[3], [4]]), both.select(state, np.array([1, 0])))
        assert np.exp(log_probs[0, 4]) == pytest.approx(together[1], rel=1e-5)


def test_no_shares_are_better():
    chance = np.random.default_rng(1)
    log_probs_MN = np.log(chance.uniform(0.01, 1, (3, 400)))
    shares = np.array(best_shares([*log_probs_MN]))
    assert shares.sum() == pytest.approx(1)

    def likelihood(some):
        return np.log(some @ np.exp(log_probs_MN)).mean()

    assert all(likelihood(shares) >= likelihood(other) - 1e-7 for other in chance.dirichlet([1, 1, 1], 2000))
    assert best_shares([log_probs_MN[0], log_probs_MN[0] - 1]) == pytest.approx([1, 0], abs=1e-3)
    impossible = np.append(log_probs_MN, [[-np.inf]] * 3, axis=1)
    assert best_shares([*impossible]) == best_shares([*log_probs_MN])
    assert best_shares([np.zeros(0), np.zeros(0)]) == [0.5, 0.5]


def test_without_dev_each_has_the_same_share(tmp_path, cache):
    recipe = text_recipe(tmp_path / "data", BAG, "data.dev=null")
    about = trained_run(recipe, tmp_path).report()["beside"]
    assert [one["share"] for one in about] == [0.5, 0.5]
    assert not any("dev_loss" in one for one in about)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (None, "missing"),
        ({"shares": np.array([0.5, 0.6])}, "the shares of 2 models are [0.5, 0.6]"),
        ({"shares": np.array(0.5)}, "the shares of 2 models are 0.5"),
        ({"1.words": np.zeros(3)}, "'1.words' belongs to no model of the recipe"),
    ],
)
def test_a_file_that_does_not_belong_to_the_network(tmp_path, cache, change, expected):
    run = trained_run(text_recipe(tmp_path / "data", BAG), tmp_path)
    if change is None:
        run.beside_path.unlink()
    else:
        save_arrays(run.beside_path, load_arrays(run.beside_path) | change)
        run.seal(read_manifest(run.path).files)
    with pytest.raises(UserError) as caught:
        Model.load(run)
    assert caught.value.code == ExitCode.DATA
    assert f"beside.safetensors: {expected}" in str(caught.value)


@pytest.mark.parametrize(
    ("recipe", "override", "message"),
    [
        (
            text_recipe,
            COUNTS,
            "a network for classification of text has no ngram beside it. Leave it out, or take bag-",
        ),
        (frame_recipe, BAG, "a network for classification of frames has no bag-of-words beside it"),
        (tiny_text.text_recipe, BAG, "a network for language-model of text has no bag-of-words beside it"),
        (tiny_corpus.tiny_recipe, BAG, "a network for tagging of text has no bag-of-words beside it. Leave it out."),
        (text_recipe, "model.beside=[{kind: majority}]", "unknown beside 'majority'. Known: bag-of-words, ngram"),
    ],
)
def test_what_has_no_place_there(tmp_path, recipe, override, message):
    with pytest.raises(UserErrors) as caught:
        recipe(tmp_path, override)
    assert message in str(caught.value)
