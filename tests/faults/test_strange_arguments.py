"""Strange arguments, files and values: refused in one line that no terminal obeys, never an internal error."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tiny import RECIPE, Program, environment

from seqcli.cli.console import printable

DOTS = ".".join(["a"] * 50_001)
DEVICES = "Known: auto, cpu, cuda, mps."


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["recipes", "show", "x" * 300], 2, f"no recipe is called '{'x' * 300}'. Known: "),
        (["recipes", "show", "x" * 300 + ".yaml"], 74, f"{'x' * 300}.yaml: cannot read: File name too long"),
        (["recipes", "validate", "a\x1b[2J\nb"], 2, "no recipe is called 'a\\u001b[2J\\nb'. Known: "),
        (["recipes", "validate", "tiny.yaml", "--set", f"{DOTS}=1"], 2, "--set a.a.a."),
        (["train", "tiny.yaml", "--set", "training.seed=99999999999999999999"], 2, "--set training.seed=9999999999"),
        (["train", "tiny.yaml", "--device", "banana"], 2, f"--device: unknown value 'banana'. {DEVICES}"),
        (["predict", "tiny", "--format", ""], 2, "--format: unknown value ''. Known: inline, conll, tsv, jsonl."),
        (["predict", "\u202eyniT"], 2, "no model '\\u202eyniT' in runs. Known: tiny."),
        (["predict", "tiny", "--jason\r\n"], 2, "No such option: --jason\\x0d\\x0a"),
        (["bleu", "\x9b31m", "ref"], 74, "\\u009b31m: cannot read: No such file or directory"),
        (["data", "stats", "huge.jsonl"], 65, "huge.jsonl:1: a whole number of too many digits. Put it in quotes"),
        (["models", "cp", "tiny", ""], 2, "'' cannot be the name of a model. Small letters, digits,"),
    ],
)
def test_it_is_refused_in_one_line(seqcli: Program, trained: Path, words: list[str], code: int, message: str) -> None:
    (trained / "huge.jsonl").write_text('{"text": "a", "label": ' + "1" * 10_000 + "}\n")
    found, out, err = seqcli("-q", *words)
    assert (found, out) == (code, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert len(err) < 2200
    assert printable(err[:-1]) == err[:-1]


def test_a_long_message_keeps_its_begin_and_its_end(seqcli: Program, place: Path) -> None:
    code, _, err = seqcli("recipes", "validate", "tiny.yaml", "--set", f"{DOTS}=1")
    assert code == 2
    first, left_out, last = err.split(" ... ")
    assert (len(first), first[:20]) == (1500, "error: --set a.a.a.a")
    assert left_out.endswith(" characters left out)")
    assert last.endswith("a path of 50,001 names. A recipe has at most 32 levels.\n")
    assert len(last) == 501


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data={corpus: wnut}", "data.corpus: no data set is called 'wnut'. Did you mean 'wnut17'?"),
        ("data={corpus: zzz}", "data.corpus: no data set is called 'zzz'. Known: mini-ner, wnut17, "),
    ],
)
@pytest.mark.parametrize("verb", [["recipes", "validate"], ["train"]])
def test_an_unknown_corpus(seqcli: Program, place: Path, verb: list[str], setting: str, message: str) -> None:
    code, out, err = seqcli(*verb, "tiny.yaml", "--set", setting)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: --set {setting}: {message}")


def test_an_unknown_corpus_has_its_place_in_the_file(seqcli: Program, place: Path) -> None:
    (place / "mine.yaml").write_text(
        RECIPE.replace("{train: train.conll, dev: dev.conll, test: test.conll}", "{corpus: nr}")
    )
    code, _, err = seqcli("recipes", "validate", "mine.yaml")
    assert (code, err.split(" Known:")[0]) == (2, "error: mine.yaml:4:16: data.corpus: no data set is called 'nr'.")


@pytest.mark.parametrize("option", [("--device", "cuda"), ("--engine", "onnx"), ("--engine", "torch")])
def test_options_of_networks_are_refused_for_counts(
    seqcli: Program, classifiers: Path, option: tuple[str, str]
) -> None:
    assert seqcli("predict", "bag", *option, stdin=b"x\n") == (
        2,
        "",
        f"error: bag@1 is a model of kind bag-of-words, not a network: {' '.join(option)} has no effect on it. "
        "Leave it out.\n",
    )


def test_quiet_leaves_errors_only(seqcli: Program, classifiers: Path) -> None:
    code, out, err = seqcli("predict", "bag", stdin=b"\n")
    assert (code, out.count("\n"), err.startswith("warning: ")) == (0, 1, True)
    assert seqcli("predict", "bag", "-q", stdin=b"\n") == (0, out, "")
    assert seqcli("predict", "bog", "-q").err.startswith("error: no model 'bog'")


def test_a_table_has_a_line_a_row_whatever_stands_in_it(seqcli: Program, place: Path) -> None:
    (place / "odd.conll").write_text("a\tB-\x1b[2J\nb\tO\n")
    code, out, _ = seqcli("data", "stats", "odd.conll")
    assert (code, "\x1b" in out, "\\u001b[2J" in out) == (0, False, True)


def test_a_name_that_cannot_be_one_of_an_archive(seqcli: Program, trained: Path) -> None:
    assert seqcli("models", "pack", "tiny", "-o", "t.tar.gz").code == 0
    code, out, err = seqcli("models", "unpack", "t.tar.gz", "--name", "")
    assert (code, out, err.split(".")[0]) == (2, "", "error: '' cannot be the name of a model")


def test_out_of_memory_says_what_the_verb_can_do(
    seqcli: Program, place: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise MemoryError

    monkeypatch.setattr("seqcli.lines._decode", full)
    monkeypatch.setattr("seqcli.data.encode.encode_examples", full)
    code, out, err = seqcli("tokenize", stdin=b"a\n")
    assert (code, out) == (1, "")
    assert err == "error: out of memory. Give it less at once (shorter lines, smaller files), or free some memory\n"
    code, out, err = seqcli("train", "tiny.yaml")
    assert (code, out, err) == (1, "", "error: out of memory. Lower training.batch.tokens, or free some memory\n")


# what is written over


def test_a_pipe_is_written_to_and_stays_one(seqcli: Program, place: Path) -> None:
    pipe = place / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert seqcli("recipes", "cp", "tiny.yaml", "pipe", "--force") == (0, "pipe\n", "")
    reader.join()
    assert read == [RECIPE.replace("name: tiny", "name: pipe")]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_to_and_stays_one(seqcli: Program, place: Path) -> None:
    device = place / "device"
    try:
        os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        device.write_bytes(b"x")
    except OSError:
        pytest.skip("devices can be made by root alone")
    assert seqcli("recipes", "cp", "tiny.yaml", "device", "--force") == (0, "device\n", "")
    assert stat.S_ISCHR(device.stat().st_mode)


def test_what_a_link_leads_to_is_written(seqcli: Program, place: Path) -> None:
    (place / "link").symlink_to("mine.yaml")
    assert seqcli("recipes", "cp", "tiny.yaml", "link") == (0, "link\n", "")
    assert (place / "link").is_symlink()
    assert (place / "mine.yaml").read_text() == RECIPE.replace("name: tiny", "name: link")


def test_a_link_to_itself_stays(seqcli: Program, place: Path) -> None:
    (place / "loop").symlink_to("loop")
    error = "error: loop: cannot write: Too many levels of symbolic links\n"
    assert seqcli("recipes", "cp", "tiny.yaml", "loop") == (74, "", error)


def test_stdout_by_its_name_goes_on_where_it_is(place: Path) -> None:
    from test_closed_streams import bash

    (place / "text").write_text("a b a\n")
    (place / "out").write_text("before\n")
    code, _, err = bash(place, "vocab build text -o /dev/stdout -q >> out")
    first, *rest = (place / "out").read_text().splitlines()
    assert (code, err, first, rest[0].split("\t")[0]) == (0, "", "before", "#seqcli-vocabulary 1")
    assert rest[-1].split() == ["file", "/dev/stdout"]


def test_a_name_as_long_as_the_system_allows(seqcli: Program, place: Path) -> None:
    name = "a" * 255
    said = f"its models will be called {name[:100]} (--name gives another name)\n"
    assert seqcli("recipes", "cp", "tiny.yaml", name) == (0, f"{name}\n", said)


# what is damaged


def test_a_damaged_cache_is_made_anew(seqcli: Program, trained: Path, cache: Path) -> None:
    good = seqcli("evaluate", "tiny")
    assert good.code == 0
    (folder,) = (cache / "encoded").iterdir()
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, data in whole.items():
        for rubbish in (b"", b"\xff" * len(data), data[:-1], None):
            (folder / name).unlink()
            if rubbish is not None:
                (folder / name).write_bytes(rubbish)
            code, out, err = seqcli("evaluate", "tiny", "-v")
            assert (code, out) == (0, good.out)
            assert "; encoding it anew ..." in err
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    shutil.rmtree(folder)
    folder.write_text("a file where a folder is expected")
    assert seqcli("evaluate", "tiny") == good


def test_a_graph_that_lies_about_itself(seqcli: Program, trained: Path) -> None:
    import onnx

    from seqcli.store.manifest import read_manifest
    from seqcli.store.runs import Run

    run = trained / "runs/tiny/1"
    labels = (run / "labels.txt").read_text().splitlines()
    (run / "labels.txt").write_text("".join(f"{label}\n" for label in labels[:-2]))
    graph = onnx.load(run / "engine.onnx")
    sizes = next(one for one in graph.metadata_props if one.key == "sizes")
    sizes.value = json.dumps(json.loads(sizes.value) | {"labels": len(labels) - 2})
    onnx.save(graph, run / "engine.onnx")
    Run(run, "tiny", 1).seal(read_manifest(run).files)
    assert seqcli("predict", "tiny", stdin=b"Ravi\n") == (
        65,
        "",
        f"error: runs/tiny/1/engine.onnx: logits_BTK of the graph is {len(labels)} wide, but the model has "
        f"{len(labels) - 2} to choose from. Make it again: seqcli models export runs/tiny/1\n",
    )


# what others do at the same time


def test_a_name_that_leads_in_a_circle_does_not_hide_the_others(seqcli: Program, trained: Path) -> None:
    (trained / "runs/around").symlink_to("around")
    code, out, err = seqcli("models", "ls")
    assert (code, out.splitlines()[1].split()[0]) == (0, "tiny@1")
    assert err == "warning: runs/around: cannot read: Too many levels of symbolic links\n"
    assert seqcli("predict", "tiny", stdin=b"Ravi\n").code == 0


STAGES = """
import sys
from seqcli.store.runs import Store, remove

store = Store(sys.argv[1])
for _ in range(60):
    with store.staging("one") as stage:
        (stage / "recipe.yaml").write_text("name: one")
    with store.staging("one") as stage:
        (stage / "recipe.yaml").write_text("name: one")
        run = store.adopt(stage, "one")
    remove(run)
"""


def test_many_processes_stage_one_name(place: Path) -> None:
    command = [sys.executable, "-c", STAGES, "runs"]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, env=environment()) for _ in range(6)]
    assert [(process.communicate()[1].decode(), process.returncode) for process in processes] == [("", 0)] * 6
    assert not list((place / "runs").glob("one/*"))


def test_dash_is_stdout_for_what_is_written_too(place: Path) -> None:
    from test_closed_streams import bash

    (place / "v.txt").write_text("a 1 2\n")
    code, out, err = bash(place, "recipes cp tiny.yaml -")
    said = "its models will be called tiny-copy (--name gives another name)\n"
    assert (code, out, err) == (0, RECIPE.replace("name: tiny", "name: tiny-copy"), said)
    assert not (place / "-").exists()


def test_end_of_input_at_a_question(trained: Path) -> None:
    import pty

    here, there = pty.openpty()
    command = [sys.executable, "-m", "seqcli", "models", "rm", "tiny@1"]
    with subprocess.Popen(command, stdin=there, stdout=there, stderr=subprocess.PIPE, env=environment()) as process:
        os.write(here, b"\x04")
        assert process.stderr is not None
        assert process.stderr.read().decode().endswith("error: aborted\n")
    os.close(here)
    os.close(there)
    assert (process.returncode, (trained / "runs/tiny/1").is_dir()) == (1, True)


@pytest.mark.parametrize("address", ["http://[::1", "http://user:secret@[::1"])
def test_a_mirror_that_is_no_address(
    seqcli: Program, place: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("SEQCLI_MIRROR", address)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    code, out, err = seqcli("data", "get", "wnut17")
    assert (code, out, "secret" in err) == (74, "", False)
    assert "error: cannot fetch wnut17/" in err


# files


@pytest.mark.parametrize(
    "name", ["a b", "-dash", "a\nb", "~nobody", "$(id)", "q'uote", "a:1", "x\udcff", "\u202eabc", "\U0001f600" * 50]
)
def test_a_file_may_be_called_anything(seqcli: Program, trained: Path, cache: Path, name: str) -> None:
    shutil.copy("test.conll", f"{name}.conll")
    expected = json.loads(seqcli("evaluate", "tiny", "test.conll", "--json").out)
    code, out, err = seqcli("evaluate", "tiny", "--json", "--", f"{name}.conll")
    assert (code, err) == (0, "")
    assert json.loads(out) == expected | {"data": f"{name}.conll"}
    assert seqcli("predict", "tiny", "--", f"{name}.conll") == seqcli("predict", "tiny", "test.conll")


def test_nobody_has_no_home(seqcli: Program, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEQCLI_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    error = "error: no home folder to keep the cache in. Set SEQCLI_CACHE to a folder.\n"
    assert seqcli("evaluate", "tiny") == (74, "", error)


def test_a_pipe_in_place_of_a_report_is_not_waited_for(seqcli: Program, trained: Path) -> None:
    report = trained / "runs/tiny/1/report.json"
    report.unlink()
    os.mkfifo(report)
    code, out, err = seqcli("models", "ls")
    assert (code, out.splitlines()[1].split()[2]) == (0, "damaged")
    assert err.startswith("warning: runs/tiny/1/report.json: missing, although the training of tiny@1 came to its end.")
