"""Sizes, counts and names that no machine has room for: refused at once, with the real cause (exit code 2)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from tiny import Program

from seqcli.errors import UserError
from seqcli.machine import memory_bytes
from seqcli.recipe.schema import TrainingConfig
from seqcli.training.memory import check_size

LONG = "9" * 26


@pytest.mark.parametrize("option", ["--max-ngram-order", "--confidence-n", "--paired-bs-n", "--paired-ar-n", "--seed"])
def test_bleu_has_bounds(seqcli: Program, option: str) -> None:
    code, out, err = seqcli("bleu", "hyp.txt", "ref.txt", option, LONG)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.match(rf"error: Invalid value for .*{option}.*: {LONG} is not in the range [12]<=x<=\d+\.", err)


@pytest.mark.parametrize(
    "words",
    [
        ("chrf", "h", "r", "--beta", "9" * 400),
        ("chrf", "h", "r", "--char-order", LONG),
        ("chrf", "h", "r", "--word-order", LONG),
        ("tokenize", "--max-line", LONG),
        ("predict", "tiny", "--max-line", LONG),
        ("data", "lint", "train.conll", "--max-line", LONG),
        ("vocab", "train-pieces", "train.conll", "-o", "m", "--size", "9" * 20),
    ],
    ids=" ".join,
)
def test_other_verbs_have_bounds(seqcli: Program, words: tuple[str, ...]) -> None:
    code, out, err = seqcli(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.match(rf"error: Invalid value for .*{words[-2]}.*: 9+ is not in the range [01]<=x<=\d+\.", err)


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_a_smoothing_value_is_a_number(seqcli: Program, place: Path, value: str) -> None:
    (place / "h").write_text("the dog hid\n")
    words = ("bleu", "h", "h", "--smooth-method", "add-k", "--smooth-value", value)
    assert seqcli(*words) == (2, "", f"error: the smoothing value must be 0 or more, not {value}\n")


def test_a_network_that_cannot_fit_is_not_built(seqcli: Program, place: Path) -> None:
    memory = memory_bytes()
    assert memory is not None
    there = f"there are {memory / 1e9:,.1f} GB. Lower the sizes in the recipe's model section (dim, layers, feedforward ...)."
    for options in ([], ["--dry-run"]):
        code, out, err = seqcli("train", "tiny.yaml", "-q", "--set", "model.encoder.dim=100000000", *options)
        assert (code, out) == (2, "")
        assert re.fullmatch(
            r"error: the network is too large: it has 80,0\d\d,\d\d\d,\d\d\d,\d\d\d,\d\d\d parameters, which take "
            rf"1,28\d,\d\d\d,\d\d\d\.\d GB with their gradients and the optimizer's memory; {re.escape(there)}\n",
            err,
        )
    for dim in (10**18, 10**26):
        code, out, err = seqcli("train", "tiny.yaml", "-q", "--set", f"model.encoder.dim={dim}")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("error: the network is too large: it has more parameters than can be counted, which ")
    assert not (place / "runs" / "tiny").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("name=" + "n" * 300, f"name: expected a text of at most 100 characters, found the text '{'n' * 37}...'"),
        ("name=60", "name: expected text, found 60. For the text, write --set 'name=\"60\"'."),
        ("name=true", "name: expected text, found true (a boolean). For the text, write --set 'name=\"true\"'."),
        ("model.encoder.layers=1000000000", "model.encoder.layers: expected at most 1000, found 1000000000"),
        (f"data.max_line={LONG}", f"data.max_line: expected at most 1099511627776, found {LONG}"),
    ],
)
def test_values_of_a_recipe(seqcli: Program, place: Path, change: str, message: str) -> None:
    code, out, err = seqcli("train", "tiny.yaml", "--set", change)
    assert (code, out) == (2, "")
    assert err.endswith(f": {message}\n")
    assert err.count("\n") == 1


def test_the_remedy_for_a_name_is_one(seqcli: Program, place: Path) -> None:
    assert seqcli("train", "tiny.yaml", "-q", "--set", 'name="60"', "--set", "training.max_steps=1").code == 0
    assert (place / "runs" / "60" / "1" / "manifest.json").is_file()


def test_a_network_that_cannot_be_counted_is_built() -> None:
    class Looks(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))
            self.first = self.weight.item()

    training = TrainingConfig.model_validate({"optimizer": {"kind": "adamw"}})
    check_size(Looks, training, torch.device("cpu"))
    with pytest.raises(UserError, match="it has 100,000,000,000,000 parameters, which take 1,600,000\\.0 GB"):
        check_size(lambda: torch.nn.Linear(10**7, 10**7, bias=False), training, torch.device("cpu"))
