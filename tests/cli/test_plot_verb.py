"""The verb plot, and train --plot: numbers are those that were logged and measured, pictures are whole."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import run_inside

from seqcli.cli.curve_view import CurveView
from seqcli.pipeline.curves import read_curve, smoothed
from seqcli.store.runs import Store

pytest.importorskip("matplotlib")


def texts(svg: str) -> str:
    """All words of a picture, which parses."""
    return " ".join("".join(one.itertext()) for one in ET.parse(svg).iter() if one.tag.endswith("}text"))


def plot(*arguments: str):
    result = run_inside("plot", *arguments)
    assert result.code == 0, result.err
    return result


def logged(folder: str) -> list[dict]:
    return [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]


def test_the_numbers_are_those_of_the_training(trained):
    (run,) = json.loads(plot("tiny", "--json", "--smooth", "0.5").out)["runs"]
    rows, report = logged("runs/tiny/1"), json.loads(Path("runs/tiny/1/report.json").read_text())
    assert (run["run"], run["task"], run["finished"], run["select_by"]) == ("tiny@1", "tagging", True, "loss")
    assert run["best_step"] == report["best_step"]
    for point, row in zip(run["points"], rows, strict=True):
        assert {name: point[name] for name in ("step", "epoch", "train_loss", "scores")} == {
            name: row[name] for name in ("step", "epoch", "train_loss", "scores")
        }
    assert all(
        "train_scores" not in row for row in (*rows, *run["points"])
    )  # which take time: curve alone asks for them
    losses = [row["train_loss"] for row in rows]
    assert run["points"][0]["train_loss_smoothed"] == losses[0]
    assert run["points"][1]["train_loss_smoothed"] == pytest.approx((0.25 * losses[0] + 0.5 * losses[1]) / 0.75)
    # of few evaluations nothing is smoothed: each is a mean over its steps
    (raw,) = json.loads(plot("tiny", "--json").out)["runs"]
    assert raw["smooth"] == 0
    assert [point["train_loss_smoothed"] for point in raw["points"]] == pytest.approx(losses)


def test_the_curves_in_a_terminal_are_no_wider_than_it(trained):
    pytest.importorskip("plotext")
    out = plot("tiny").out
    table, *panels = out.split("\n\n")
    assert table.splitlines()[1].split()[:3] == ["tiny@1", "150", "25"]
    assert [panel.split("\n")[0].strip() for panel in panels] == ["loss, nats a target", "dev F1"]
    assert all("┤" in panel and "⠤" in panel for panel in panels)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert "epoch" in plot("tiny", "--by", "epoch").out


@pytest.mark.parametrize("by", ["step", "epoch", "minutes"])
def test_a_picture_has_its_labels(trained, by):
    result = plot("tiny", "-o", "c.svg", "--by", by)
    assert result.err == "drawn in c.svg\n"
    assert result.out.startswith("RUN ")
    shown = texts("c.svg")
    for word in ("loss, nats a target", "dev F1", "F1, %", by, "train", "dev"):
        assert word in shown
    plot("tiny", "-o", "c.png")
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")


def test_an_unfinished_training_is_drawn_as_far_as_it_is(trained):
    run = Path("runs/tiny/1")
    for name in ("report.json", "manifest.json"):
        (run / name).unlink()
    rows = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(rows[:3]) + rows[3][:40])  # killed in the middle of a line
    out = plot("tiny").out
    assert out.splitlines()[1].endswith("unfinished")
    (found,) = json.loads(plot("tiny", "--json").out)["runs"]
    assert (found["finished"], [point["step"] for point in found["points"]]) == (False, [6, 12, 18])
    (run / "metrics.jsonl").unlink()
    assert run_inside("plot", "tiny") == (
        2,
        "",
        "error: tiny@1 has no curve: its training has not come to the first evaluation\n",
    )


def test_runs_of_other_metrics_have_a_panel_each_and_that_is_said(trained, classifiers_folder):
    classifier = str(classifiers_folder / "runs/tiny/1")
    result = plot("tiny", classifier, "-o", "two.svg")
    assert result.err.splitlines()[0] == (
        f"scores that cannot be compared have a panel each: F1 of runs/tiny/1; accuracy of {classifier}"
    )
    shown = texts("two.svg")
    assert "dev F1" in shown
    assert "dev accuracy" in shown
    again = plot("tiny", "tiny@1", "runs/tiny/1", "-o", "same.svg")
    assert "panel each" not in again.err


def test_the_loss_of_a_value_is_not_drawn_beside_nats(trained):
    curve = read_curve(Store().resolve("tiny"))
    of_values = replace(curve, run="waves@1", task="forecasting")
    panels = CurveView([curve, of_values]).panels()
    assert [panel.title for panel in panels] == ["loss, nats a target", "loss of a value", "dev F1"]
    assert [line.label for line in panels[1].lines] == ["waves@1 train", "waves@1 dev"]
    assert {line.label: line.best for line in panels[0].lines}["tiny@1 dev"] == (
        curve.best.step,
        curve.best.scores["loss"],
    )


def test_the_moving_mean_passes_over_what_is_no_number():
    assert smoothed([1.0, float("inf"), 2.0], 0.5) == pytest.approx([1, 1, (0.25 * 1 + 0.5 * 2) / 0.75])
    assert smoothed([3.0, 4.0], 0) == [3, 4]


def test_a_model_that_was_counted_has_no_curve(classifiers):
    assert run_inside("plot", "bag") == (
        2,
        "",
        "error: bag@1 has no curve: it was counted or fitted in one go, not trained in steps\n",
    )


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("not json\n", 65, "runs/tiny/1/metrics.jsonl:1: not a line of JSON"),
        ('{"step": 1}\n', 65, "runs/tiny/1/metrics.jsonl: not what a training logs. Train it again."),
        ("[]\n", 65, "runs/tiny/1/metrics.jsonl: not what a training logs. Train it again."),
        ("", 2, "tiny@1 has no curve yet: its training has not come to the first evaluation"),
    ],
)
def test_a_damaged_log(trained, line, code, message):
    Path("runs/tiny/1/metrics.jsonl").write_text(line)
    assert run_inside("plot", "tiny") == (code, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny", "-o", "c.jpg"], "--plot: c.jpg is none of .png, .svg, .pdf"),
        (["tiny", "--show", "confusions"], "--show: unknown value 'confusions'. Did you mean 'confusion'?"),
        (
            ["tiny", "tiny", "--show", "confusion"],
            "--show confusion is of one model, and 2 are given. Name one of them.",
        ),
        (
            ["tiny", "--show", "confusion"],
            "a confusion matrix is of a classifier; tiny@1 is a model for tagging. 'seqcli evaluate' measures it.",
        ),
    ],
)
def test_bad_input(trained, arguments, message):
    assert run_inside("plot", *arguments) == (2, "", f"error: {message}\n")


def test_what_is_not_installed_or_cannot_be_written(trained, monkeypatch):
    assert run_inside("plot", "tiny", "-o", "no/c.png").code == 74
    monkeypatch.setitem(sys.modules, "plotext", None)
    result = plot("tiny")
    assert result.out.count("\n") == 2
    assert result.err == "to draw in the terminal too: pip install 'seqcli[plots]'; into a file: --plot FILE\n"
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run_inside("plot", "tiny", "-o", "c.png") == (
        1,
        "",
        "error: drawing needs matplotlib. pip install 'seqcli[plots]'\n",
    )


def test_the_confusion_matrix_is_that_of_the_evaluation(classifiers):
    counts = json.loads(run_inside("evaluate", "tiny", "--json").out)["score"]["counts"]
    found = json.loads(plot("tiny", "--show", "confusion", "--json").out)
    assert (found["model"], found["split"]) == ("tiny@1", "test")
    table = {
        gold: {label: count for label, count in zip(found["labels"], row, strict=True) if count}
        for gold, row in zip(found["labels"], found["counts"], strict=True)
    }
    assert table == counts["confusion"]
    assert sum(map(sum, found["counts"])) == counts["total"] == 24
    assert sum(row[place] for place, row in enumerate(found["counts"])) == counts["correct"]
    measured = json.loads(plot("tiny", "--show", "confusion", "--split", "train", "--json").out)
    assert sum(map(sum, measured["counts"])) == 24
    assert "gold \\ predicted" in plot("tiny", "--show", "confusion", "-o", "m.svg").out
    shown = texts("m.svg")
    for word in ("predicted", "gold", "share of the gold label", "tiny@1, test", *found["labels"]):
        assert word in shown
    refused = run_inside("plot", "several", "--show", "confusion")
    assert (refused.code, "any number of labels" in refused.err) == (2, True)


def test_lengths_and_scores_of_a_classifier(classifiers):
    accuracy = json.loads(run_inside("evaluate", "tiny", "--json").out)["score"]["value"]
    found = json.loads(plot("tiny", "--show", "histogram", "--json").out)
    texts_in = [line.split("\t")[0] for line in Path("test.tsv").read_text().splitlines()]
    assert found["score"] == "right, %"
    assert len(found["lengths"]) == len(texts_in) == 24
    assert sum(found["scores"]) / 24 == pytest.approx(accuracy)
    assert sum(one["examples"] for one in found["by_length"]) == 24
    assert sum(one["examples"] * one["score"] for one in found["by_length"]) / 24 == pytest.approx(accuracy)
    assert sum(one["count"] for one in found["calibration"]) == 24
    plot("tiny", "--show", "histogram", "-o", "h.svg")
    shown = texts("h.svg")
    for word in ("lengths", "score by length", "right, %", "how sure the model is", "wrong", "examples"):
        assert word in shown


def test_lengths_and_scores_of_a_tagger(trained):
    found = json.loads(plot("tiny", "--show", "histogram", "--split", "dev", "--json").out)
    sentences = [block.splitlines() for block in Path("dev.conll").read_text().strip().split("\n\n")]
    assert found["lengths"] == [len(one) for one in sentences]
    right = sum(score / 100 * length for score, length in zip(found["scores"], found["lengths"], strict=True))
    measured = json.loads(run_inside("evaluate", "tiny", "--split", "dev", "--json").out)["scores"]["accuracy"]
    assert 100 * right / sum(found["lengths"]) == pytest.approx(measured)
    if pytest.importorskip("plotext"):
        assert "scores of the examples" in plot("tiny", "--show", "histogram", "--split", "dev").out


def test_train_draws_its_curve(place):
    result = run_inside("train", "tiny.yaml", "--plot", "curve.svg", "-q")
    assert result.code == 0
    assert "dev F1" in texts("curve.svg")


def test_what_cannot_be_drawn_is_said_before_the_training(place, monkeypatch):
    assert run_inside("train", "tiny.yaml", "--plot", "c.gif") == (
        2,
        "",
        "error: --plot: c.gif is none of .png, .svg, .pdf\n",
    )
    assert run_inside("train", "tiny.yaml", "--plot", "no/c.png").code == 74
    assert run_inside("train", "tiny.yaml", "--plot", "c.png", "--dry-run").code == 2
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run_inside("train", "tiny.yaml", "--plot", "c.png").code == 1
    assert not (place / "runs").exists()


def test_a_counted_model_has_no_curve_to_draw(place):
    result = run_inside("train", "tiny.yaml", "--set", "model={kind: most-frequent-tag}", "--plot", "c.png")
    assert result.code == 0
    assert "warning: there is no curve to draw" in result.err
    assert not Path("c.png").exists()
