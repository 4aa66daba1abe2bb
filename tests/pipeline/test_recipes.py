"""Every recipe that comes with seqcli is valid and trains: a few steps on a tiny corpus in the format of its data."""

from pathlib import Path

import pytest
import torch
from tiny_corpus import SENTENCES, conll, conllu

from seqcli.corpora import catalogue
from seqcli.engines.tagging import TaggingEngine
from seqcli.errors import ExitCode, UserError
from seqcli.pipeline.events import Evaluated, Finished
from seqcli.pipeline.load import load_run
from seqcli.pipeline.train import train
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Store

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def inline(sentences=SENTENCES, separator="/"):
    return "".join(" ".join(f"{word}{separator}{tag}" for word, tag in zip(words.split(), tags.split(), strict=True))
                   + "\n" for words, tags in sentences)


WRITE = {"conll": conll, "conllu": conllu, "inline": inline}
SMALLER = ("embedder.dim=8", "encoder.dim=8")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains(path, tmp_path, cache):
    """Sizes are cut down and the files exchanged; all else is what the recipe says."""
    plain = load_recipe(path).recipe
    assert plain.name == path.stem
    assert plain.description
    entry = catalogue.entry(plain.data.corpus) if plain.data.corpus else None
    form = plain.data.format or (entry.format if entry else "conll")
    file = tmp_path / f"tiny.{form}"
    options = {"separator": plain.data.separator or (entry and entry.separator) or "/"} if form == "inline" else {}
    file.write_text(WRITE[form](**options), encoding="utf-8")
    files = [f"data.{split}={file}" for split in ("train", "dev", "test")]
    recipe = load_recipe(path, [*files, f"data.format={form}", *(f"model.{option}" for option in SMALLER),
                                "training.max_steps=3", "training.evaluate_every=3"]).recipe
    events = list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    evaluated = next(event for event in events if isinstance(event, Evaluated))
    assert recipe.training.select_by in evaluated.scores
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.report["steps"] == evaluated.step >= 1
    task, model = load_run(Store(tmp_path / "runs").resolve(path.stem))
    tagged = TaggingEngine(task, model, torch.device("cpu")).tag([words.split() for words, _ in SENTENCES])
    assert [len(tags) for tags, _ in tagged] == [len(words.split()) for words, _ in SENTENCES]


def test_there_are_recipes():
    assert len(RECIPES) >= 3


def test_where_it_was_trained_does_not_stop_a_model_but_what_it_opens_does(tmp_path, cache):
    """Data anywhere on the disk is a record; a tokenizer's model outside the run's folder is refused."""
    file = tmp_path / "mine.conll"
    file.write_text(conll(), encoding="utf-8")
    recipe = load_recipe("ner", [f"data={{train: {file}}}", "training.max_steps=1", "model.encoder.dim=4"]).recipe
    list(train(recipe, Store(tmp_path / "runs"), device="cpu"))
    run = Store(tmp_path / "runs").resolve("ner")
    assert load_run(run)[0].recipe.data.train == str(file)
    text = run.recipe_path.read_text(encoding="utf-8")
    files = [path.name for path in run.path.iterdir() if path.suffix in (".txt", ".safetensors")]
    assert "kind: words" in text
    run.recipe_path.write_text(text.replace("kind: words", "{kind: sentencepiece, model: /etc/passwd}", 1)
                               if "{kind: words" in text else
                               text.replace("kind: words", "kind: sentencepiece\n    model: /etc/passwd", 1))
    run.seal(["recipe.yaml", "report.json", "environment.json", *files])
    with pytest.raises(UserError, match=r"text\.tokenizer\.model: a path out of the model's folder") as caught:
        load_run(run)
    assert caught.value.code == ExitCode.DATA
