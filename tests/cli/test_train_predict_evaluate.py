"""The verbs train, predict and evaluate when all goes well: exact forms of what they print, and where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import Program, environment


def test_train_says_results_on_stdout_and_the_rest_on_stderr(seqcli: Program, place: Path) -> None:
    code, out, err = seqcli("train", "tiny.yaml")
    assert code == 0
    score, baseline, says, run = out.splitlines()
    assert re.fullmatch(r"most frequent tag: F1 = \d+\.\d\d", baseline)
    assert re.fullmatch(
        r"loses to most frequent tag by \d+\.\d\d F1 \(95% interval \d+\.\d\d to \d+\.\d\d, p = 0\.0\S+\)", says
    )
    assert says in (place / "runs/tiny/1/report.json").read_text()
    signature = r"\(spans\|scheme:bio\|matching:conlleval\|average:micro\|v:seqcli-.*\)"
    assert re.fullmatch(r"test F1 = \d+\.\d\d " + signature, score)
    assert re.fullmatch(r"tiny@1 in runs/tiny/1: (\d+\.\d min|\d+ s), 1,664 parameters", run)
    lines = err.splitlines()
    assert lines[0] == "tiny@1: tagging, tokens > lstm > crf, 1,664 parameters, cpu fp32"
    assert lines[1] == ("data: train 80 (636 tokens), dev 20 (157 tokens), test 20 (158 tokens); 12 words, 13 labels")
    assert lines[2].split() == ["epoch", "step", "loss", "dev", "loss", "F1", "precision", "tokens/s", "minutes"]
    assert [line.split()[:2] for line in lines[3:6]] == [["1", "6"], ["2", "12"], ["3", "18"]]
    assert all(line.endswith("*best") for line in lines[3:6])
    assert re.fullmatch(r"Engine: onnx fp32, at most \S+ from the network", lines[7])
    assert lines[8:] == ["Use it:  echo 'some text' | seqcli predict tiny@1"]


def test_quiet_training_says_the_result_alone(seqcli: Program, place: Path) -> None:
    code, out, err = seqcli("train", "tiny.yaml", "-q")
    assert (code, out.count("\n"), err) == (0, 4, "")


def test_json_of_train_and_dry_run(seqcli: Program, place: Path) -> None:
    code, out, _ = seqcli("train", "tiny.yaml", "--dry-run", "--json")
    assert code == 0
    plan = json.loads(out)
    assert plan["parameters"] == sum(layer["parameters"] for layer in plan["layers"]) == 1664
    assert plan["splits"]["train"] == {"examples": 80, "tokens": 636}
    assert plan["largest_batch"]["sequences"] * plan["largest_batch"]["longest"] <= 128
    assert not (place / "runs").exists()
    code, out, _ = seqcli("train", "tiny.yaml", "--json", "-q")
    report = json.loads(out)
    assert (code, report) == (0, json.loads((place / "runs/tiny/1/report.json").read_text()))


def test_dry_run(seqcli: Program, place: Path) -> None:
    code, out, err = seqcli("train", "tiny.yaml", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "train          80 examples          636 tokens"
    memory = out.splitlines()[-1]
    assert re.match(
        r"memory: about [\d,]+ MB, measured with the largest batch \(\d+ sequences of up to \d+ tokens\); ", memory
    )


def test_two_trainings_are_two_versions(seqcli: Program, place: Path) -> None:
    assert [seqcli("train", "tiny.yaml", "-q").code for _ in range(2)] == [0, 0]
    weights = [(place / f"runs/tiny/{version}/model.safetensors").read_bytes() for version in (1, 2)]
    assert weights[0] == weights[1]


TEXT = b"Ravi met Anna in Paris .\n\nTata\n"


def test_the_formats_of_predict_agree(seqcli: Program, trained: Path) -> None:
    told = {
        name: seqcli("predict", "tiny", "--format", name, "--scores", stdin=TEXT)
        for name in ("inline", "conll", "tsv", "jsonl")
    }
    assert all((result.code, result.err) == (0, "") for result in told.values())
    rows = [json.loads(line) for line in told["jsonl"].out.splitlines()]
    assert [row["tokens"] for row in rows] == [["Ravi", "met", "Anna", "in", "Paris", "."], [], ["Tata"]]
    triples = [
        list(zip(row["tokens"], row["tags"], [f"{score:.4f}" for score in row["scores"]], strict=True)) for row in rows
    ]
    assert told["inline"].out == "".join(" ".join(map("/".join, line)) + "\n" for line in triples)
    assert told["conll"].out == "".join("".join("\t".join(row) + "\n" for row in line) + "\n" for line in triples)
    assert told["tsv"].out == "".join(
        ("\t".join(" ".join(column) for column in zip(*line, strict=True)) if line else "") + "\n" for line in triples
    )
    assert all(0 < score <= 1 for row in rows for score in row["scores"])
    assert all(row["tags"][span["start"]] == "B-" + span["label"] for row in rows for span in row["spans"])


def test_tokens_or_text(seqcli: Program, trained: Path) -> None:
    for flags, tokens in (([], ["(", "Ravi", ")", "met"]), (["--tokens"], ["(Ravi)", "met"])):
        code, out, _ = seqcli("predict", "tiny", "--format", "jsonl", *flags, stdin=b"(Ravi)\tmet \n")
        assert (code, json.loads(out)["tokens"]) == (0, tokens)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "json"], "--format: unknown value 'json'. Did you mean 'jsonl'?"),
        (["--invalid", "ignore"], "--invalid: unknown value 'ignore'. Known: strict, replace."),
        (["--device", "tpu"], "--device: unknown value 'tpu'. Did you mean 'cpu'?"),
    ],
)
def test_wrong_options_of_predict(seqcli: Program, trained: Path, arguments: list[str], message: str) -> None:
    assert seqcli("predict", "tiny", *arguments) == (2, "", f"error: {message}\n")


def test_evaluate_tells_what_training_told(seqcli: Program, trained: Path) -> None:
    report = json.loads((trained / "runs/tiny/1/report.json").read_text())
    for split in ("dev", "test"):
        code, out, err = seqcli("evaluate", "tiny", "--split", split, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["score"] == report[split]
    (other,) = json.loads(seqcli("evaluate", "tiny", "--against", "tiny", "--json").out)["compared"]
    assert other["score"] == report["test"]
    paired = other["paired"]
    assert (paired["metric"], paired["difference"], paired["p"], paired["p_randomisation"]) == ("F1", 0, 1, 1)
    on_file = json.loads(seqcli("evaluate", "tiny", "test.conll", "--json").out)
    assert (on_file["model"], on_file["data"], on_file["score"]) == ("tiny@1", "test.conll", report["test"])


def test_evaluate_agrees_with_predict_and_spans(seqcli: Program, trained: Path) -> None:
    """The other way round to the same score: predict the tokens, score the tags beside the gold ones."""
    gold = (trained / "test.conll").read_text().strip().split("\n\n")
    pairs = [[line.split("\t") for line in sentence.split("\n")] for sentence in gold]
    tokens = "".join(" ".join(token for token, _ in sentence) + "\n" for sentence in pairs)
    out = seqcli("predict", "tiny", "--tokens", "--format", "tsv", stdin=tokens.encode()).out
    right = sum(
        tag == found
        for sentence, line in zip(pairs, out.splitlines(), strict=True)
        for (_, tag), found in zip(sentence, line.split("\t")[1].split(" "), strict=True)
    )
    counts = json.loads(seqcli("evaluate", "tiny", "--json").out)["score"]["counts"]
    assert (counts["correct_tokens"], counts["tokens"]) == (right, 158)


def test_rows_of_errors(seqcli: Program, trained: Path) -> None:
    code, _, err = seqcli("evaluate", "tiny", "--errors", "errors.tsv")
    header, *rows = [line.split("\t") for line in (trained / "errors.tsv").read_text().splitlines()]
    assert (code, err) == (0, f"{len(rows)} errors in errors.tsv\n")
    assert header == ["place", "kind", "gold", "predicted", "gold_text", "predicted_text", "sentence"]
    assert {len(row) for row in rows} <= {7}
    counts = json.loads(seqcli("evaluate", "tiny", "--json").out)["score"]["counts"]
    assert sum(row[2] != "" for row in rows) == counts["gold"] - counts["correct"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_there_is_a_bar_and_no_colour_where_none_is_wanted(place: Path) -> None:
    import pty

    main, side = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "seqcli", "train", "tiny.yaml"],
        stdout=subprocess.PIPE,
        stderr=side,
        env=environment(NO_COLOR="1", TERM="xterm", COLUMNS="140"),
    ) as process:
        os.close(side)
        shown = b""
        try:
            while data := os.read(main, 65536):
                shown += data
        except OSError:  # how a pseudo-terminal ends
            pass
        assert process.stdout is not None
        out = process.stdout.read().decode()
    os.close(main)
    assert process.returncode == 0
    text = shown.decode()
    assert "\x1b[" not in out
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)
    assert "\x1b[?25l" in text  # the bar hides the cursor
    assert "\x1b[?25h" in text  # and gives it back
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"epoch \d .*loss \d\.\d{3} +[\d,]+ tokens/s", plain)
    assert plain.count("*best") == 3


def test_tensorboard_that_is_not_installed(seqcli: Program, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqcli.pipeline.tensorboard.find_spec", lambda name: None)
    assert seqcli("train", "tiny.yaml", "--tensorboard") == (
        2,
        "",
        "error: the package 'tensorboard' is not installed. Install it: pip install 'seqcli[tensorboard]'.\n",
    )
    assert not (place / "runs").exists()


def test_a_tagger_of_counts_predicts(seqcli: Program, place: Path) -> None:
    model = ("--set", "model={kind: most-frequent-tag}", "--set", "training={seed: 1}", "--set", "name=often")
    assert seqcli("train", "tiny.yaml", "-q", *model).code == 0
    assert seqcli("predict", "often", stdin=b"Ravi met Tata\n\nAnna\n") == (
        0,
        "Ravi/B-PER met/O Tata/B-ORG\n\nAnna/B-PER\n",
        "",
    )
