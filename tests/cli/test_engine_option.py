"""Which engine answers, and what a prediction does not wait for: torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_numbers
from tiny import Program, environment, run_inside
from tiny_text import RECIPE, lines

from seqcli.pipeline.export import Same
from seqcli.store.manifest import read_manifest
from seqcli.store.runs import Store

PRINT_IMPORTS = """
import sys
from seqcli.cli import app
try:
    app.main(sys.argv[1:])
finally:
    print([name for name in ("torch", "onnx", "scipy") if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture(scope="session")
def language_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    for name in ("train", "dev"):
        (folder / f"{name}.txt").write_text(lines(60, seed=len(name)))
    (folder / "lm.yaml").write_text(RECIPE.replace("TRAIN", "train.txt").replace("DEV", "dev.txt"))
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = run_inside("train", "lm.yaml", "-q")
    finally:
        os.chdir(before)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def language(language_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the language model ``tiny-lm``."""
    folder = tmp_path / "language"
    shutil.copytree(language_folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return folder


@pytest.fixture(scope="session")
def translator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("translators")
    for seed, name in enumerate(("train", "dev")):
        (folder / f"{name}.tsv").write_text(tiny_numbers.pairs(seed=seed))
    (folder / "numbers.yaml").write_text(tiny_numbers.RECIPE.replace("TRAIN", "train.tsv").replace("DEV", "dev.tsv"))
    before = Path.cwd()
    os.chdir(folder)
    try:
        for seed in ("1", "2"):
            result = run_inside("train", "numbers.yaml", "-q", "--set", f"training.seed={seed}")
            assert result.code == 0, result.err
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def translator(translator_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``numbers@1`` and ``numbers@2``, translators that differ in their weights."""
    folder = tmp_path / "translator"
    shutil.copytree(translator_folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SEQCLI_RUNS", raising=False)
    return folder


def imported(*arguments: str, stdin: bytes = b"") -> list[str]:
    """What was imported of the large packages by a command that ends well."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT_IMPORTS, *arguments], input=stdin, capture_output=True, env=environment()
    )
    assert done.returncode == 0, done.stderr.decode()
    found = done.stderr.decode().splitlines()[-1]
    return [name for name in ("torch", "onnx", "scipy") if f"'{name}'" in found]


TAGGER = (["predict", "tiny"], ["predict", "tiny", "--scores", "--jsonl"], ["evaluate", "tiny"])
CLASSIFIER = (["predict", "tiny"], ["predict", "motion", "test.ts"], ["evaluate", "tiny", "--against", "bag"])
LANGUAGE = (
    ["score", "tiny-lm"],
    ["sample", "tiny-lm", "--seed", "1", "--max-tokens", "5"],
    ["complete", "tiny-lm"],
    ["evaluate", "tiny-lm", "dev.txt"],
)

TRANSLATOR = (
    ["translate", "numbers"],
    ["translate", "numbers", "--beam", "3", "--n-best", "2", "--scores", "--alignments"],
    ["translate", "numbers", "--with", "numbers@1", "--sample", "--seed", "1"],
    ["evaluate", "numbers", "dev.tsv"],
)


@pytest.mark.parametrize("stdin", [b"", b"Ravi met Anna\n"])
@pytest.mark.parametrize("arguments", TAGGER)
def test_a_tagger_answers_without_torch(trained: Path, arguments: list[str], stdin: bytes) -> None:
    assert imported(*arguments, stdin=stdin) == []


@pytest.mark.parametrize("arguments", CLASSIFIER)
def test_a_classifier_answers_without_torch(classifiers: Path, arguments: list[str]) -> None:
    assert imported(*arguments, stdin=b"not boring\n") == []


@pytest.mark.parametrize("arguments", LANGUAGE)
def test_a_language_model_answers_without_torch(language: Path, arguments: list[str]) -> None:
    assert imported(*arguments, stdin=b"the cat\n") == []


@pytest.mark.parametrize("arguments", TRANSLATOR)
def test_a_translator_answers_without_torch(translator: Path, arguments: list[str]) -> None:
    assert imported(*arguments, stdin=b"one two\n") == []


def test_gradients_and_the_engine_torch_need_it(classifiers: Path) -> None:
    assert "torch" in imported("predict", "tiny", "--attribution", stdin=b"not boring\n")
    assert "torch" in imported("predict", "tiny", "--engine", "torch", stdin=b"not boring\n")


@pytest.mark.parametrize("arguments", LANGUAGE)
def test_the_language_engine_torch_needs_it(language: Path, arguments: list[str]) -> None:
    assert "torch" in imported(*arguments, "--engine", "torch", stdin=b"the cat\n")


# -- the engines agree


def test_taggers(seqcli: Program, trained: Path) -> None:
    text = (trained / "test.conll").read_text()
    words = " ".join(line.split("\t")[0] if line else "\n" for line in text.splitlines()).encode()
    asked = ["predict", "tiny", "--tokens", "--scores", "--jsonl"]
    found = {name: seqcli(*asked, "--engine", name, stdin=words) for name in ("auto", "onnx", "torch")}
    assert found["auto"] == found["onnx"]
    assert {one.code for one in found.values()} == {0}
    pairs = zip(found["onnx"].out.splitlines(), found["torch"].out.splitlines(), strict=True)
    for one, other in ((json.loads(one), json.loads(other)) for one, other in pairs):
        assert one["tokens"] == other["tokens"]
        assert one["tags"] == other["tags"]
        np.testing.assert_allclose(one["scores"], other["scores"], atol=1e-4)


@pytest.mark.parametrize("model", ["tiny", "several", "motion", "gaps"])
def test_classifiers(seqcli: Program, classifiers: Path, model: str) -> None:
    text = {"motion": "test.ts", "gaps": "test-gaps.ts"}.get(model)
    stdin = b"not boring\n\nrain and wind\nfilm\n"
    asked = ["predict", model, *([text] if text else []), "--scores", "--jsonl"]
    found = [seqcli(*asked, "--engine", name, stdin=stdin) for name in ("onnx", "torch")]
    assert [one.code for one in found] == [0, 0]
    for one, other in zip(*(map(json.loads, result.out.splitlines()) for result in found), strict=True):
        assert one.keys() == other.keys()
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)


def test_language_models(seqcli: Program, language: Path) -> None:
    for arguments in (["score", "tiny-lm", "dev.txt", "--per-token", "--json"], ["complete", "tiny-lm", "--json"]):
        found = [seqcli(*arguments, "--engine", name, stdin=b"the cat\n") for name in ("onnx", "torch")]
        assert [one.code for one in found] == [0, 0]
        for one, other in zip(*(map(json.loads, result.out.splitlines()) for result in found), strict=True):
            if "log_probs" in one:
                assert one["tokens"] == other["tokens"]
                np.testing.assert_allclose(one["log_probs"], other["log_probs"], atol=1e-4)
            else:
                np.testing.assert_allclose(
                    [each["probability"] for each in one["next"]],
                    [each["probability"] for each in other["next"]],
                    atol=1e-4,
                )
    drawn = [seqcli("sample", "tiny-lm", "--seed", "3", "-n", "4", "--engine", name).out for name in ("onnx", "torch")]
    assert drawn[0] == drawn[1]


def test_translators(seqcli: Program, translator: Path) -> None:
    lines = b"one two three\n\nfour\nsix six nine two one one five\n"
    asked = ["translate", "numbers", "--beam", "3", "--n-best", "2", "--alignments", "--jsonl"]
    found = [seqcli(*asked, "--engine", name, stdin=lines) for name in ("auto", "onnx", "torch")]
    assert [(one.code, one.err) for one in found] == [(0, "")] * 3
    assert found[0] == found[1]
    for one, other in zip(*(map(json.loads, result.out.splitlines()) for result in found[1:]), strict=True):
        for mine, theirs in zip(one["translations"], other["translations"], strict=True):
            assert mine["log_prob"] == pytest.approx(theirs["log_prob"], abs=1e-4)
            assert mine.keys() == theirs.keys()
            assert (mine["text"], mine.get("alignment")) == (theirs["text"], theirs.get("alignment"))


def test_the_graphs_of_a_translator(seqcli: Program, translator: Path) -> None:
    run = Store().resolve("numbers")
    engine = run.report()["engine"]
    assert (engine["kind"], engine["same_tokens"]) == ("onnx", 100.0)
    assert 0 < engine["difference"] < 1e-4
    files = ["runs/numbers/2/engine.onnx", "runs/numbers/2/decoder.onnx"]
    before = [Path(file).read_bytes() for file in files]
    answer = seqcli("translate", "numbers", stdin=b"one two\n")
    code, out, err = seqcli("models", "export", "numbers", "--fp32")
    assert (code, out) == (0, f"{files[0]}\n")
    assert re.fullmatch(r"numbers@2: kind onnx; precision fp32; difference \S+; same tokens 100\.0%; [\d.]+ kB\n", err)
    told = json.loads(seqcli("models", "export", "numbers", "--json").out)
    assert (told["file"], told["bytes"]) == (files[0], sum(Path(file).stat().st_size for file in files))
    assert [Path(file).read_bytes() for file in files] == before
    assert (
        seqcli("models", "pack", "numbers").code == seqcli("models", "unpack", "numbers-2.tar.gz", "--name", "n").code
    )
    assert seqcli("translate", "n", "--engine", "onnx", stdin=b"one two\n").out == answer.out


def test_a_graph_older_than_the_weights_of_a_translator(seqcli: Program, translator: Path) -> None:
    for file in ("engine.onnx", "decoder.onnx"):
        run = Store().resolve("numbers@2")
        mine = (run.path / file).read_bytes()
        shutil.copy(f"runs/numbers/1/{file}", run.path)
        run.seal(read_manifest(run.path).files)
        code, out, err = seqcli("translate", "numbers", stdin=b"one\n")
        assert (code, out) == (65, "")
        assert re.fullmatch(
            rf"error: runs/numbers/2/{file}: the graph was made from other weights \(\w{{12}}\) than those in the "
            r"model \(\w{12}\)\. Make it again: seqcli models export runs/numbers/2\n",
            err,
        ), err
        (run.path / file).write_bytes(mine)
        run.seal(read_manifest(run.path).files)
        assert seqcli("translate", "numbers", stdin=b"one\n").code == 0
    run.seal([name for name in read_manifest(run.path).files if name != "decoder.onnx"])
    assert seqcli("translate", "numbers", stdin=b"one\n") == (
        65,
        "",
        "error: runs/numbers/2/engine.onnx: there is no graph of the decoder beside this one. Make it again: seqcli "
        "models export runs/numbers/2\n",
    )
    (run.path / "decoder.onnx").write_bytes(b"none")
    run.seal([*read_manifest(run.path).files, "decoder.onnx"])
    code, _, err = seqcli("translate", "numbers", stdin=b"one\n")
    assert (code, err.startswith("error: runs/numbers/2/decoder.onnx: not a graph that can be run")) == (65, True), err


def test_a_graph_that_writes_other_tokens_is_not_kept(
    seqcli: Program, translator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqcli.pipeline.export.same_translations", lambda *arguments: Same(98.5, 0.0))
    assert seqcli("models", "export", "numbers") == (
        1,
        "",
        "error: numbers@2 gets no graph: the graph writes the same for 98.5% of sentences. '--engine "
        "torch' runs the network itself.\n",
    )


@pytest.mark.parametrize("verb", ["sample", "score", "complete"])
def test_an_engine_that_cannot_run_a_language_model(seqcli: Program, language: Path, verb: str) -> None:
    assert seqcli(verb, "tiny-lm", "--engine", "onyx", stdin=b"the\n") == (
        2,
        "",
        "error: --engine: unknown value 'onyx'. Did you mean 'onnx'?\n",
    )
    assert seqcli(verb, "tiny-lm", "--engine", "onnx", "--device", "cuda", stdin=b"the\n") == (
        2,
        "",
        "error: the engine onnx runs on the CPU, not cuda. Leave out --engine.\n",
    )


@pytest.mark.parametrize("verb", ["sample", "score", "complete", "evaluate"])
def test_a_vocabulary_that_does_not_match(seqcli: Program, language: Path, verb: str) -> None:
    run = Store().resolve("tiny-lm")
    with run.vocabulary_path.open("a") as handle:
        handle.write("other\t3\n")
    run.seal(read_manifest(run.path).files)
    more = ["dev.txt"] if verb in ("score", "evaluate") else []
    assert seqcli(verb, "tiny-lm", *more, stdin=b"the\n") == (
        65,
        "",
        "error: runs/tiny-lm/1/engine.onnx: the graph is for 12 words, but the model has 13. Make it again: "
        "seqcli models export runs/tiny-lm/1\n",
    )


# -- a network without a graph


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers of another package have no graph."""

    def refuse(*arguments: object) -> None:
        raise NotImplementedError("TheirEncoder")

    monkeypatch.setattr("seqcli.engines.onnx_write.export", refuse)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """No graph is near enough."""
    monkeypatch.setattr("seqcli.pipeline.export.MOST_DIFFERENCE", -1.0)


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("unwritten", r"no graph can be made of TheirEncoder"),
        ("strict", r"the graph differs from the network by \d\.?\d*e-0\d"),
    ],
)
def test_a_network_without_a_graph(
    seqcli: Program, place: Path, request: pytest.FixtureRequest, why: str, reason: str
) -> None:
    request.getfixturevalue(why)
    code, _, err = seqcli("train", "tiny.yaml")
    assert code == 0
    assert re.search(rf"^warning: {reason}, so the network itself will be run, which is slower$", err, re.MULTILINE)
    assert "Engine: torch fp32" in err
    assert not (place / "runs/tiny/1/engine.onnx").exists()
    assert seqcli("predict", "tiny", stdin=b"Ravi\n").code == 0
    code, _, err = seqcli("models", "export", "tiny")
    assert (code, bool(re.fullmatch(rf"error: tiny@1 gets no graph: {reason}\. '--engine torch' runs .*\n", err))) == (
        1,
        True,
    ), err
