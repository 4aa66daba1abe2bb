"""The verbs over classifiers: exact forms of what they print, and where; what they refuse, and how."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import Program, environment
from tiny_classes import SEVERAL, TEXTS, motions, ts, tsv

SIGNATURE = r"\(accuracy\|unit:example\|brier:sum-over-labels\|calibration:15-bins\|v:seqcli-.*\)"
LINES = "".join(text + "\n" for text, _ in TEXTS)
GOLD = "".join(label + "\n" for _, label in TEXTS)
EMPTY = "warning: an empty text has no tokens: it is given what the model says of nothing at all\n"


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


# -- train


def test_train_says_the_score_and_each_baseline(seqcli: Program, classifiers: Path) -> None:
    code, out, err = seqcli("train", "tsv.yaml")
    assert code == 0
    score, *others, run = out.splitlines()
    assert re.fullmatch(r"test accuracy = \d+\.\d\d " + SIGNATURE, score)
    report = json.loads((classifiers / "runs/tiny/2/report.json").read_text())
    assert others == [
        line
        for one in report["baselines"]
        for line in (f"{one['model']}: accuracy = {one['test']['value']:.2f}", one["test"]["paired"]["says"])
    ]
    assert [line.split(":")[0] for line in others[::2]] == ["majority", "bag of 1-2-grams, logistic regression"]
    sure = r"(better than|loses to|cannot be told apart from) {}:?.* points \(95% interval \S+ to \S+, p = \S+\)"
    assert re.fullmatch(sure.format("majority"), others[1])
    assert re.fullmatch(sure.format("bag of 1-2-grams, logistic regression"), others[3])
    assert re.fullmatch(r"tiny@2 in runs/tiny/2: (\d+\.\d min|\d+ s), 2,823 parameters", run)
    told = err.splitlines()
    assert told[0] == "tiny@2: classification, tokens > lstm > max > softmax, 2,823 parameters, cpu fp32"
    assert told[1] == "data: train 24 (84 tokens), dev 24 (84 tokens), test 24 (84 tokens); 21 words, 3 labels"
    assert told[-1] == "Use it:  echo 'some text' | seqcli predict tiny@2 --scores"


def test_train_on_frames(seqcli: Program, classifiers: Path) -> None:
    code, out, err = seqcli("train", "ts.yaml")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()[1:5:2]] == [
        "majority",
        "mean of the frames, logistic regression",
    ]
    assert err.splitlines()[1] == (
        "data: train 24 (160 frames), dev 24 (160 frames), test 24 (160 frames); 2 channels, 3 labels"
    )
    assert err.splitlines()[2].split()[-2:] == ["frames/s", "minutes"]
    assert err.splitlines()[-1] == "Use it:  seqcli predict motion@2 FILE --scores"


def test_train_a_baseline(seqcli: Program, classifiers: Path) -> None:
    code, out, err = seqcli(
        "train", "tsv.yaml", "--set", "name=again", "--set", "model={kind: majority}", "--set", "training={seed: 1}"
    )
    assert code == 0
    assert [line.split(" ")[0] for line in out.splitlines()] == ["dev", "test", "bag", "loses", "again@1"]
    assert err.splitlines()[0] == "again@1: classification, majority, cpu fp32"
    assert err.splitlines()[1].endswith("; 21 words, 3 labels")
    assert len(err.splitlines()) == 3


@pytest.mark.parametrize(
    ("recipe", "first", "rest"),
    [
        ("tsv.yaml", "train          24 examples           84 tokens", ["words", "labels"]),
        ("ts.yaml", "train          24 examples          160 frames", ["channels", "labels"]),
    ],
)
def test_dry_run(seqcli: Program, classifiers: Path, recipe: str, first: str, rest: list[str]) -> None:
    code, out, err = seqcli("train", recipe, "--dry-run")
    lines = out.splitlines()
    assert (code, err, lines[0]) == (0, "", first)
    assert [line.split()[0] for line in lines[3:5]] == rest
    assert re.match(
        r"memory: about [\d,]+ MB, measured with the largest batch \(\d+ sequences? of up to \d+ "
        + first.rsplit(maxsplit=1)[-1],
        lines[-1],
    )
    code, out, err = seqcli(
        "train",
        recipe,
        "--dry-run",
        "--set",
        f"model={{kind: {'bag-of-words' if rest[0] == 'words' else 'mean-pool'}}}",
    )
    assert (code, out.splitlines()) == (0, lines[:5])
    assert err == "not made by gradients: no layers and no batches to show\n"


# -- predict


@pytest.mark.parametrize("model", ["tiny", "bag"])
def test_predict_labels(seqcli: Program, classifiers: Path, model: str) -> None:
    assert seqcli("predict", model, stdin=LINES.encode()) == (0, GOLD, EMPTY)
    (classifiers / "in.txt").write_text(LINES)
    assert seqcli("predict", model, "in.txt", "-q") == (0, GOLD, "")
    assert seqcli("predict", model, "--format", "tsv", stdin=b"not boring") == (0, "good\n", "")


@pytest.mark.parametrize("model", ["tiny", "bag", "most"])
def test_the_forms_of_predict_agree(seqcli: Program, classifiers: Path, model: str) -> None:
    def told(*options: str) -> str:
        code, out, err = seqcli("predict", model, *options, stdin=LINES.encode())
        assert (code, err) == (0, EMPTY)
        return out

    documents = [json.loads(line) for line in told("--jsonl", "--scores").splitlines()]
    assert told("--format", "jsonl", "--scores") == told("--jsonl", "--scores")
    assert [json.loads(line) for line in told("--jsonl").splitlines()] == [{"label": one["label"]} for one in documents]
    for one in documents:
        assert list(one["scores"].values()) == sorted(one["scores"].values(), reverse=True)
        assert next(iter(one["scores"])) == one["label"]
        assert sum(one["scores"].values()) == pytest.approx(1, abs=1e-5)
    assert told() == "".join(one["label"] + "\n" for one in documents)
    ranked = [[f"{label}\t{chance:.4f}" for label, chance in one["scores"].items()] for one in documents]
    assert rows(told("--scores")) == [line[0].split("\t") for line in ranked]
    for top in (1, 2, 3, 99):
        assert told("--top", str(top)) == "".join("\t".join(line[:top]) + "\n" for line in ranked)
        assert [len(json.loads(line)["scores"]) for line in told("--top", str(top), "--jsonl").splitlines()] == [
            min(top, 3)
        ] * 12


def test_several_labels(seqcli: Program, classifiers: Path) -> None:
    lines = "".join(text + "\n" for text, _ in SEVERAL).encode()
    code, out, err = seqcli("predict", "several", stdin=lines)
    assert (code, err) == (0, "")
    assert [sorted(line.split(",")) for line in out.splitlines()] == [sorted(label.split(",")) for _, label in SEVERAL]
    documents = [
        json.loads(line) for line in seqcli("predict", "several", "--jsonl", "--scores", stdin=lines).out.splitlines()
    ]
    assert [",".join(one["labels"]) for one in documents] == out.splitlines()
    assert all(
        list(one["scores"]) != [] and (one["scores"][label] >= 0.5) == (label in one["labels"])
        for one in documents
        for label in ("rain", "wind", "snow")
    )
    scored = seqcli("predict", "several", "--scores", stdin=lines).out.splitlines()
    assert [line.split("\t")[::2] for line in scored] == [one["labels"] or [""] for one in documents]


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("tiny", ["--format", "json"], "--format: unknown value 'json'. Did you mean 'jsonl'?"),
        ("tiny", ["--format", "xml"], "--format: unknown value 'xml'. Known: tsv, jsonl."),
        ("tiny", ["--format", "tsv", "--jsonl"], "--jsonl and --format tsv: which of the two?"),
        ("motion", ["--tokens"], "--tokens is for text; motion@1 reads frames"),
        (
            "motion",
            ["test.tsv"],
            "test.tsv: motion@1 reads frames, and this looks like tsv. "
            "Give a .ts file, an index, a .npy or .csv file, or a folder of them.",
        ),
        ("tiny", ["--device", "tpu"], "--device: unknown value 'tpu'. Did you mean 'cpu'?"),
    ],
)
def test_wrong_options_of_predict(
    seqcli: Program, classifiers: Path, model: str, arguments: list[str], message: str
) -> None:
    assert seqcli("predict", model, *arguments) == (2, "", f"error: {message}\n")


def test_options_of_classifiers_are_not_for_taggers(seqcli: Program, trained: Path) -> None:
    for option in (["--top", "2"], ["--attribution"]):
        assert seqcli("predict", "tiny", *option) == (
            2,
            "",
            f"error: {option[0]} is for classifiers; tiny@1 is a tagger\n",
        )


def test_a_text_over_the_limit_is_said_once(seqcli: Program, classifiers: Path) -> None:
    short = ("--set", "data.max_length=4", "--set", "name=short", "--set", "training={seed: 1, epochs: 1}", "-q")
    assert seqcli("train", "tsv.yaml", *short).code == 0
    said = "warning: of more than 4 tokens only the first 4 count\n"
    for more in ((), ("--attribution",)):
        code, out, err = seqcli("predict", "short", *more, stdin=b"a b c d e f\na b c d\na b c d g\n")
        assert (code, err) == (0, said)
        assert [line.split("\t")[0] for line in out.splitlines()] == [out.split("\t")[0].split("\n")[0]] * 3
    whole = seqcli("predict", "short", "--scores", stdin=b"a b c d e f\na b c d\n").out.splitlines()
    assert whole[0] == whole[1]
    bag = ("--set", "data.max_length=4", "--set", "name=whole", "--set", "model={kind: bag-of-words}")
    assert seqcli("train", "tsv.yaml", *bag, "--set", "training={seed: 1}", "-q").code == 0
    assert seqcli("predict", "whole", stdin=b"a b c d e f\n").err == ""


# -- attribution


@pytest.mark.parametrize("model", ["tiny", "bag", "most"])
def test_attribution(seqcli: Program, classifiers: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b'not boring\n\n("dull\tand")\n'
    code, out, err = seqcli("predict", model, "--attribution", stdin=text)
    assert (code, err) == (0, EMPTY)
    plain = rows(out)
    assert [row[:2] for row in plain] == rows(seqcli("predict", model, "--scores", stdin=text).out)
    tokens = [["not", "boring"], [], ["(", '"', "dull", "and", '"', ")"]]
    assert [[re.sub(r"\([+-]\d+\.\d\d\)$", "", item) for item in row[2].split()] for row in plain] == tokens
    documents = [
        json.loads(line) for line in seqcli("predict", model, "--attribution", "--jsonl", stdin=text).out.splitlines()
    ]
    for one, row, cut in zip(documents, plain, tokens, strict=True):
        assert list(one) == ["label", "scores", "explains", "tokens", "attribution"]
        assert (one["label"], one["explains"], one["tokens"]) == (row[0], row[0], cut)
        shown = [f"{token}({share:+.2f})" for token, share in zip(cut, one["attribution"], strict=True)]
        assert shown == row[2].split()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    code, painted, _ = seqcli("predict", model, "--attribution", stdin=text)
    assert code == 0
    assert ("\x1b[48;5;" in painted) == (model != "most")
    bare = re.sub(r"\x1b\[[0-9;]*m", "", painted)
    assert [row[2].split() for row in rows(bare)] == tokens
    assert seqcli("predict", model, "--attribution", "--jsonl", stdin=text).out.count("\x1b") == 0
    monkeypatch.setenv("NO_COLOR", "1")
    assert seqcli("predict", model, "--attribution", stdin=text).out == out


def test_attribution_with_the_best_labels(seqcli: Program, classifiers: Path) -> None:
    ranked = rows(seqcli("predict", "bag", "--top", "2", stdin=b"boring\n").out)
    found = rows(seqcli("predict", "bag", "--top", "2", "--attribution", stdin=b"boring\n").out)
    assert found[0][:4] == ranked[0]
    assert found[0][4].startswith("boring(+")


@pytest.mark.parametrize("model", ["motion", "pool", "gaps"])
def test_attribution_of_frames(seqcli: Program, classifiers: Path, model: str) -> None:
    code, out, err = seqcli(
        "predict", model, "test-gaps.ts" if model == "gaps" else "test.ts", "--attribution", "--jsonl"
    )
    assert (code, err) == (0, "")
    frames = motions(24, missing=model == "gaps")
    for line, (sequence, label) in zip(out.splitlines(), frames, strict=True):
        one = json.loads(line)
        assert one["label"] == label
        assert one["frames"] == list(range(len(sequence)))
        assert len(one["attribution"]) == len(sequence)
        assert np.isfinite(one["attribution"]).all()


# -- frames


def test_frames_from_every_source(seqcli: Program, classifiers: Path) -> None:
    sequences = [frames for frames, _ in motions(6)]
    expected = "".join(label + "\n" for _, label in motions(6))
    (classifiers / "in.ts").write_text(ts(motions(6)))
    (classifiers / "bare.ts").write_text(ts(motions(6), labels=False))
    flat, nested = classifiers / "flat", classifiers / "nested" / "x"
    flat.mkdir()
    nested.mkdir(parents=True)
    for number, frames in enumerate(sequences):
        np.save(flat / f"{number}.npy", frames)
        np.savetxt(nested / f"{number}.csv", frames, delimiter=",", header="a,b", comments="")
    (classifiers / "index.tsv").write_text("".join(f"flat/{number}.npy\tup\n" for number in range(6)))
    (classifiers / "alone.tsv").write_text("".join(f"flat/{number}.npy\n" for number in range(6)))
    for file in ("in.ts", "bare.ts", "flat", "nested", "index.tsv", "alone.tsv"):
        assert seqcli("predict", "motion", file) == (0, expected, ""), file
        assert seqcli("predict", "pool", file).code == 0
    for file, label in (("flat/0.npy", "up"), ("nested/x/1.csv", "down")):
        assert seqcli("predict", "motion", file) == (0, label + "\n", "")
    for name in ("in.ts", "bare.ts"):
        assert seqcli("predict", "motion", stdin=(classifiers / name).read_bytes()) == (0, expected, "")
        assert seqcli("predict", "motion", "-", stdin=(classifiers / name).read_bytes()) == (0, expected, "")


def test_frames_that_do_not_fit(seqcli: Program, classifiers: Path) -> None:
    (classifiers / "wide.ts").write_text(ts(motions(2, channels=3)))
    (classifiers / "gap.ts").write_text(
        ts(motions(3))
        + ts(motions(1, missing=True)).splitlines()[-1].replace(",", ",?,", 1).replace(":", ":0,", 1)
        + "\n"
    )
    np.save(classifiers / "wide.npy", np.zeros((4, 5), np.float32))
    np.save(classifiers / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (classifiers / "index.tsv").write_text("gone.npy\tup\n")
    for model in ("motion", "pool"):
        assert seqcli("predict", model, "wide.ts") == (
            65,
            "",
            "error: wide.ts:6: frames of 3 channels, but the model was trained on 2\n",
        )
        assert seqcli("predict", model, "wide.npy") == (
            65,
            "",
            "error: wide.npy: frames of 5 channels, but the model was trained on 2\n",
        )
        code, _, err = seqcli("predict", model, "gap.ts")
        assert (code, err.split(" (")[0]) == (65, "error: gap.ts:9: a value is missing")
        code, _, err = seqcli("predict", model, "objects.npy")
        assert (code, err[:52]) == (65, "error: objects.npy: an array of Python objects is no")
        code, _, err = seqcli("predict", model, "index.tsv")
        assert (code, err) == (65, "error: index.tsv:1: 'gone.npy': there is no such file\n")
        assert seqcli("predict", model, "nothing.ts")[0] == 74
        code, _, err = seqcli("evaluate", model, "wide.ts")
        assert (code, err) == (65, "error: wide.ts:6: frames of 3 channels, but the model was trained on 2\n")
    assert seqcli("predict", "gaps", "gap.ts").code == 0


# -- evaluate


def test_evaluate(seqcli: Program, classifiers: Path) -> None:
    code, out, err = seqcli("evaluate", "tiny")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert re.fullmatch(r"accuracy = 100\.00 " + SIGNATURE, lines[0])
    assert lines[2].split() == ["tiny@1", "majority", "bag", "of", "1-2-grams,", "logistic", "regression"]
    assert [line.split("  ")[0] for line in lines[3:8]] == [
        "accuracy",
        "macro F1",
        "loss",
        "Brier score",
        "calibration error",
    ]
    assert lines[3].split() == ["accuracy", "100.0000", "33.3333", "100.0000", "%"]
    assert lines[9].split() == ["label", "precision", "recall", "F1", "correct", "gold", "predicted"]
    assert lines[10].split() == ["bad", "100.00", "100.00", "100.00", "8", "8", "8"]
    assert lines[14].split("  ")[0] == "gold \\ predicted"
    assert [line.split() for line in lines[15:18]] == [
        ["bad", "8", "0", "0"],
        ["good", "0", "8", "0"],
        ["middling", "0", "0", "8"],
    ]
    assert lines[19] == (
        "tiny@1 against majority: 16 examples only the first has right, 0 only the second, 8 both, 0 neither"
    )
    assert lines[20].startswith("difference +66.67 points (95% interval +")
    report = json.loads((classifiers / "runs/tiny/1/report.json").read_text())
    found = json.loads(seqcli("evaluate", "tiny", "--json").out)
    assert found["score"] == report["test"]
    assert [one["model"] for one in found["compared"]] == [one["model"] for one in report["baselines"]]
    paired = found["compared"][1]["paired"]
    assert paired.pop("says").startswith(
        "tiny@1 and bag of 1-2-grams, logistic regression cannot be told apart: +0.00 points"
    )
    stored = report["baselines"][1]["test"]["paired"]
    assert stored.pop("says").startswith(
        "cannot be told apart from bag of 1-2-grams, logistic regression: +0.00 points"
    )
    assert paired == stored
    on_file = json.loads(seqcli("evaluate", "tiny", "test.tsv", "--json").out)
    assert (on_file["data"], on_file["score"]) == ("test.tsv", report["test"])
    assert "compared" not in on_file


@pytest.mark.parametrize("model", ["tiny", "bag"])
def test_rows_of_errors(seqcli: Program, classifiers: Path, model: str) -> None:
    odd = [
        ("boring", "good"),
        ("not boring", "good"),
        ("not charming", "alien"),
        ('a "charming" film', "bad"),
        ("a film a film", "good"),
    ]
    (classifiers / "odd.tsv").write_text(tsv(odd))
    said = rows(seqcli("predict", model, "--scores", stdin="".join(text + "\n" for text, _ in odd).encode()).out)
    wrong = [
        [f"odd.tsv:{number}", gold, label, chance]
        for number, ((_, gold), (label, chance)) in enumerate(zip(odd, said, strict=True), 1)
        if gold != label
    ]
    code, out, err = seqcli("evaluate", model, "odd.tsv", "--errors", "errors.tsv")
    assert (code, out.splitlines()[0].split(" (")[0]) == (0, f"accuracy = {20 * (5 - len(wrong))}.00")
    assert err == (
        "warning: labels that the model does not know, so that it cannot be right on them: alien\n"
        f"{len(wrong)} errors in errors.tsv\n"
    )
    header, *found = rows((classifiers / "errors.tsv").read_text())
    assert header == ["place", "gold", "predicted", "confidence", "source"]
    assert sorted(row[:4] for row in found) == wrong
    assert [row[3] for row in found] == sorted((row[3] for row in found), reverse=True)
    assert {row[0]: row[4] for row in found}["odd.tsv:4"] == 'a " charming " film'


def test_evaluate_against_another_classifier(seqcli: Program, classifiers: Path) -> None:
    code, out, err = seqcli("evaluate", "tiny", "--against", "most", "--json")
    found = json.loads(out)
    (other,) = found["compared"]
    assert (code, err, other["model"]) == (0, "", "most@1")
    assert other["score"] == json.loads(seqcli("evaluate", "most", "--json").out)["score"]
    assert (other["paired"]["better"], other["paired"]["worse"], other["paired"]["both"]) == (16, 0, 8)
    reverse = json.loads(seqcli("evaluate", "most", "test.tsv", "--against", "tiny", "--json").out)["compared"][0]
    assert (reverse["paired"]["better"], reverse["paired"]["worse"]) == (0, 16)
    assert (
        "tiny@1 against most@1: 16 examples only the first has right"
        in seqcli("evaluate", "tiny", "--against", "most").out
    )


def test_evaluate_against_what_does_not_compare(seqcli: Program, classifiers: Path, trained_folder: Path) -> None:
    tagger = str(trained_folder / "runs/tiny/1")
    code, out, err = seqcli("evaluate", "tiny", "--against", tagger)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: .* is a model for tagging, and tiny@1 one for classification\n", err)
    code, _, err = seqcli("evaluate", "tiny", "--against", "motion")
    assert code == 2
    assert re.fullmatch(
        r"error: motion@1 has other labels, so the two cannot be compared: .*, not bad, good, middling\n", err
    )


def test_a_classifier_of_pieces_against_one_of_words(seqcli: Program, classifiers: Path) -> None:
    """Each cuts the text its own way, also where the training data is gone."""
    pieces = (
        "--set",
        "name=pieces",
        "--set",
        "source.tokenizer={kind: sentencepiece, size: 35}",
        "--set",
        "training={seed: 1}",
        "--set",
        "model={kind: bag-of-words}",
        "-q",
    )
    assert seqcli("train", "tsv.yaml", *pieces).code == 0
    (classifiers / "train.tsv").unlink()
    for one, other in (("pieces", "bag"), ("bag", "pieces")):
        code, out, err = seqcli("evaluate", one, "test.tsv", "--against", other, "--json")
        assert (code, err) == (0, "")
        alone = json.loads(seqcli("evaluate", other, "test.tsv", "--json").out)
        assert json.loads(out)["compared"][0]["score"] == alone["score"]
    assert seqcli("predict", "pieces", stdin=b"not boring\n").out == "good\n"


def test_evaluate_several_labels(seqcli: Program, classifiers: Path) -> None:
    code, out, err = seqcli("evaluate", "several")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert re.fullmatch(
        r"F1 = 100\.00 \(f1\|unit:label\|average:micro\|brier:mean-over-labels\|v:seqcli-.*\)", lines[0]
    )
    assert [line.split("  ")[0] for line in lines[3:8]] == [
        "micro F1",
        "macro F1",
        "all labels right",
        "loss",
        "Brier score",
    ]
    assert "gold \\ predicted" not in out


def test_unlabelled_data_is_refused(seqcli: Program, classifiers: Path) -> None:
    (classifiers / "bare.jsonl").write_text('{"text": "a film"}\n')
    assert seqcli("evaluate", "tiny", "bare.jsonl", "--format", "jsonl") == (
        65,
        "",
        "error: bare.jsonl:1: no label. Check data.format and data.columns.\n",
    )


# -- a model elsewhere


def test_show_pack_and_unpack(seqcli: Program, classifiers: Path) -> None:
    for model in ("tiny", "bag", "motion"):
        code, out, err = seqcli("models", "show", model)
        assert (code, err) == (0, "")
        assert "classification" in out
        text = (classifiers / "test.ts").read_bytes() if model == "motion" else LINES.encode()
        before = seqcli("predict", model, "--scores", stdin=text)
        assert before.code == 0
        assert seqcli("models", "pack", model, "-o", f"{model}.tar.gz", "-q").code == 0
        code, _, err = seqcli("models", "unpack", f"{model}.tar.gz", "--runs", "elsewhere")
        assert code == 0, err
        assert seqcli("predict", model, "--scores", "--runs", "elsewhere", stdin=text) == before


@pytest.mark.parametrize(
    ("model", "arguments"),
    [("bag", ["test.tsv", "--column", "0"]), ("most", ["test.tsv", "--column", "0"]), ("pool", ["test.ts"])],
)
def test_baselines_predict_without_torch(classifiers: Path, model: str, arguments: list[str]) -> None:
    script = (
        "import sys\nfrom seqcli.cli import app\ntry:\n"
        f"    app.main({['predict', model, *arguments, '--attribution']})\n"
        "finally:\n    print('torch' in sys.modules, 'scipy' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment())
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, b"False False")
    assert len(done.stdout.splitlines()) == 24
