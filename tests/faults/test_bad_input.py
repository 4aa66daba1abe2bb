"""Bad recipes and bad data: one line each, the right exit code, no run left behind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import RECIPE, Program

ICONV = "Convert the file (iconv -f LATIN1 -t UTF-8)"


def refused(program: Program, place: Path, code: int, message: str, *sets: str) -> None:
    """A training that ends in ``code`` with exactly ``message`` on stderr, and leaves no run."""
    words = [word for one in sets for word in ("--set", one)]
    result = program("train", "tiny.yaml", *words)
    assert result == (code, "", f"error: {message}\n")
    assert not (place / "runs").exists() or not list((place / "runs").iterdir())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epoch=3", "training.epoch: unknown key. Did you mean 'epochs'?"),
        ("training.epochs=three", "training.epochs: expected a whole number, found the text 'three'"),
        ("model.head.kind=crff", "model.head: unknown head 'crff'. Did you mean 'crf'?"),
        ("modell.head=1", "modell: unknown key. Did you mean 'model'?"),
    ],
)
def test_set(seqcli: Program, place: Path, setting: str, message: str) -> None:
    refused(seqcli, place, 2, f"--set {setting}: {message}", setting)


def test_every_error_of_a_recipe_with_its_place(seqcli: Program, place: Path) -> None:
    text = RECIPE.replace("kind: lstm", "kind: lstn")
    text = text.replace("  epochs: 3\n", "  epochs: 3\n  epochs: 4\n  patiense: 1\n")
    (place / "tiny.yaml").write_text(text)
    code, out, err = seqcli("train", "tiny.yaml")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["tiny.yaml:8:19", "tiny.yaml:14:3", "tiny.yaml:15:3"]
    assert "Did you mean 'lstm'?" in lines[0]
    assert "twice" in lines[1] or "duplicate" in lines[1]
    assert "Did you mean 'patience'?" in lines[2]


def test_a_score_that_does_not_exist_is_refused_before_training(seqcli: Program, place: Path) -> None:
    refused(
        seqcli,
        place,
        2,
        "--set training.select_by=f9: training.select_by: there is no dev score 'f9'. Scores: f1, precision, "
        "recall, accuracy, loss.",
        "training.select_by=f9",
    )


def test_missing_file(seqcli: Program, place: Path) -> None:
    refused(
        seqcli,
        place,
        74,
        f"trian.conll: there is no such train file (looked in {place}). Did you mean 'train.conll'?",
        "data.train=trian.conll",
    )


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_empty_file(seqcli: Program, place: Path, split: str) -> None:
    (place / "bad.conll").write_text("")
    refused(seqcli, place, 65, f"bad.conll: the {split} file is empty", f"data.{split}=bad.conll")


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_only_blank_lines(seqcli: Program, place: Path, split: str) -> None:
    (place / "bad.conll").write_text("\n \n\t\n")
    refused(
        seqcli, place, 65, "bad.conll: no example: the file is empty or has only blank lines", f"data.{split}=bad.conll"
    )


@pytest.mark.parametrize(
    ("added", "line", "message"),
    [
        (
            b"foo\tB-PER\nbar\n",
            2,
            "1 column where the file's first line has 2 (tabs between them): 'bar'. "
            "Each token needs all columns; a blank line ends a sentence.",
        ),
        (
            b"foo\tO\nbar\tI-PER\n",
            1,
            "token 2 ('bar') of the sentence from this line: I-PER does not continue a span of "
            "its label (bio). The tags come nearest to bio. 'seqcli data convert bad.conll --from bio --to bio --repair' "
            "mends them, 'seqcli data lint bad.conll' lists all faults.",
        ),
        (b"ab\xe9\tO\n", 1, f"invalid UTF-8 at byte 3 of the line (0xe9). {ICONV}."),
        (b"x\tO\n\xff\tO\n", 2, f"invalid UTF-8 at byte 1 of the line (0xff). {ICONV}."),
    ],
)
def test_one_bad_line(seqcli: Program, place: Path, added: bytes, line: int, message: str) -> None:
    good = (place / "train.conll").read_bytes() + b"\n"
    (place / "bad.conll").write_bytes(good + added)
    refused(seqcli, place, 65, f"bad.conll:{good.count(10) + line}: {message}", "data.train=bad.conll")


def test_invalid_utf8_in_the_c_locale(shell: Program, trained: Path) -> None:
    (trained / "bad.txt").write_bytes(b"fine\n" + b"caf\xe9\n")
    expected = (
        f"error: bad.txt:2: invalid UTF-8 at byte 4 of the line (0xe9). {ICONV[:-1]}), "
        "or go on with --invalid replace.\n"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert shell("predict", "tiny", "bad.txt", env=locale) == (65, "fine/O\n", expected)
    code, out, err = shell(
        "predict", "tiny", "bad.txt", "--invalid", "replace", "--tokens", "--format", "tsv", env=locale
    )
    assert (code, err) == (0, "")
    assert [line.split("\t")[0] for line in out.split("\n")] == ["fine", "caf�", ""]


def test_a_long_line(seqcli: Program, place: Path) -> None:
    (place / "bad.conll").write_text("a\tO\n" + "x" * 2000 + "\tO\n")
    refused(
        seqcli,
        place,
        65,
        "bad.conll:2: line is longer than 1,000 bytes. Raise data.max_line to accept it.",
        "data.train=bad.conll",
        "data.max_line=1000",
    )


def test_a_label_seen_only_in_dev_is_warned_of_and_counted(seqcli: Program, place: Path) -> None:
    with (place / "dev.conll").open("a") as handle:
        handle.write("\nfoo\tB-XXX\n")
    code, out, err = seqcli("train", "tiny.yaml", "--set", "training.select_by=f1", "--json")
    assert code == 0
    assert (
        "warning: labels in dev that the training data lacks, so that it cannot be right on "
        "them (as bioes, which the model learns): S-XXX\n"
    ) in err
    assert '"XXX": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "correct": 0, "gold": 1, "predicted": 0}' in out


def with_bom(data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data


def with_crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("change", [with_bom, with_crlf])
def test_bom_and_crlf_train_the_same_model(seqcli: Program, place: Path, change: Callable[[bytes], bytes]) -> None:
    assert seqcli("train", "tiny.yaml", "-q").code == 0
    for split in ("train", "dev", "test"):
        path = place / f"{split}.conll"
        path.write_bytes(change(path.read_bytes()))
    assert seqcli("train", "tiny.yaml", "-q").code == 0
    clean, odd = (
        hashlib.sha256((place / f"runs/tiny/{version}/model.safetensors").read_bytes()).hexdigest()
        for version in (1, 2)
    )
    assert clean == odd


def test_odd_characters_inside_a_token_are_data(seqcli: Program, place: Path) -> None:
    with (place / "train.conll").open("ab") as handle:
        handle.write("\na\u2028b\tO\nc\u0085d\tO\ne\ff\tO\ng\rh\tO\nn\0m\tO\n".encode())
    assert seqcli("train", "tiny.yaml", "-q").code == 0
    words = (place / "runs/tiny/1/vocabulary.txt").read_bytes().split(b"\n")
    assert sum(b"a\xe2\x80\xa8b" in word for word in words) == 1


def test_a_sentence_of_100_000_tokens_is_cut_and_that_is_said(seqcli: Program, place: Path) -> None:
    with (place / "train.conll").open("a") as handle:
        handle.write("\n" + "Ravi\tB-PER\nmet\tO\n" * 50_000)
    code, _, err = seqcli(
        "train",
        "tiny.yaml",
        "--set",
        "data.max_length=200",
        "--set",
        "training.max_steps=2",
        "--set",
        "training.batch.tokens=1000",
    )
    assert code == 0
    assert err.splitlines()[0] == "warning: 1 train sequence is longer than data.max_length = 200 tokens and was cut"


def test_a_folder_of_runs_that_cannot_be_written_is_found_before_any_work(seqcli: Program, place: Path) -> None:
    (place / "file").write_text("")
    (place / "train.conll").write_text("not\tread\tyet\n")
    assert seqcli("train", "tiny.yaml", "--runs", "file") == (
        74,
        "",
        "error: file/tiny: cannot write: Not a directory\n",
    )


def test_a_cache_that_cannot_be_written(seqcli: Program, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "file").write_text("")
    monkeypatch.setenv("SEQCLI_CACHE", str(place / "file"))
    refused(
        seqcli,
        place,
        74,
        f"{place}/file/encoded: cannot keep the encoded train data: Not a directory. "
        "Make room, or set SEQCLI_CACHE to another folder.",
    )


def test_no_network_and_no_mirror(seqcli: Program, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQCLI_MIRROR", raising=False)
    monkeypatch.setenv("SEQCLI_CACHE", str(place / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    code, out, err = seqcli("train", "ner-wnut17")
    assert (code, out, err.count("\n")) == (74, "", 1)
    assert err.startswith("error: ")
    assert "SEQCLI_MIRROR" in err
