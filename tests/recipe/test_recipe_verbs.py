"""The verbs as a shell sees them: stdout, stderr and exit code, exactly."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import seqcli as seqcli_package
from seqcli.recipe.folder import recipe_folder, recipe_names
from seqcli.recipe.load import load_recipe
from seqcli.recipe.registry import REGISTRY

ROOT = Path(seqcli_package.__file__).parents[1]
BAD = "name: r\ntask: {kind: taging}\nmodel:\n  encoder: {kind: lsmt}\n"


@pytest.fixture
def seqcli(tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)

    def run(*arguments, code="from seqcli.cli.app import main; main()"):
        environment = {**os.environ, "SEQCLI_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
        )
        return done.stdout, done.stderr, done.returncode

    return run


BAD_ERRORS = (
    "error: bad.yaml:1:1: data: missing (the examples)\n"
    "error: bad.yaml:2:14: task: unknown task 'taging'. Did you mean 'tagging'?\n"
    "error: bad.yaml:4:19: model.encoder: unknown encoder 'lsmt'. Did you mean 'lstm'?\n"
)


def test_validate(seqcli):
    assert seqcli("recipes", "validate", "ner") == ("ner: ok\n", "", 0)
    assert seqcli("recipes", "validate", "bad.yaml", "ner", "nre") == (
        "ner: ok\n",
        BAD_ERRORS + "error: no recipe is called 'nre'. Did you mean 'ner'?\n",
        2,
    )


def test_validate_json(seqcli):
    out, err, code = seqcli("recipes", "validate", "ner", "bad.yaml", "--json")
    assert (err, code) == (BAD_ERRORS, 2)
    first, second = json.loads(out)
    assert first == {"file": "ner", "ok": True, "errors": []}
    assert second["errors"][1] == {
        "file": "bad.yaml",
        "line": 2,
        "column": 14,
        "message": "task: unknown task 'taging'. Did you mean 'tagging'?",
        "hint": None,
    }


def test_validate_with_set(seqcli):
    assert seqcli("recipes", "validate", "ner", "--set", "training.epoch=3") == (
        "",
        "error: --set training.epoch=3: training.epoch: unknown key. Did you mean 'epochs'?\n",
        2,
    )


def test_ls(seqcli):
    out, err, code = seqcli("recipes", "ls")
    assert (err, code) == ("", 0)
    header, *rows = out.splitlines()
    assert header.split() == ["name", "task", "data", "description"]
    assert [row.split()[0] for row in rows] == recipe_names()
    out, _, _ = seqcli("recipes", "ls", "--json")
    assert {
        "name": "ner",
        "task": "tagging",
        "data": "mini-ner",
        "description": load_recipe("ner").recipe.description,
    } in json.loads(out)


def test_show(seqcli):
    out, err, code = seqcli("recipes", "show", "ner", "--set", "model.encoder.dim=300")
    assert (err, code) == ("", 0)
    lines = {" ".join(line.split()) for line in out.splitlines()}
    assert {"dim: 300 # --set", "layers: 1 # default", "epochs: 30 # file"} <= lines
    assert yaml.safe_load(out) == load_recipe("ner", ["model.encoder.dim=300"]).recipe.model_dump(mode="json")
    shown = json.loads(seqcli("recipes", "show", "ner", "--json")[0])
    assert shown["recipe"] == load_recipe("ner").recipe.model_dump(mode="json")
    assert shown["origins"]["model.encoder.layers"] == "default"


def test_cp(seqcli, tmp_path):
    ours = (recipe_folder() / "ner.yaml").read_text()

    def called(name):
        return re.sub(
            r"description: .*", "description: a copy of ner", ours.replace("name: ner", f"name: {name}"), count=1
        )

    assert seqcli("recipes", "cp", "ner", "my.yaml") == ("my.yaml\n", "", 0)
    assert (tmp_path / "my.yaml").read_text() == called("my")
    (tmp_path / "my.yaml").write_text("mine")
    assert seqcli("recipes", "cp", "ner", "my.yaml") == (
        "",
        "error: my.yaml: exists already. Name another file, or overwrite it with --force.\n",
        2,
    )
    assert (tmp_path / "my.yaml").read_text() == "mine"
    assert seqcli("recipes", "cp", "ner", "my.yaml", "--force", "--name", "other") == ("my.yaml\n", "", 0)
    assert (tmp_path / "my.yaml").read_text() == called("other")
    (tmp_path / "folder").mkdir()
    said = "its models will be called ner-copy (--name gives another name)\n"
    assert seqcli("recipes", "cp", "ner", "folder") == (f"{os.path.join('folder', 'ner.yaml')}\n", said, 0)
    assert (tmp_path / "folder" / "ner.yaml").read_text() == called("ner-copy")
    assert seqcli("recipes", "cp", "ner", "folder", "--name", "mine") == (
        f"{os.path.join('folder', 'mine.yaml')}\n",
        "",
        0,
    )
    assert seqcli("recipes", "cp", "ner", "x.yaml", "--name", "My Model") == (
        "",
        "error: 'My Model' cannot be the name of a model. Small letters, digits, '.', '_' and '-', with a letter or "
        "digit first.\n",
        2,
    )
    assert seqcli("recipes", "cp", "ner", "Meine Datei.yaml") == (
        "Meine Datei.yaml\n",
        "its models will be called meine-datei (--name gives another name)\n",
        0,
    )
    assert seqcli("recipes", "cp", "ner", "none/my.yaml") == (
        "",
        "error: none/my.yaml: cannot write: No such file or directory\n",
        74,
    )


def test_a_copy_leads_to_the_same_files(seqcli, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "own.yaml").write_text(
        "name: own\ndescription: 'it''s: mine'  # a remark\ntask: {kind: tagging}\n"
        'data: {train: [a.conll, "b c.conll"], dev: sub/d.conll, test: /t.conll}\n'
        "model: {kind: majority}\n"
    )
    assert seqcli("recipes", "cp", "own.yaml", "sub/new.yaml") == ("sub/new.yaml\n", "", 0)
    assert (tmp_path / "sub" / "new.yaml").read_text() == (
        "name: new\ndescription: a copy of own  # a remark\ntask: {kind: tagging}\n"
        "data: {train: [../a.conll, ../b c.conll], dev: d.conll, test: /t.conll}\n"
        "model: {kind: majority}\n"
    )
    (tmp_path / "own.yaml").write_text("name: own\ndescription: >\n  more\n  lines\ntask: {kind: tagging}\n")
    assert seqcli("recipes", "cp", "own.yaml", "two.yaml") == ("two.yaml\n", "", 0)
    assert (tmp_path / "two.yaml").read_text() == (
        "name: two\ndescription: >\n  more\n  lines\ntask: {kind: tagging}\n"
    )


def test_schema(seqcli):
    out, err, code = seqcli("recipes", "schema")
    assert (err, code) == ("", 0)
    assert json.loads(out)["$schema"].endswith("2020-12/schema")


def test_components(seqcli):
    assert seqcli("components", "head", "crf") == (
        "head crf: Linear-chain conditional random field (Lafferty et al. 2001), steps illegal under the tag scheme "
        "ruled out.\n"
        "  option       type        default  meaning\n"
        "  constrained  true/false  true     rule out tag steps that the scheme forbids, in training and decoding\n",
        "",
        0,
    )
    assert seqcli("components", "tokenizer", "bytes") == (
        "tokenizer bytes: One token a byte of UTF-8.\n  no options\n",
        "",
        0,
    )
    assert seqcli("components", "encoder", "lsmt") == ("", "error: unknown encoder 'lsmt'. Did you mean 'lstm'?\n", 2)
    assert seqcli("components", "encodr") == ("", "error: unknown slot 'encodr'. Did you mean 'encoder'?\n", 2)
    assert [one["kind"] for one in json.loads(seqcli("components", "head", "--json")[0])] == [
        "softmax",
        "crf",
        "sigmoid",
        "adaptive",
        "ctc",
        "direct",
        "shifted",
        "segments",
        "stepwise",
        "fill",
    ]
    headings = [line.split(":")[0] for line in seqcli("components")[0].splitlines() if line and line[0] != " "]
    assert headings == [f"{slot} {kind}" for slot, kinds in REGISTRY.items() for kind in kinds]
    for slot, kinds in (("source", "text frames"), ("target", "tags labels"), ("model", "network encoder-decoder")):
        assert [f"{slot} {kind}" for kind in kinds.split()] == [one for one in headings if one.split()[0] == slot][:2]
    assert "  scheme  " in seqcli("components", "target", "tags")[0]
    assert "section of kind rnn, lstm, gru" in seqcli("components", "model", "network")[0]


WITHOUT = """
import sys
from seqcli.cli.app import main
try:
    main()
finally:
    print(sorted(set(sys.modules) & {names}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["recipes", "--help"],
        ["recipes", "ls"],
        ["recipes", "validate", "ner"],
        ["recipes", "show", "ner"],
        ["recipes", "schema"],
        ["components", "head"],
    ],
)
def test_no_torch(seqcli, arguments):
    heavy = {"torch", "onnxruntime", "rich", "sentencepiece", "sacrebleu", "sklearn"}
    if arguments[1:2] not in (["validate"], ["show"]):  # these two ask the task for its rules
        heavy.add("numpy")
    code = WITHOUT.replace("{names}", repr(heavy))
    _, err, status = seqcli(*arguments, code=code)
    assert (err, status) == ("[]\n", 0)


def test_the_list_needs_no_pydantic(seqcli):
    code = (
        "import sys; from seqcli.recipe.folder import summaries; import seqcli.cli.recipes, seqcli.cli.components; "
        "print(len(summaries()) > 0, [m for m in sys.modules if 'pydantic' in m])"
    )
    assert seqcli(code=code) == ("True []\n", "", 0)
