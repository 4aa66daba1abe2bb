"""Models side by side: each as it is measured alone, what one alone has right, and what cannot be compared."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import tiny_series
from tiny import Program, trained_run
from tiny_text import text_recipe

from seqcli.errors import ExitCode, UserError
from seqcli.machine import cores
from seqcli.pipeline.compare import Alone, compare
from seqcli.pipeline.evaluate import evaluate
from seqcli.pipeline.model import Model
from seqcli.store.runs import Run, Store


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqcli.pipeline.timing.ROUNDS", 1)


COUNTS = ("model={kind: ngram, order: 3}", "training={seed: 1}")


def runs_of(*names: str) -> list[Run]:
    return [Store().resolve(name) for name in names]


def refused(*names: str, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        compare(runs_of(*names), **options)  # type: ignore[arg-type]
    assert caught.value.code == ExitCode.USAGE
    return str(caught.value)


def test_each_model_is_measured_as_it_is_alone(classifiers: Path) -> None:
    before = cores()
    found = compare(runs_of("most", "tiny", "bag"), examples=2)
    assert (cores(), found.cores) == (before, 1)
    assert (found.data, found.examples, found.notices) == ("test", 24, [])
    for one in found.models:
        alone = evaluate(Store().resolve(one.name))
        report = Store().resolve(one.name).report()
        assert one.score == alone.score
        assert one.figure["value"] == pytest.approx(alone.score.value)
        assert one.figure["low"] <= one.figure["value"] <= one.figure["high"]
        assert (one.parameters, one.minutes) == (report["parameters"], report["minutes"])
        assert 0 < one.engine_bytes < one.folder_bytes
        assert one.first_answer is not None
        assert one.speed is not None
        assert 0.05 < one.first_answer < 60
        assert one.speed > 100
    most, tiny, bag = found.models
    assert (most.paired, tiny.paired["difference"]) == ({}, pytest.approx(tiny.score.value - most.score.value))
    assert tiny.paired["says"].startswith("better than most@1 by ")
    assert tiny.engine_bytes == Path("runs/tiny/1/engine.onnx").stat().st_size
    assert bag.engine_bytes == Path("runs/bag/1/model.safetensors").stat().st_size


def test_what_one_model_alone_has_right(classifiers: Path) -> None:
    found = compare(runs_of("most", "tiny"), examples=3, timed=False)
    rights = {}
    for name in ("most", "tiny"):
        model: Model[object] = Model.load(Store().resolve(name))
        rights[name] = model.task.measure(model.engine, model.task.data(model.columns(None, "test"))).right
    alone = found.models[1].alone
    assert alone is not None
    assert alone.count == np.sum(rights["tiny"] & ~rights["most"]) > 3
    assert len(alone.rows) == 3
    for row in alone.rows:
        (error,) = row["errors"]["most@1"]
        assert (error["predicted"], error["place"]) == ("bad", row["place"])
        assert error["gold"] != "bad"
        file, _, line = row["place"].rpartition(":")
        text, label = Path(file).read_text().splitlines()[int(line) - 1].split("\t")
        assert (text.replace(" ", ""), label) == (row["source"].replace(" ", ""), error["gold"])
    assert found.models[0].alone == Alone(0, [])


def test_what_cannot_be_compared(classifiers: Path, trained_folder: Path) -> None:
    assert refused("tiny") == (
        "tiny@1 alone is nothing to compare. Name two models or more; 'seqcli evaluate' measures one."
    )
    assert refused("tiny", "bag", "tiny").startswith("tiny@1 is named twice")
    assert refused("tiny", "bag", "runs/tiny/1").startswith("tiny@1 is named twice")
    assert refused("tiny", str(trained_folder / "runs/tiny/1")).endswith(
        "is a model for tagging, and tiny@1 one for classification"
    )
    assert re.search(r"motion@1 has other labels, so the two cannot be compared", refused("tiny", "motion"))


def test_other_test_sets_are_named_by_their_checksums(seqcli: Program, place: Path) -> None:
    train = ("train", "tiny.yaml", "-q", "--set", "training.epochs=1")
    assert seqcli(*train, "--set", "name=one").code == 0
    (place / "copy.conll").write_bytes((place / "test.conll").read_bytes())
    assert seqcli(*train, "--set", "name=copied", "--set", "data.test=copy.conll").code == 0
    (place / "other.conll").write_bytes((place / "dev.conll").read_bytes())
    assert seqcli(*train, "--set", "name=other", "--set", "data.test=other.conll").code == 0
    assert seqcli(*train, "--set", "name=none", "--set", "data.test=null").code == 0
    assert compare(runs_of("one", "copied"), timed=False).models[1].paired["difference"] == 0
    sums = [hashlib.sha256((place / name).read_bytes()).hexdigest()[:12] for name in ("test.conll", "other.conll")]
    said = re.fullmatch(
        r"the test sets differ: one@1 has \S*test\.conll \(sha256 (\w+)\), other@1 has \S*other\.conll \(sha256 (\w+)\)\. "
        r"Say --data FILE: the examples that all are measured on\.",
        refused("one", "other"),
    )
    assert said is not None, refused("one", "other")
    assert [*said.groups()] == sums
    assert refused("one", "none").startswith("none@1 was trained with data that has no test split")
    both = compare(runs_of("one", "other", "none"), ["dev.conll"], timed=False)
    assert (both.data, [one.score.value for one in both.models]) == ("dev.conll", [both.models[0].score.value] * 3)
    (warning,) = evaluate(runs_of("one")[0], against=runs_of("other")[0]).notices
    assert all(one in warning for one in sums)
    assert warning.endswith("; both are measured on that of one@1")
    assert evaluate(runs_of("one")[0], ["dev.conll"], against=runs_of("other")[0]).notices == []
    assert seqcli(*train, "--set", "name=binary", "--set", "target.labels=binary").code == 0
    assert refused("one", "binary") == "binary@1 reads other tags of the same data, so the two cannot be compared"
    (place / "other.conll").unlink()
    with pytest.raises(UserError, match=r"other\.conll: there is no such test file"):
        compare(runs_of("one", "other"))
    assert evaluate(runs_of("one")[0], against=runs_of("other")[0]).notices == []


def test_one_example_says_nothing_of_chance(seqcli: Program, trained: Path) -> None:
    (trained / "one.conll").write_text("Ravi\tB-PER\nmet\tO\nAnna\tB-PER\n")
    assert seqcli("models", "cp", "tiny", "again").code == 0
    found = compare(runs_of("tiny", "again"), ["one.conll"], timed=False)
    assert found.notices == [
        "one example is too few for an interval, and to say whether a difference is more than chance"
    ]
    assert "low" not in found.models[0].figure
    assert found.models[1].paired["says"] == "equal to tiny@1 in F1"


def test_language_models_of_other_tokens_are_compared_by_characters(tmp_path: Path, cache: Path) -> None:
    one = trained_run(text_recipe(tmp_path, *COUNTS), tmp_path)
    letters = trained_run(
        text_recipe(tmp_path, *COUNTS, "name=letters", "source.tokenizer={kind: characters}"), tmp_path
    )
    found = compare([one, letters], split="dev")
    assert found.notices == ["letters@1 cuts text into other tokens: only the figures a character and a word compare"]
    mine, other = found.models
    assert {one.figure["metric"] for one in found.models} == {"bits a character"}
    assert other.paired["difference"] == pytest.approx(other.figure["value"] - mine.figure["value"])
    assert other.figure["value"] == pytest.approx(other.score.counts["bits_per_character"])
    assert mine.speed is not None
    assert mine.first_answer is not None


def test_series_stand_side_by_side(tmp_path: Path, cache: Path) -> None:
    waves = tiny_series.monthly(tmp_path / "waves.csv")
    one = trained_run(tiny_series.series_recipe(waves, "model={kind: last-value}"), tmp_path)
    other = trained_run(tiny_series.series_recipe(waves, "model={kind: drift}", "name=drift"), tmp_path)
    found = compare([one, other])
    assert all(model.figure == {} for model in found.models)
    paired = found.models[1].paired
    assert paired["difference"] == pytest.approx(found.models[1].score.value - found.models[0].score.value)
    assert re.fullmatch(rf"(better than|loses to) {one} by \S+ MSE, standardised", paired["says"])
    assert found.models[0].speed is not None
    assert found.models[0].first_answer is not None
    with pytest.raises(UserError, match="taggers, classifiers and what writes text"):
        compare([one, other], examples=1)
