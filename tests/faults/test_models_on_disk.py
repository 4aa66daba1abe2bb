"""Wrong names, damaged and foreign models, and files that cannot be written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tiny import Program

RUN = "runs/tiny/1"


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("tinny", 2, "no model 'tinny' in runs. Did you mean 'tiny'?"),
        ("tiny@7", 2, "no version '7' of 'tiny' in runs. There is: tiny@1."),
        ("./gone", 74, "gone: no such folder"),
        (".", 65, ".: not a model: there is no recipe.yaml in it"),
    ],
)
@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_wrong_names(seqcli: Program, trained: Path, verb: str, name: str, code: int, message: str) -> None:
    assert seqcli(verb, name) == (code, "", f"error: {message}\n")


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
@pytest.mark.parametrize("file", ["recipe.yaml", "labels.txt", "vocabulary.txt", "model.safetensors", "report.json"])
@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_a_damaged_file_is_named(seqcli: Program, trained: Path, verb: str, file: str, damage: str) -> None:
    path = trained / RUN / file
    if damage == "gone":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(bytes(data))
    code, out, err = seqcli(verb, "tiny", stdin=b"Ravi\n")
    assert (out, err.count("\n")) == ("", 1)
    if damage == "gone" and file == "report.json":
        assert (code, err) == (
            2,
            "error: the training of tiny@1 is not finished. Go on with it: seqcli train tiny --resume\n",
        )
    elif damage == "gone" and file == "recipe.yaml":
        assert code in (2, 65)
    else:
        assert (code, err.startswith(f"error: {RUN}/{file}: ")) == (65, True)


def test_a_model_of_another_task(seqcli: Program, trained: Path) -> None:
    report = trained / RUN / "report.json"
    report.write_text(json.dumps(json.loads(report.read_text()) | {"task": "translation"}))
    assert seqcli("predict", "tiny") == (
        2,
        "",
        "error: tiny@1 is a model for translation; this needs one for classification or tagging. "
        "Train one: seqcli train ner\n",
    )


def test_an_unfinished_model(seqcli: Program, trained: Path) -> None:
    (trained / RUN / "manifest.json").unlink()
    assert seqcli("predict", "tiny") == (
        2,
        "",
        "error: the training of tiny@1 is not finished. Go on with it: seqcli train tiny --resume\n",
    )


def test_evaluate_on_a_file_of_another_format(seqcli: Program, trained: Path) -> None:
    (trained / "prose.txt").write_text("Ravi met Anna in Paris.\nShe was late.\n")
    code, out, err = seqcli("evaluate", "tiny", "prose.txt")
    assert (code, out, err.count("\n")) == (65, "", 1)
    assert err.startswith("error: prose.txt:1: ")
    (trained / "test.inline").write_text("Ravi/B-PER met/O Anna/B-PER\n")
    assert seqcli("evaluate", "tiny", "test.inline", "--format", "inline").code == 0
    assert seqcli("evaluate", "tiny", "test.conll", "--format", "conl") == (
        2,
        "",
        "error: --format: unknown value 'conl'. Did you mean 'conll'?\n",
    )


def test_a_file_of_errors_that_cannot_be_written(seqcli: Program, trained: Path) -> None:
    assert seqcli("evaluate", "tiny", "--errors", "gone/errors.tsv") == (
        74,
        "",
        "error: gone/errors.tsv: cannot write: No such file or directory\n",
    )


def test_evaluate_needs_neither_the_cache_nor_the_training_data(
    seqcli: Program, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seqcli("evaluate", "tiny")
    monkeypatch.setenv("SEQCLI_CACHE", str(trained / "another cache"))
    os.remove("train.conll")
    os.remove("dev.conll")
    assert seqcli("evaluate", "tiny") == before
    assert before.code == 0
    assert seqcli("evaluate", "tiny", "--split", "dev") == (
        74,
        "",
        f"error: dev.conll: there is no such dev file (looked in {trained}). Did you mean 'test.conll'?\n",
    )


def test_labels_and_long_sentences_of_other_data_are_warned_of(seqcli: Program, trained: Path) -> None:
    (trained / "other.conll").write_text("foo\tB-XXX\n\n" + "a\tO\n" * 1500)
    code, _, err = seqcli("evaluate", "tiny", "other.conll")
    assert code == 0
    assert err.splitlines() == [
        "warning: labels that the model does not know, so that it cannot be right on them (as bioes, which the model "
        "learns): S-XXX",
        "warning: 1 sequences are longer than data.max_length = 1000 tokens and were measured in pieces",
    ]
