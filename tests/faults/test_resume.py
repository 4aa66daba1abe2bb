"""Checkpoints and resuming at the level of the program: damage, full disks, changes, numbers that are not."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import Program

from seqcli.errors import ExitCode, UserError
from seqcli.recipe.load import load_recipe
from seqcli.store.runs import Run, Store

SETS = ("training.epochs=6", "training.keep_checkpoints=3")


def start(after: int, *, sets: tuple[str, ...] = SETS) -> Run:
    """Train ``tiny`` and have it stopped after so many steps; the run is left as SIGTERM leaves it."""
    from seqcli.pipeline.train import train
    from seqcli.training.loop import StepEvent

    steps: list[StepEvent] = []
    events = train(
        load_recipe("tiny.yaml", sets).recipe,
        Store(),
        should_stop=lambda: ExitCode.TERMINATED if len(steps) >= after else None,
    )
    with pytest.raises(UserError) as stopped:
        steps.extend(event for event in events if isinstance(event, StepEvent))
    assert stopped.value.code == ExitCode.TERMINATED
    return Store().versions("tiny")[-1]


def command(*more: str) -> list[str]:
    return ["train", "tiny.yaml", *(word for one in SETS for word in ("--set", one)), *more]


def whole(seqcli: Program) -> bytes:
    """The weights of a training that nothing interrupts."""
    code, _, err = seqcli(*command("--runs", "whole", "-q"))
    assert code == 0, err
    return Path("whole/tiny/1/model.safetensors").read_bytes()


def checkpoints(run: Run) -> list[str]:
    return sorted(path.name for path in run.checkpoints.iterdir())


@pytest.mark.parametrize("after", [1, 6, 9])
def test_a_resumed_training_ends_in_the_same_weights(seqcli: Program, place: Path, after: int) -> None:
    run = start(after)
    code, _, err = seqcli(*command("--resume"))
    assert code == 0
    assert f"resumed at step {after} of 36\n" in err
    assert run.weights_path.read_bytes() == whole(seqcli)
    assert not run.checkpoints.exists()
    steps = [json.loads(line)["step"] for line in run.metrics_path.read_text().splitlines()]
    assert steps == [6, 12, 18, 24, 30, 36]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "zeros"])
def test_a_damaged_checkpoint_is_passed_over(seqcli: Program, place: Path, damage: str) -> None:
    run = start(15)
    assert checkpoints(run)[-2:] == ["step-00000012", "step-00000015"]
    path = run.checkpoints / "step-00000015" / "optimizer.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 4
    path.write_bytes({"cut": bytes(data[:-100]), "empty": b"", "zeros": bytes(len(data))}.get(damage, bytes(data)))
    code, _, err = seqcli(*command("--resume"))
    first, *rest = err.splitlines()
    assert code == 0
    assert first.startswith(f"warning: {path}: damaged: ")
    assert first.endswith("; falling back to the checkpoint before")
    assert "resumed at step 12 of 36" in rest
    assert run.weights_path.read_bytes() == whole(seqcli)


def test_without_a_checkpoint_a_resume_begins_anew(seqcli: Program, place: Path) -> None:
    run = start(15)
    shutil.rmtree(run.checkpoints)
    code, _, err = seqcli(*command("--resume"))
    assert (code, err.splitlines()[0]) == (0, "warning: no checkpoint yet: starting from the beginning")
    assert run.weights_path.read_bytes() == whole(seqcli)
    assert [json.loads(line)["step"] for line in run.metrics_path.read_text().splitlines()][:2] == [6, 12]


def test_the_best_checkpoint_damaged_the_last_weights_are_kept(seqcli: Program, place: Path) -> None:
    (place / "dev.conll").write_text("yesterday\tO\n")  # F1 is 0 for good, so the first evaluation stays the best
    sets = (*SETS, "training.select_by=f1")
    run = start(15, sets=sets)
    best = run.checkpoints / "step-00000006" / "model.safetensors"
    best.write_bytes(b"")
    words = [word for one in sets for word in ("--set", one)]
    code, out, err = seqcli("train", "tiny.yaml", *words, "--resume", "--json")
    assert (code, json.loads(out)["best_step"]) == (0, 36)
    (warning,) = (line for line in err.splitlines() if line.startswith("warning: "))
    assert warning.startswith(f"warning: {best}: damaged: ")
    assert warning.endswith("; the weights of the last step are kept, not those of step 6, the best one")


def test_resume_with_another_recipe_shows_the_difference(seqcli: Program, place: Path) -> None:
    start(2)
    code, out, err = seqcli(*command("--resume", "--set", "training.optimizer.lr=0.5"))
    assert (code, out) == (2, "")
    assert err == (
        "error: cannot resume tiny@1: the recipe changed: training.optimizer.lr: 0.01 -> 0.5. "
        "Undo the change, or start a new training without --resume.\n"
    )


def test_resume_with_other_data_says_which(seqcli: Program, place: Path) -> None:
    start(2)
    with (place / "dev.conll").open("a") as handle:
        handle.write("\nx\tO\n")
    assert seqcli(*command("--resume")) == (
        2,
        "",
        "error: cannot resume tiny@1: the data changed since (dev). "
        "Restore the files, or start a new training without --resume.\n",
    )


def test_a_training_goes_on_from_another_folder(seqcli: Program, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(9)
    below = place / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    changes = [word for one in SETS for word in ("--set", one)]
    code, _, err = seqcli("train", "../tiny.yaml", *changes, "--runs", "../runs", "--resume")
    assert code == 0, err
    assert "resumed at step 9 of 36\n" in err
    assert "Use it:  echo 'some text' | seqcli predict tiny@1 --runs ../runs\n" in err
    scores = seqcli("evaluate", "tiny", "--runs", "../runs")
    assert scores.code == 0
    monkeypatch.chdir(place)
    assert seqcli("evaluate", "tiny") == scores
    assert run.weights_path.read_bytes() == whole(seqcli)


def test_an_unfinished_model_names_the_command_that_goes_on(seqcli: Program, place: Path) -> None:
    (place / "my runs").mkdir()
    start(2)
    (place / "runs").rename(place / "my runs/a")
    command_line = "seqcli train 'my runs/a/tiny/1/recipe.yaml' --runs 'my runs/a' --resume"
    code, out, err = seqcli("predict", "tiny", "--runs", "my runs/a")
    assert (code, out) == (2, "")
    assert err == f"error: the training of tiny@1 is not finished. Go on with it: {command_line}\n"
    for split in ("train", "dev", "test"):  # the run has moved a folder down, and its paths with it
        (place / f"{split}.conll").rename(place / f"my runs/{split}.conll")
    code, _, err = seqcli("train", "my runs/a/tiny/1/recipe.yaml", "--runs", "my runs/a", "--resume")
    assert code == 0, err
    assert "resumed at step 2 of 36\n" in err


def test_a_dry_run_resumes_nothing(seqcli: Program, place: Path) -> None:
    assert seqcli("train", "tiny.yaml", "--resume", "--dry-run") == (
        2,
        "",
        "error: --dry-run trains nothing, so there is nothing to --resume. Leave one of the two out.\n",
    )


def test_nothing_to_resume(seqcli: Program, trained: Path) -> None:
    assert seqcli("train", "tiny.yaml", "--resume") == (
        2,
        "",
        "error: no unfinished training of 'tiny' in runs. Leave --resume out to start one.\n",
    )


def test_a_run_that_is_being_trained_is_locked(seqcli: Program, place: Path) -> None:
    run = start(2)
    with run.lock():
        code, out, err = seqcli(*command("--resume"))
    assert (code, out) == (2, "")
    assert err.startswith("error: tiny@1 is in use by process ")
    assert err.count("\n") == 1
    assert seqcli(*command("--resume", "-q")).code == 0


def test_a_loss_that_is_no_number_stops_before_the_update(seqcli: Program, place: Path) -> None:
    code, out, err = seqcli(
        "train",
        "tiny.yaml",
        "--set",
        "training.optimizer.lr=1e30",
        "--set",
        "training.select_by=f1",
        "--set",
        "training.evaluate_every=1",
    )
    last = err.splitlines()[-1]
    assert (code, out) == (1, "")
    assert last.startswith("error: the loss is not a number at step ") or "gradient is not a number" in last
    assert "train.conll:" in last
    assert "is saved in runs/tiny/1. Lower training.optimizer.lr" in last
    run = Store().versions("tiny")[0]
    assert checkpoints(run)
    code, _, err = seqcli(
        "train",
        "tiny.yaml",
        "--set",
        "training.optimizer.lr=1e30",
        "--set",
        "training.select_by=f1",
        "--set",
        "training.evaluate_every=1",
        "--resume",
    )
    assert code == 1
    assert "resumed at step " in err


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may grow beyond ``room`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("what", ["checkpoint", "metrics"])
def test_a_full_disk_leaves_what_was_saved(seqcli: Program, place: Path, what: str) -> None:
    from seqcli.pipeline.events import Evaluated
    from seqcli.pipeline.train import train

    events = train(load_recipe("tiny.yaml", SETS).recipe, Store())
    next(event for event in events if isinstance(event, Evaluated))
    run = Store().versions("tiny")[0]
    room = 4000 if what == "checkpoint" else run.metrics_path.stat().st_size + 20
    with full_disk(room), pytest.raises(UserError) as failed:
        list(events)
    place_of_it = run.checkpoints if what == "checkpoint" else run.metrics_path
    again = f"When it can be written, go on with: seqcli train {run.recipe_path} --resume"
    assert str(failed.value) == f"{place_of_it}: cannot write: File too large. {again}"
    assert failed.value.code == ExitCode.IO
    assert checkpoints(run) == ["step-00000006"]
    code, _, err = seqcli("train", str(run.recipe_path), "--resume")
    assert code == 0
    assert "resumed at step 6 of 36" in err
    assert run.weights_path.read_bytes() == whole(seqcli)
    assert len(run.metrics_path.read_text().splitlines()) == 6


def test_a_full_disk_while_the_graph_is_written(seqcli: Program, place: Path) -> None:
    """The weights fit, the graph does not: the run stays unfinished, with nothing half-written, and is resumed."""
    from seqcli.pipeline.events import Evaluated
    from seqcli.pipeline.train import train

    assert seqcli(*command("--runs", "whole", "-q")).code == 0
    finished = Path("whole/tiny/1")
    sizes = [(finished / name).stat().st_size for name in ("model.safetensors", "engine.onnx")]
    assert sizes[0] < sizes[1]
    events = train(load_recipe("tiny.yaml", SETS).recipe, Store())
    while not (isinstance(event := next(events), Evaluated) and event.step == 36):
        pass
    run = Store().versions("tiny")[0]
    with full_disk(sum(sizes) // 2), pytest.raises(UserError) as failed:
        list(events)
    assert failed.value.message == "cannot write: File too large"
    assert failed.value.file == f"{run.path}/engine.onnx"
    assert failed.value.hint is not None
    assert failed.value.hint.endswith(f"go on with: seqcli train {run.recipe_path} --resume")
    assert failed.value.code == ExitCode.IO
    assert not {"engine.onnx", "report.json", "manifest.json"} & {path.name for path in run.path.iterdir()}
    assert not list(run.path.glob(".*.part"))
    assert checkpoints(run)[-1] == "step-00000036"
    assert seqcli("predict", "tiny").code == 2
    code, _, err = seqcli(*command("--resume"))
    assert code == 0
    assert "resumed at step 36 of 36\n" in err
    for name in ("model.safetensors", "engine.onnx"):
        assert (run.path / name).read_bytes() == (finished / name).read_bytes()
    assert seqcli("predict", "tiny").code == 0


def test_what_a_broken_export_left_is_not_run(seqcli: Program, place: Path) -> None:
    """A kill between the graph and the seal leaves a graph that belongs to nothing; a resume writes its own."""
    run = start(9)
    (run.path / "engine.onnx").write_bytes(b"half")
    assert seqcli(*command("--resume", "-q")).code == 0
    assert seqcli("predict", "tiny", stdin=b"Ravi\n").code == 0
