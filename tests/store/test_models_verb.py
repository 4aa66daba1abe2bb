"""``seqcli models`` as a shell sees it: stdout, stderr, exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seqcli.store.manifest import Manifest, write_manifest
from seqcli.store.runs import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def models(store, tmp_path):
    def run(*arguments: object, code: int = 0) -> tuple[str, str]:
        environment = os.environ | {"SEQCLI_RUNS": "runs", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "seqcli", "models", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stderr
        return done.stdout, done.stderr

    return run


def test_an_empty_store(models):
    assert models("ls") == ("", "no models in runs\n")
    assert models("ls", "--json") == ("[]\n", "")
    assert models("show", "ner", code=2) == ("", "error: no model 'ner' in runs. Train one: seqcli train ner\n")


def test_ls(models, store, ner):
    store.create("ner").recipe_path.write_text("name: ner\n")
    out, err = models("ls")
    assert err == ""
    lines = [re.sub(r" +", " ", line) for line in out.splitlines()]
    assert lines[0] == "MODEL TASK STATE SCORE SIZE AGE"
    assert re.fullmatch(r"ner@1 tagging finished test F1 81\.25 2\.\d kB \d+ s", lines[1])
    assert re.fullmatch(r"ner@2 - stopped - 10 B \d+ s", lines[2])
    rows = json.loads(models("ls", "ner", "--json")[0])
    assert [(row["model"], row["state"]) for row in rows] == [("ner@1", "finished"), ("ner@2", "stopped")]
    assert rows[0]["score"] == {"split": "test", "name": "F1", "value": 81.25, "signature": "f1|scheme:bio|v:seqcli-0"}
    with store.resolve("ner@2", finished=False).lock():
        assert json.loads(models("ls", "--json")[0])[1]["state"] == "training"


def test_ls_of_one_task_in_another_order(models, store, ner, finish):
    best = finish(store.create("ner"), f1=90.0)
    reader = finish(store.create("reader"), task="classification", f1=95.0)
    perplexities = [finish(store.create("lm"), task="language-model") for _ in range(2)]
    for run, value, minutes in zip(perplexities, (70.0, 60.0), (9.0, None), strict=True):
        report = run.report()
        report["test"] = {"name": "perplexity", "value": value, "signature": "p", "counts": {}}
        run.report_path.write_text(json.dumps({**report, "minutes": minutes}))
    stopped = store.create("pos")
    stopped.recipe_path.write_text("name: pos\ntask: {kind: tagging}\n")
    os.utime(best.report_path, (0, 2_000_000_000))

    def names(*arguments: str) -> list[str]:
        return [row["model"] for row in json.loads(models("ls", *arguments, "--json")[0])]

    assert names("--task", "tagging") == ["ner@1", "ner@2", "pos@1"]
    assert names("--task", "classification") == [str(reader)]
    assert names("--sort", "score") == ["reader@1", "ner@2", "ner@1", "lm@2", "lm@1", "pos@1"]
    assert names("--task", "tagging", "--sort", "score") == ["ner@2", "ner@1", "pos@1"]
    assert names("--sort", "date")[0] == "ner@2"
    assert names("--sort", "minutes")[0] == "lm@1"
    assert names("--sort", "size")[-1] == "pos@1"
    out = models("ls", "--sort", "minutes")[0].splitlines()
    assert [line.split()[-1] for line in out[:2]] == ["MINUTES", "9.00"]
    assert models("ls", "nor", "--task", "imputation") == ("", "no models named 'nor' for imputation in runs\n")
    known = "tagging, language-model, classification, translation, captioning, transcription, forecasting, imputation"
    assert models("ls", "--task", "tag", code=2) == (
        "",
        f"error: --task: unknown value 'tag'. Known: {known}, word-vectors.\n",
    )
    assert models("ls", "--sort", "age", code=2)[1].startswith("error: --sort: unknown value 'age'. ")


def test_a_damaged_report_does_not_hide_the_others(models, store, ner, finish):
    finish(store.create("pos"))
    ner.report_path.write_text("{")
    out, err = models("ls", "--json")
    assert [row["state"] for row in json.loads(out)] == ["damaged", "finished"]
    assert err.startswith("warning: runs/ner/1/report.json: damaged report")


def test_ls_marks_what_is_damaged(models, store, ner, finish):
    pos = finish(store.create("pos"))
    lm = finish(store.create("lm"))
    ner.weights_path.unlink()
    (pos.path / "manifest.json").unlink()
    out, err = models("ls")
    assert [line.split()[:3:2] for line in out.splitlines()[1:]] == [
        ["lm@1", "finished"],
        ["ner@1", "damaged"],
        ["pos@1", "damaged"],
    ]
    assert err.splitlines() == [
        "warning: runs/ner/1/model.safetensors: missing, although the manifest lists it",
        "warning: runs/pos/1/manifest.json: missing, although the training of pos@1 came to its end. "
        "Copy it back from where you have it, or train again: seqcli train pos",
    ]
    assert lm.finished


def test_verify(models, store, ner, finish):
    assert models("verify") == ("MODEL  STATE       SIZE  FAULTS\nner@1  finished  2.9 kB       -\n", "")
    pos = finish(store.create("pos"))
    store.create("ner").recipe_path.write_text("name: ner\n")
    for file, at in ((ner.weights_path, 900), (ner.path / "labels.txt", 0)):
        damaged = bytearray(file.read_bytes())
        damaged[at] ^= 1
        file.write_bytes(bytes(damaged))
    assert [row["state"] for row in json.loads(models("ls", "--json")[0])] == ["finished", "stopped", "finished"]
    assert models("verify", code=65) == (
        "MODEL  STATE       SIZE  FAULTS\n"
        "ner@1  damaged   2.9 kB       2\n"
        "ner@2  stopped     10 B       -\n"
        "pos@1  finished  2.9 kB       -\n",
        "error: runs/ner/1/labels.txt: damaged: its checksum is not the one in the manifest\n"
        "error: runs/ner/1/model.safetensors: damaged: its checksum is not the one in the manifest\n",
    )
    assert models("verify", "pos", "ner@2")[0].splitlines()[1:] == [
        "pos@1  finished  2.9 kB       -",
        "ner@2  stopped     10 B       -",
    ]
    out, err = models("verify", "ner", "--json", code=65)
    assert [(row["model"], row["state"], len(row["faults"])) for row in json.loads(out)] == [
        ("ner@1", "damaged", 2),
        ("ner@2", "stopped", 0),
    ]
    assert err.count("\n") == 2
    pos.report_path.unlink()
    assert models("verify", "runs/pos/1", code=65)[1].startswith("error: runs/pos/1/report.json: missing, although")
    assert models("verify", "nor", code=2) == ("", "error: no model 'nor' in runs. Did you mean 'ner'?\n")
    assert models("verify", "--runs", "empty") == ("", "no models in empty\n")


def test_show(models, ner):
    out, err = models("show", "ner")
    assert err == ""
    assert out.startswith("ner@1  tagging, finished, 2.9 kB, runs/ner/1\n\nrecipe\n")
    assert "  encoder      lstm, dim 200, bidirectional, dropout 0.3\n" in out
    assert "  test F1  81.25  f1|scheme:bio|v:seqcli-0\n" in out
    whole = json.loads(models("show", "ner@1", "--json")[0])
    assert whole["recipe"]["model"]["head"] == {"kind": "crf"}
    assert whole["report"]["minutes"] == 1.5
    assert {file["name"] for file in whole["files"]} >= {"recipe.yaml", "model.safetensors"}
    assert whole["environment"] == {"python": "3.11", "seed": 1}


def test_show_of_the_sides_the_model_and_the_engine(models, ner, store):
    out = models("show", "ner")[0]
    for row in (
        "source     text",
        "tokenizer  words",
        "target     tags, scheme bio",
        "model      network",
        "head       crf",
        "optimizer  adamw, lr 0.001",
    ):
        name, value = row.split(maxsplit=1)
        assert re.search(rf"^  {name} +{value}$", out, re.MULTILINE), row
    assert re.search(r"^engine\n  kind +onnx\n  precision +int8\n  difference +1\.5e-07\n", out, re.MULTILINE)
    assert re.search(r"^  fp32 dev f1 +85\n  int8 dev f1 +84\.95\n", out, re.MULTILINE)
    counted = store.create("counts")
    counted.recipe_path.write_text("name: counts\ntask: {kind: language-model}\nmodel: {kind: ngram, order: 3}\n")
    out = models("show", "counts")[0]
    assert "  model  ngram, order 3\n" in out
    assert "optimizer" not in out


def test_a_model_of_an_older_seqcli(models, ner, tmp_path):
    write_manifest(ner.path, Manifest(ner.verify().files, {"format": "seqcli model 1"}))
    said = "error: runs/ner/1: the model was trained by an older seqcli, and this one cannot read it. Train it again.\n"
    for command in (["show", "ner"], ["export", "ner"], ["pack", "ner"], ["cp", "ner", "mine"]):
        assert models(*command, code=65) == ("", said)
    assert json.loads(models("ls", "--json")[0])[0]["state"] == "finished"
    models("rm", "ner", "--yes")


def test_export(place, shell):
    wide = ["--set", "model.embedder.dim=64", "--set", "model.encoder.dim=80"]  # small weights are not rounded
    assert shell("train", "tiny.yaml", *wide, "-q").code == 0
    report = json.loads(Path("runs/tiny/1/report.json").read_text())
    first = Path("runs/tiny/1/engine.onnx").read_bytes()
    code, out, err = shell("models", "export", "tiny", "--fp32")
    assert (code, out) == (0, "runs/tiny/1/engine.onnx\n")
    assert re.fullmatch(r"tiny@1: kind onnx; precision fp32; difference \S+; [\d.]+ kB\n", err)
    exact = Path(out.strip()).read_bytes()

    code, out, err = shell("models", "export", "tiny@1", "--int8", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    rounded = Path(told["file"]).read_bytes()
    assert len(rounded) < 0.8 * len(exact)
    assert told["bytes"] == len(rounded)
    assert told["engine"]["precision"] == "int8"
    assert told["engine"]["difference"] < 1e-4
    assert set(told["engine"]["dev"]) == {"score", "fp32", "int8"}
    again = json.loads(Path("runs/tiny/1/report.json").read_text())
    assert again == {**report, "engine": told["engine"]}
    assert Run(Path("runs/tiny/1"), "tiny", 1).verify().files.keys() >= {"engine.onnx", "report.json"}

    Path("dev.conll").rename("gone.conll")
    code, out, err = shell("models", "export", "tiny", "--fp32")
    warning, note = err.splitlines()
    assert code == 0
    assert warning.startswith("warning: not compared with the network on data: dev.conll: there is no such dev file")
    assert re.fullmatch(r"tiny@1: kind onnx; precision fp32; [\d.]+ kB", note)
    Path("gone.conll").rename("dev.conll")

    assert shell("models", "export", "tiny").code == 0
    assert Path("runs/tiny/1/engine.onnx").read_bytes() == first  # as training chose
    assert shell("predict", "tiny", stdin=b"Anna met Ravi .\n").code == 0


def test_eight_bits_of_a_small_network(trained, shell):
    """There is nothing to round, and the report does not say that there was."""
    first = Path("runs/tiny/1/engine.onnx").read_bytes()
    told = json.loads(shell("models", "export", "tiny", "--int8", "--json").out)
    assert told["engine"]["precision"] == "fp32"
    assert Path("runs/tiny/1/engine.onnx").read_bytes() == first


def test_a_graph_travels_and_one_that_is_not_sealed_is_not_run(trained, shell):
    answer = shell("predict", "tiny", stdin=b"Anna met Ravi .\n").out
    assert shell("models", "pack", "tiny").out == "tiny-1.tar.gz\n"
    assert shell("models", "unpack", "tiny-1.tar.gz", "--name", "theirs").out == "theirs@1\n"
    assert Path("runs/theirs/1/engine.onnx").read_bytes() == Path("runs/tiny/1/engine.onnx").read_bytes()
    run = Run(Path("runs/theirs/1"), "theirs", 1)
    run.seal(run.verify().files.keys() - {"engine.onnx"})
    Path("runs/theirs/1/engine.onnx").write_bytes(b"no graph")
    assert shell("predict", "theirs", "--engine", "onnx", stdin=b"Anna\n") == (
        2,
        "",
        "error: theirs@1 has no graph to run. 'seqcli models export theirs@1' makes one; or leave out --engine.\n",
    )
    assert shell("models", "export", "theirs").code == 0
    assert shell("predict", "theirs", "--engine", "onnx", stdin=b"Anna met Ravi .\n").out == answer


def test_what_cannot_be_exported(trained, shell):
    text = "train.conll"
    Path("lm.yaml").write_text(
        f"name: counts\ntask: {{kind: language-model}}\ndata: {{train: {text}, format: lines}}\nmodel: {{kind: ngram}}\n"
    )
    assert shell("train", "lm.yaml", "-q").code == 0
    assert shell("models", "export", "counts") == (
        2,
        "",
        "error: counts@1 has no network: its model is ngram, which runs as it is\n",
    )
    Path("runs/tiny/1/model.safetensors").write_bytes(b"x")
    code, out, err = shell("models", "export", "tiny")
    assert (code, out) == (65, "")
    assert "model.safetensors: damaged" in err


def test_show_refuses_a_recipe_that_blows_up(models, store):
    run = store.create("bomb")
    run.recipe_path.write_text("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n")
    out, err = models("show", "bomb", "--json", code=65)
    assert (out, err) == ("", "error: runs/bomb/1/recipe.yaml: an alias, which a filled-in recipe has no use for\n")
    run.recipe_path.write_text("a: !!python/object/apply:os.system [echo run]\n")
    out, err = models("show", "bomb", code=65)
    assert "not a recipe" in err
    assert len(err.splitlines()) == 1


def test_show_names_the_damaged_file(models, ner):
    ner.weights_path.write_bytes(bytes(ner.weights_path.stat().st_size))
    assert models("show", "ner", code=65) == (
        "",
        "error: runs/ner/1/model.safetensors: damaged: its checksum is not the one in the manifest\n",
    )


def test_rm_asks_and_refuses(models, ner, tmp_path):
    out, err = models("rm", "ner", code=2)
    assert out == ""
    assert err == "error: nobody to ask whether to remove ner@1 (finished, 2.9 kB, runs/ner/1). Say --yes.\n"
    with ner.lock():
        assert f"is in use by process {os.getpid()}" in models("rm", "ner", "--yes", code=2)[1]
    (tmp_path / "precious").mkdir()
    assert "not a model" in models("rm", "./precious", "--yes", code=65)[1]
    assert ner.finished
    assert models("rm", "ner", "--yes")[1].startswith("removed ner@1 (finished, ")
    assert models("ls") == ("", "no models in runs\n")


def test_rm_of_several_looks_at_all_first(models, store, ner, finish, tmp_path):
    pos = finish(store.create("pos"))
    finish(store.create("pos"))
    out, err = models("rm", "ner", "pos@9", "nothing", "--yes", code=2)
    assert out == ""
    assert err == (
        "error: no version '9' of 'pos' in runs. Known: pos@1, pos@2.\n"
        "error: no model 'nothing' in runs. Known: ner, pos.\n"
    )
    with pos.lock():
        assert f"pos@1 is in use by process {os.getpid()}" in models("rm", "ner", "pos@1", "--yes", code=2)[1]
    assert models("rm", "ner", "pos@1", code=2)[1] == (
        "error: nobody to ask whether to remove 2 models (ner@1, pos@1). Say --yes.\n"
    )
    assert ner.finished
    _, err = models("rm", "ner", "runs/ner/1", "pos@1", "--yes")
    assert [line.split()[:2] for line in err.splitlines()] == [["removed", "ner@1"], ["removed", "pos@1"]]
    assert [run.path.name for run in store.runs()] == ["2"]
    nothing = "error: which models? Name versions such as ner@1, or say --stopped: one of the two.\n"
    assert models("rm", "--yes", code=2)[1] == models("rm", "pos", "--stopped", code=2)[1] == nothing


def test_rm_of_what_was_stopped(models, store, ner):
    stopped, running, empty = store.create("ner"), store.create("ner"), store.create("ner")
    for run in (stopped, running):
        run.recipe_path.write_text("name: ner\n")
        run.checkpoints.mkdir()
    gone = store.create("gone")  # its report was lost: no stopped training
    gone.recipe_path.write_text("name: gone\n")
    write_manifest(gone.path, Manifest({}, {}))
    with running.lock():
        assert models("rm", "--stopped", code=2)[1].endswith(
            "whether to remove ner@2 (stopped, 10 B, runs/ner/2). Say --yes.\n"
        )
        assert models("rm", "--stopped", "--yes") == ("", "removed ner@2 (stopped, 10 B, runs/ner/2)\n")
    assert [run.path.exists() for run in (ner, stopped, running, empty, gone)] == [True, False, True, True, True]
    assert models("rm", "--stopped", "--yes")[1].startswith("removed ner@3 ")
    assert models("rm", "--stopped") == ("", "no stopped trainings in runs\n")


def test_cp_pack_and_unpack(models, ner, tmp_path):
    assert models("cp", "ner", "mine") == ("mine@1\n", "")
    assert models("cp", "ner", "Mine", code=2)[1].startswith("error: 'Mine' cannot be the name of a model. Small")
    out, err = models("pack", "ner")
    assert (out, err[:16]) == ("ner-1.tar.gz\n", "ner@1: 9 files, ")
    assert models("pack", "ner", code=2)[1].startswith("error: ner-1.tar.gz: there already, so it stays.")
    assert models("pack", "ner", "-o", "none/x.tar.gz", code=74)[1].startswith("error: none/x.tar.gz: cannot write: No")
    assert models("unpack", "ner-1.tar.gz") == ("ner@2\n", "")
    assert models("unpack", "ner-1.tar.gz", "--name", "theirs") == ("theirs@1\n", "")
    (tmp_path / "bad.tar.gz").write_bytes(b"not one")
    out, err = models("unpack", "bad.tar.gz", code=65)
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("error: bad.tar.gz: ")
    assert "more than the 10 allowed" in models("unpack", "ner-1.tar.gz", "--max-size", 10, code=65)[1]


def test_the_store_and_its_verb_need_no_torch():
    code = (
        "import sys, seqcli.cli.models, seqcli.store.runs, seqcli.store.archive, seqcli.store.manifest\n"
        "assert not {'torch', 'numpy', 'rich', 'yaml'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
