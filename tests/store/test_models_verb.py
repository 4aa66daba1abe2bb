"""``seqcli models`` as a shell sees it: stdout, stderr, exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_damaged_report_does_not_hide_the_others(models, store, ner, finish):
    finish(store.create("pos"))
    ner.report_path.write_text("{")
    out, err = models("ls", "--json")
    assert [row["state"] for row in json.loads(out)] == ["damaged", "finished"]
    assert err.startswith("warning: runs/ner/1/report.json: damaged report")


def test_show(models, ner):
    out, err = models("show", "ner")
    assert err == ""
    assert out.startswith("ner@1  tagging, finished, 2.6 kB, runs/ner/1\n\nrecipe\n")
    assert "  encoder      lstm, dim 200, bidirectional, dropout 0.3\n" in out
    assert "  test F1  81.25  f1|scheme:bio|v:seqcli-0\n" in out
    whole = json.loads(models("show", "ner@1", "--json")[0])
    assert whole["recipe"]["model"]["head"] == {"kind": "crf"}
    assert whole["report"]["minutes"] == 1.5
    assert {file["name"] for file in whole["files"]} >= {"recipe.yaml", "model.safetensors"}
    assert whole["environment"] == {"python": "3.11", "seed": 1}


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
    assert err == "error: nobody to ask whether to remove ner@1 (finished, 2.6 kB, runs/ner/1). Say --yes.\n"
    with ner.lock():
        assert f"is in use by process {os.getpid()}" in models("rm", "ner", "--yes", code=2)[1]
    (tmp_path / "precious").mkdir()
    assert "not a model" in models("rm", "./precious", "--yes", code=65)[1]
    assert ner.finished
    assert models("rm", "ner", "--yes")[1].startswith("removed ner@1 (finished, ")
    assert models("ls") == ("", "no models in runs\n")


def test_cp_pack_and_unpack(models, ner, tmp_path):
    assert models("cp", "ner", "mine") == ("mine@1\n", "")
    assert models("cp", "ner", "Mine", code=2)[1].startswith("error: 'Mine' cannot be the name of a model. Small")
    out, err = models("pack", "ner")
    assert (out, err[:16]) == ("ner-1.tar.gz\n", "ner@1: 8 files, ")
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
