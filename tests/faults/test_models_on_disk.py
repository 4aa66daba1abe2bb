"""Wrong names, damaged and foreign models, and files that cannot be written."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import shutil
from pathlib import Path

import pytest
from tiny import Program

from seqcli.store.manifest import read_manifest
from seqcli.store.runs import Store

RUN = "runs/tiny/1"
GRAPH = f"{RUN}/engine.onnx"
AGAIN = f"Make it again: seqcli models export {RUN}"
GONE = (
    RUN + "/{}: missing, although the training of tiny@1 came to its end. "
    "Copy it back from where you have it, or train again: seqcli train tiny"
)


class Bomb:
    """Leaves a file where a pickle of it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("opened"),)


def reseal(name: str = "tiny") -> None:
    """Make the damage of a run's files one that the manifest does not see."""
    run = Store().resolve(name)
    run.seal(read_manifest(run.path).files)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("tinny", 2, "no model 'tinny' in runs. Did you mean 'tiny'?"),
        ("tiny@7", 2, "no version '7' of 'tiny' in runs. Known: tiny@1."),
        ("./gone", 74, "gone: no such folder"),
        (".", 65, ".: not a model: there is no recipe.yaml in it"),
    ],
)
@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_wrong_names(seqcli: Program, trained: Path, verb: str, name: str, code: int, message: str) -> None:
    assert seqcli(verb, name) == (code, "", f"error: {message}\n")


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
@pytest.mark.parametrize(
    "file", ["recipe.yaml", "labels.txt", "vocabulary.txt", "model.safetensors", "engine.onnx", "report.json"]
)
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
        assert (code, err) == (65, f"error: {GONE.format('report.json')}\n")
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
        "error: tiny@1 is a model for translation; this needs one for classification, forecasting, tagging or transcription. "
        "Train one: seqcli train ner\n",
    )


def test_an_unfinished_model(seqcli: Program, trained: Path) -> None:
    for file in ("manifest.json", "report.json"):
        (trained / RUN / file).unlink()
    assert seqcli("predict", "tiny") == (
        2,
        "",
        "error: the training of tiny@1 is not finished. Go on with it: seqcli train runs/tiny/1/recipe.yaml --resume\n",
    )


@pytest.mark.parametrize("verb", [["predict", "tiny"], ["evaluate", "tiny@1"], ["models", "export", RUN]])
def test_a_finished_model_without_its_manifest(seqcli: Program, trained: Path, verb: list[str]) -> None:
    (trained / RUN / "manifest.json").unlink()
    assert seqcli(*verb) == (65, "", f"error: {GONE.format('manifest.json')}\n")
    code, out, err = seqcli("train", "tiny.yaml", "--resume")
    assert (code, out) == (2, "")
    assert err == "error: no unfinished training of 'tiny' in runs. Leave --resume out to start one.\n"
    assert seqcli("models", "ls", "--json").err == f"warning: {GONE.format('manifest.json')}\n"
    (trained / RUN / "checkpoints").mkdir()  # it was stopped between its report and its manifest: a training can go on
    assert (
        "is not finished. Go on with it: seqcli train runs/tiny/1/recipe.yaml --resume" in seqcli("predict", "tiny").err
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
        "warning: 1 sequence is longer than data.max_length = 1000 tokens and was measured in pieces",
    ]


# -- files that are whole but do not belong together


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
@pytest.mark.parametrize("damage", ["cut", "empty", "zeros", "random", "pickle"])
def test_a_graph_that_is_none(seqcli: Program, trained: Path, verb: str, damage: str) -> None:
    data = Path(GRAPH).read_bytes()
    bad = {
        "cut": data[: len(data) // 2],
        "empty": b"",
        "zeros": bytes(len(data)),
        "random": random.Random(1).randbytes(len(data)),
        "pickle": pickle.dumps(Bomb()),
    }
    Path(GRAPH).write_bytes(bad[damage])
    reseal()
    code, out, err = seqcli(verb, "tiny", stdin=b"Ravi\n")
    assert (code, out) == (65, "")
    assert re.fullmatch(rf"error: {GRAPH}: not a graph that can be run: [^\n]+\. {AGAIN}\n", err)
    assert not Path("opened").exists()
    assert seqcli(verb, "tiny", "--engine", "torch", stdin=b"Ravi\n").code == 0
    assert seqcli("models", "export", "tiny", "-q").code == 0
    assert seqcli(verb, "tiny", stdin=b"Ravi\n").code == 0


def test_a_graph_of_another_program(seqcli: Program, trained: Path) -> None:
    import onnx

    graph = onnx.load(GRAPH)
    del graph.metadata_props[:]
    onnx.save(graph, GRAPH)
    reseal()
    assert seqcli("predict", "tiny", stdin=b"Ravi\n") == (
        65,
        "",
        f"error: {GRAPH}: a graph that seqcli did not write. {AGAIN}\n",
    )


def test_a_graph_that_names_other_files(seqcli: Program, trained: Path) -> None:
    """Weights outside the folder are not read, whatever the graph says."""
    import onnx
    from onnx.external_data_helper import set_external_data

    graph = onnx.load(GRAPH)
    largest = max(graph.graph.initializer, key=lambda one: len(one.raw_data))
    Path("runs/tiny/weights").write_bytes(largest.raw_data)
    set_external_data(largest, "../weights")
    largest.ClearField("raw_data")
    Path(GRAPH).write_bytes(graph.SerializeToString())
    reseal()
    code, out, err = seqcli("predict", "tiny", stdin=b"Ravi\n")
    assert (code, out, err.count("\n")) == (65, "", 1)
    assert err.startswith(f"error: {GRAPH}: not a graph that can be run: ")


def test_a_graph_of_another_task(seqcli: Program, trained: Path, classifiers_folder: Path) -> None:
    shutil.copy(classifiers_folder / "runs/tiny/1/engine.onnx", GRAPH)
    reseal()
    assert seqcli("predict", "tiny", stdin=b"Ravi\n") == (
        65,
        "",
        f"error: {GRAPH}: a graph for something else than tagging: it gives log_probs_BK, not logits_BTK. {AGAIN}\n",
    )


@pytest.mark.parametrize("file", ["engine.onnx", "model.safetensors"])
def test_a_graph_and_weights_that_do_not_belong_together(seqcli: Program, trained: Path, file: str) -> None:
    words = ["--set", "name=other", "--set", "training.epochs=1", "--set", "model.encoder.dim=9"]
    assert seqcli("train", "tiny.yaml", *words, "-q").code == 0
    shutil.copy(f"runs/other/1/{file}", RUN)
    reseal()
    code, out, err = seqcli("predict", "tiny", stdin=b"Ravi\n")
    assert (code, out) == (65, "")
    mine, other = (read_manifest(Path(run)).files["model.safetensors"].sha256[:12] for run in (RUN, "runs/other/1"))
    made = other if file == "engine.onnx" else r"\w{12}"
    assert re.fullmatch(
        rf"error: {GRAPH}: the graph was made from other weights \({made}\) than those in the model \({mine}\)\. "
        rf"{AGAIN}\n",
        err,
    )
    code, out, err = seqcli("predict", "tiny", "--engine", "torch", stdin=b"Ravi\n")
    if file == "engine.onnx":
        assert code == 0
    else:
        assert (code, out) == (65, "")
        assert re.fullmatch(
            rf"error: {RUN}/model\.safetensors: tensor '[\w.]+' is [\dx ]+ in the file and [\dx ]+ in the model\. "
            r"The weights belong to another recipe or vocabulary\.\n",
            err,
        )


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_weights_that_are_a_pickle(seqcli: Program, trained: Path, engine: str) -> None:
    (trained / RUN / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    reseal()
    code, out, err = seqcli("predict", "tiny", "--engine", engine, stdin=b"Ravi\n")
    assert (code, out, err.count("\n")) == (65, "", 1)
    assert ("this is a pickle" in err) == (engine == "torch")
    assert not Path("opened").exists()


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("vocabulary.txt", "other\t3\n", "the graph is for 12 words, but the model has 13"),
        ("labels.txt", "B-NEW\n", "the graph is for 13 labels, but the model has 14"),
    ],
)
def test_a_vocabulary_that_does_not_match(seqcli: Program, trained: Path, file: str, line: str, message: str) -> None:
    with (trained / RUN / file).open("a") as handle:
        handle.write(line)
    reseal()
    for verb in ("predict", "evaluate"):
        assert seqcli(verb, "tiny", stdin=b"Ravi\n") == (65, "", f"error: {GRAPH}: {message}. {AGAIN}\n")
        code, out, err = seqcli(verb, "tiny", "--engine", "torch", stdin=b"Ravi\n")
        assert (code, out) == (65, "")
        assert err.startswith(f"error: {RUN}/model.safetensors: tensor '")


def test_other_channels_than_the_graph_reads(seqcli: Program, classifiers: Path) -> None:
    (classifiers / "runs/motion/1/frames.json").write_text('{"channels": 3}')
    reseal("motion")
    assert seqcli("predict", "motion", "test.ts") == (
        65,
        "",
        "error: runs/motion/1/engine.onnx: the graph is for 2 channels, but the model has 3. Make it again: "
        "seqcli models export runs/motion/1\n",
    )


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_an_engine_that_cannot_run_the_model(seqcli: Program, trained: Path, verb: str) -> None:
    assert seqcli(verb, "tiny", "--engine", "onyx", stdin=b"Ravi\n") == (
        2,
        "",
        "error: --engine: unknown value 'onyx'. Did you mean 'onnx'?\n",
    )
    assert seqcli(verb, "tiny", "--engine", "onnx", "--device", "cuda", stdin=b"Ravi\n") == (
        2,
        "",
        "error: the engine onnx runs on the CPU, not cuda. Leave out --engine.\n",
    )
    run = Store().resolve("tiny")
    run.seal([name for name in read_manifest(run.path).files if name != "engine.onnx"])
    assert seqcli(verb, "tiny", "--engine", "onnx", stdin=b"Ravi\n") == (
        2,
        "",
        "error: tiny@1 has no graph to run. 'seqcli models export tiny@1' makes one; or leave out --engine.\n",
    )
    assert seqcli(verb, "tiny", stdin=b"Ravi\n").code == 0
