"""The store: versions, names, locks, seals."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from seqcli.errors import UserError
from seqcli.store.archive import copy, pack
from seqcli.store.manifest import Manifest, write_manifest
from seqcli.store.runs import Run, Store, remove


def fails(code: int, body, *parts: str) -> str:
    with pytest.raises(UserError) as caught:
        body()
    assert caught.value.code == code
    for part in parts:
        assert part in str(caught.value)
    return str(caught.value)


def test_root_is_the_argument_else_the_environment_else_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQCLI_RUNS", str(tmp_path))
    assert Store("here").root == Path("here")
    assert Store().root == tmp_path
    monkeypatch.delenv("SEQCLI_RUNS")
    assert Store().root == Path("runs")


def test_versions_never_overwrite_each_other(store):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: store.create("ner"), range(40)))
    assert sorted(run.version for run in made) == list(range(1, 41))
    assert [run.version for run in store.versions("ner")] == list(range(1, 41))


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "Ner", "ner@2", "-x", "a b", "x" * 101])
def test_names_that_cannot_be_one(store, name):
    fails(2, lambda: store.create(name), "cannot be the name of a model")
    assert not store.root.exists()


def test_resolve_newest_finished_version_path_and_none(store, ner, finish):
    second = finish(store.create("ner"))
    third = store.create("ner")
    third.recipe_path.write_text("name: ner\n")
    assert store.resolve("ner").version == 2
    assert store.resolve("ner@1").version == 1
    assert store.resolve("ner", finished=False).version == 2
    assert store.resolve(str(second.path)) == Run(second.path, "ner", 2)
    assert store.newest_unfinished("ner") == third
    assert store.newest_unfinished("pos") is None
    message = fails(2, lambda: store.resolve("ner@3"))
    again = f"seqcli train {third.recipe_path} --runs {store.root} --resume"
    assert message == f"the training of ner@3 is not finished. Go on with it: {again}"


def test_resolve_none_takes_the_newest_that_can_do_the_verb(store, ner, finish):
    lm = finish(store.create("shakespeare"), task="language-model")
    os.utime(ner.report_path, (1000, 1000))
    assert store.resolve(None) == lm
    assert store.resolve(None, task_kinds={"tagging"}) == ner
    assert (
        fails(2, lambda: store.resolve(None, task_kinds={"translation"}))
        == f"no trained model for translation in {store.root}. Train one: seqcli train ner"
    )
    assert (
        fails(2, lambda: store.resolve("ner", task_kinds={"language-model", "translation"}))
        == "ner@1 is a model for tagging; this needs one for language-model or translation. Known: shakespeare@1."
    )
    assert (
        fails(2, lambda: store.resolve("shakespeare", task_kinds={"translation"}))
        == "shakespeare@1 is a model for language-model; this needs one for translation. Train one: seqcli train ner"
    )


def test_a_model_for_another_task_names_the_newest_of_those_that_can(store, ner, finish):
    for name in ("hello", "poems", "hello"):
        finish(store.create(name), task="language-model")
    store.create("hello")
    assert (
        fails(2, lambda: store.resolve("ner", task_kinds={"language-model"}))
        == "ner@1 is a model for tagging; this needs one for language-model. Known: hello@2, poems@1."
    )
    message = fails(2, lambda: store.resolve("poems", task_kinds={"word-vectors"}))
    assert message.endswith("Train one: seqcli train embedding")


def test_holds_tells_the_name_of_a_run_from_anything_else(store, ner, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("ner\n")
    assert [store.knows(ref) for ref in ("ner", "ner@1", "ner@9", str(ner.path), "runs/ner/1")] == [True] * 5
    assert [store.knows(ref) for ref in ("text.txt", "./text.txt", "pos", "-", "", "runs/ner", "x/y")] == [False] * 7


def test_unknown_names_say_what_there_is(store, ner, finish):
    finish(store.create("pos"))
    assert fails(2, lambda: store.resolve("nre")) == f"no model 'nre' in {store.root}. Did you mean 'ner'?"
    assert fails(2, lambda: store.resolve("zzzzz")) == f"no model 'zzzzz' in {store.root}. Known: ner, pos."
    assert fails(2, lambda: store.resolve("ner@7")) == f"no version '7' of 'ner' in {store.root}. Known: ner@1."
    assert fails(2, lambda: store.resolve("ner@x")).startswith("no version 'x'")
    assert fails(2, lambda: Store(store.root / "none").resolve("ner")).endswith("Train one: seqcli train ner")


def test_paths_that_are_no_model(store, tmp_path):
    fails(74, lambda: store.resolve(str(tmp_path / "gone")), "no such folder")
    fails(65, lambda: store.resolve(str(tmp_path)), "not a model")


def test_a_run_is_enough_on_its_own(ner, tmp_path):
    moved = tmp_path / "elsewhere"
    ner.path.rename(moved)
    run = Store(tmp_path / "none").resolve(str(moved))
    assert (run.name, run.version, run.finished) == ("elsewhere", None, True)
    assert sorted(run.verify().files) == [
        "engine.onnx",
        "labels.txt",
        "model.safetensors",
        "recipe.yaml",
        "vocabulary.txt",
    ]


def test_every_flipped_bit_of_a_sealed_file_is_found(ner):
    ner.verify()
    chance = random.Random(1)
    names = ["recipe.yaml", "vocabulary.txt", "labels.txt", "model.safetensors", "manifest.json"]
    for _ in range(200):
        path = ner.path / chance.choice(names)
        good = path.read_bytes()
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        fails(65, ner.verify, path.name)
        path.write_bytes(good)
    ner.verify()


def old_seal(run):
    """The manifest of a run as the seqcli before wrote it."""
    manifest = run.verify()
    write_manifest(run.path, Manifest(manifest.files, {"format": "seqcli model 1"}))


def test_a_model_of_an_older_seqcli_says_so(ner, store, tmp_path):
    old_seal(ner)
    said = f"{ner.path}: the model was trained by an older seqcli, and this one cannot read it. Train it again."
    assert fails(65, ner.verify) == said
    assert fails(65, lambda: pack(ner, tmp_path / "x.tar.gz")) == said
    assert fails(65, lambda: copy(ner, store, "mine")) == said
    write_manifest(ner.path, Manifest({}, {"format": "seqcli model 3"}))
    fails(65, ner.verify, "not a model of this version of seqcli")


def test_files_are_replaced_and_sealed_again(ner):
    before = ner.verify().files
    ner.replace({"engine.onnx": b"another", "report.json": b"{}"})
    after = ner.verify().files
    assert after.keys() == before.keys() | {"report.json"}
    assert {name for name in before if after[name] != before[name]} == {"engine.onnx"}
    assert (ner.path / "engine.onnx").read_bytes() == b"another"


@pytest.mark.parametrize("writes", range(4))
def test_a_replacement_that_is_interrupted_leaves_a_sound_run(ner, monkeypatch, writes):
    """Killed before any of its four writes: manifest, two files, manifest."""
    left = [writes]
    rename = os.replace

    def stop_in_time(*paths):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        rename(*paths)

    monkeypatch.setattr(os, "replace", stop_in_time)
    with pytest.raises(KeyboardInterrupt):
        ner.replace({"engine.onnx": b"another", "report.json": b"{}"})
    assert ner.finished
    assert ("engine.onnx" in ner.verify().files) == (writes == 0)


def test_a_damaged_run_is_not_sealed_anew(ner):
    ner.weights_path.write_bytes(b"x")
    fails(65, lambda: ner.replace({"engine.onnx": b"another"}), "model.safetensors", "damaged")
    assert (ner.path / "engine.onnx").read_bytes() != b"another"


def test_cut_grown_and_missing_files_are_named(ner):
    good = ner.weights_path.read_bytes()
    for bad in (b"", good[:-1], good + b"\0", bytes(len(good))):
        ner.weights_path.write_bytes(bad)
        fails(65, ner.verify, "model.safetensors", "damaged")
    ner.weights_path.unlink()
    fails(65, ner.verify, "model.safetensors", "missing")
    (ner.path / "manifest.json").unlink()
    fails(65, ner.verify, "manifest.json", "missing")
    assert not ner.finished


def test_a_huge_file_in_place_of_a_small_one_is_not_read(ner):
    with ner.weights_path.open("wb") as handle:
        handle.truncate(1 << 40)  # sparse
    before = time.perf_counter()
    fails(65, ner.verify, "model.safetensors")
    assert time.perf_counter() - before < 1


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[" * 5000, '{"files": {"a": 1}, "about": {}}', "\0" * 50])
def test_manifests_that_are_none(ner, text):
    (ner.path / "manifest.json").write_text(text)
    fails(65, ner.verify, "manifest.json")


def test_a_recipe_reaches_no_file_outside_its_folder(ner, tmp_path):
    assert ner.inside("vocabulary.txt") == ner.vocabulary_path
    (ner.path / "out").symlink_to(tmp_path)
    for name in ("../x", "/etc/passwd", "a/../../x", "out/secret"):
        fails(65, lambda name=name: ner.inside(name), name, "outside")


HOLD = """
import os, sys
from pathlib import Path
from seqcli.store.runs import Run
with Run(Path(sys.argv[1]), "ner", 1).lock():
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


def test_a_second_training_is_refused_until_the_first_is_killed(ner):
    command = [sys.executable, "-c", HOLD, ner.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        pid = int(first.stdout.readline())
        assert ner.in_use
        message = fails(2, lambda: ner.lock().__enter__())
        assert message.startswith(f"ner@1 is in use by process {pid}.")
        fails(2, lambda: remove(ner), str(pid))
        assert ner.finished
        first.kill()
        first.wait()
        assert not ner.in_use
        with ner.lock():
            pass


def test_remove_never_follows_links(store, ner, tmp_path):
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").write_text("kept")
    (ner.path / "link").symlink_to(outside)
    link = store.root / "ner" / "2"
    link.symlink_to(ner.path)
    fails(65, lambda: remove(Run(link, "ner", 2)), "not the folder of a model")
    fails(65, lambda: remove(Run(outside, "precious")), "not the folder of a model")
    link.unlink()
    remove(ner)
    assert not (store.root / "ner").exists()
    assert (outside / "file").read_text() == "kept"


def test_an_empty_run_can_be_removed(store):
    run = store.create("ner")
    remove(run)
    assert store.runs() == []


def test_a_store_that_cannot_be_written_fails_before_any_training(tmp_path):
    (tmp_path / "file").write_text("")
    fails(74, lambda: Store(tmp_path / "file" / "runs").create("ner"), "cannot write")
    fails(74, lambda: Store("/proc/seqcli").create("ner"), "cannot write")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_fails_before_any_training(store, ner):
    ner.path.chmod(0o500)
    try:
        fails(74, lambda: ner.lock().__enter__(), "cannot write")
    finally:
        ner.path.chmod(0o700)
