"""A recipe on data much smaller than its own: what is adapted, what ends a training, what is said of a poor model."""

import json
import random
import re

import pytest
from tiny import NAMES

from seqcli.recipe.load import load_recipe

SPLITS = ("train", "dev", "test")


@pytest.fixture
def sixty(place):
    """Sixty sentences to train on, twenty to measure on."""
    chance = random.Random(7)
    for split, count in zip(SPLITS, (60, 20, 20), strict=True):
        sentences = []
        for _ in range(count):
            (first, label), (second, other) = chance.choices(NAMES, k=2)
            sentences.append(f"{first}\tB-{label}\nsaw\tO\n{second}\tB-{other}\n.\tO\n")
        (place / f"{split}.conll").write_text("\n".join(sentences))
    return place


FILES = "data={train: train.conll, dev: dev.conll, test: test.conll}"
SMALL = ("model.encoder.dim=16", "model.embedder.characters=null")
ADAPTED = re.compile(r"adapted to little data: (.*) \(off: training\.batch\.per_epoch=0, training\.min_steps=0\)\n")


def train(seqcli, recipe, *changes):
    words = [word for change in (FILES, *changes) for word in ("--set", change)]
    return seqcli("train", recipe, *words)


def report(folder):
    return json.loads((folder / "report.json").read_text())


def test_sixty_sentences_make_a_tagger(sixty, seqcli):
    """One step an epoch and a patience of six evaluations used to end in F1 0."""
    done = train(seqcli, "ner", *SMALL)
    assert done.code == 0, done.err
    assert ADAPTED.search(done.err)[1] == (
        "training.batch.tokens 1,024 -> 32, training.epochs 30 -> 63, training.evaluate_every 8 -> 12"
    )
    made = report(sixty / "runs" / "ner" / "1")
    assert made["test"]["value"] > 95
    assert made["steps"] >= 500
    kept = load_recipe(sixty / "runs" / "ner" / "1" / "recipe.yaml").recipe.training
    assert (kept.batch.tokens, kept.epochs) == (32, 63)
    assert re.search(r"\nmost frequent tag: F1 = \d+\.\d\d\n", done.out)
    assert "warning" not in done.err


def test_explicit_values_switch_it_off_and_a_score_of_zero_is_said(sixty, seqcli):
    off = ("training.batch.per_epoch=0", "training.min_steps=0", "training.patience_steps=0", "training.epochs=2")
    done = train(seqcli, "ner", *SMALL, *off)
    assert "adapted" not in done.err
    assert report(sixty / "runs" / "ner" / "1")["steps"] == 2
    assert (
        "warning: test F1 is 0: nothing that counts was learned. Train longer (training.min_steps), or give it more "
        "data; 'seqcli data lint' looks for faults in it\n"
    ) in done.err


def test_patience_waits_until_the_score_moves_and_then_counts_steps(sixty, seqcli):
    # no rate, no movement: the score stays where it is, and patience has nothing to wait for
    still = ("training.optimizer.lr=1e-12", "training.min_steps=0", "training.patience=2", "training.epochs=12")
    done = train(seqcli, "ner", *SMALL, *still, "training.select_by=f1", "training.patience_steps=0")
    assert "stopped" not in done.err
    assert report(sixty / "runs" / "ner" / "1")["evaluations"] == 12
    moving = ("training.min_steps=0", "training.patience=2", "training.patience_steps=50", "training.epochs=60")
    done = train(seqcli, "ner", *SMALL, *moving)
    said = re.search(
        r"stopped at step (\d+): no better F1 in (\d+) evaluations \((\d+) steps\); the best was step (\d+)\n", done.err
    )
    step, waited, steps, best = map(int, said.groups())
    assert waited >= 2
    assert steps >= 50
    assert step - best == steps


def test_time_that_is_over_is_said(sixty, seqcli):
    done = train(seqcli, "ner", *SMALL, "training.max_minutes=0.0001")
    assert re.search(
        r"\nstopped at step \d+: training\.max_minutes = 0\.0001 are over; the best was step \d+\n", done.err
    )


def test_an_interrupted_training_of_little_data_goes_on_with_the_same_adapted_recipe(sixty, seqcli, monkeypatch):
    from seqcli.errors import ExitCode
    from seqcli.pipeline import train as pipeline
    from seqcli.pipeline.estimators import Interrupted
    from seqcli.store.runs import Store

    recipe = load_recipe("ner", [FILES, *SMALL]).recipe
    steps = iter(range(100))
    with pytest.raises(Interrupted):
        for _ in pipeline.train(
            recipe, Store(None), should_stop=lambda: ExitCode.INTERRUPTED if next(steps) > 20 else None
        ):
            pass
    changed = train(seqcli, "ner", *SMALL, "training.min_steps=900")
    assert changed.code == 0  # a new training: nothing is resumed without being asked
    refused = seqcli("train", "ner", "--set", FILES, *_sets(*SMALL, "training.min_steps=900"), "--resume")
    assert refused.code == 2
    assert "the recipe changed" in refused.err


def _sets(*changes):
    return [word for change in changes for word in ("--set", change)]


def test_a_model_worse_than_its_baseline_says_so_with_the_remedy(place, seqcli):
    chance = random.Random(3)
    words = {"good": ["fine", "great"], "bad": ["dull", "poor"]}
    for split in SPLITS:
        lines = [(label, chance.choice(words[label])) for label in ("good", "bad") * 15]
        (place / f"{split}.jsonl").write_text(
            "".join(json.dumps({"text": f"a {word} film", "label": label}) + "\n" for label, word in lines)
        )
    data = "data={train: train.jsonl, dev: dev.jsonl, test: test.jsonl}"
    done = seqcli(
        "train",
        "sentiment-window",
        *_sets(data, "source.vocabulary.min_count=1", "training.max_steps=2", "training.optimizer.lr=1e-9"),
    )
    assert done.code == 0, done.err
    worse = re.search(r"warning: the model is no better than its baseline: test accuracy ([\d.]+), and (.*)", done.err)
    assert float(worse[1]) < 100
    assert worse[2] == (
        "bag of 1-2-grams, logistic regression has 100.00. Give it more data, start from a trained model (--from), or "
        "take that (--set 'model={kind: bag-of-words}')"
    )
    fitted = seqcli("train", "sentiment-bag", "--set", data)
    assert "warning" not in fitted.err
    assert [line.split(" = ")[0] for line in fitted.out.splitlines()[:2]] == ["dev accuracy", "test accuracy"]


@pytest.mark.parametrize("recipe", ["ner", "sentiment-sst", "lm-word", "stars"])
def test_the_table_of_a_training_fits_80_columns(recipe, seqcli):
    import seqcli.cli.training_display as display
    from seqcli.cli import console
    from seqcli.pipeline.events import Evaluated
    from seqcli.tasks.base import new_task

    task = new_task(load_recipe(recipe).recipe)
    lines = []
    shown = display.Display()
    shown.say = lines.append
    for best in (True, False):
        scores = dict.fromkeys(task.score_names, 99.99)
        shown.show(Evaluated(999_999, 100, scores, task.select_by, best, 10.1234, 1e5, 1.0, 1e-3, 1234.56))
    assert console.settings is not None
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith(" *best")
    assert len(lines[0].split("  ")) > 4
    heading = display.HEADINGS.get(task.select_by, task.select_by)
    assert heading in lines[0] or task.select_by == "loss"


def test_without_a_dev_split_no_row_is_called_the_best(sixty, seqcli):
    done = seqcli("train", "ner", *_sets("data={train: train.conll}", *SMALL, "training.max_steps=40"))
    assert "*best" not in done.err
    assert done.code == 0
