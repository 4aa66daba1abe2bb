"""``training.average``: the mean of the weights of several steps, by hand, kept where it is no worse than the best."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_pairs import MODELS, pair_recipe, pairs

from seqcli.errors import ExitCode, UserError
from seqcli.models.weights import load_weights
from seqcli.pipeline.events import Evaluated, Notice
from seqcli.pipeline.train import train
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run, Store
from seqcli.training import checkpoint
from seqcli.training.checkpoint import average_weights, load_checkpoint, save_checkpoint
from seqcli.training.events import StepEvent

EVERY = ("training.evaluate_every=2", "training.max_steps=12", "training.epochs=50", "training.keep_checkpoints=1")
SHORT = pairs(20, most=3)
"""Targets of fewer than four words: BLEU is 0 whatever is written, so every step is as good as the best."""


def recipe_of(folder: Path, *overrides: str, name: str = "transformer", **files: object) -> Recipe:
    return pair_recipe(folder, *MODELS[name], *EVERY, *overrides, dev=SHORT, **files)


def trained(recipe: Recipe, folder: Path) -> tuple[Run, list[Evaluated], dict[int, dict[str, torch.Tensor]], list[str]]:
    """``(the run, its evaluations, the weights of each that was saved, notices)``."""
    store = Store(folder / "runs")
    evaluated, weights, notes = [], {}, []
    for event in train(recipe, store, device="cpu"):
        if isinstance(event, Evaluated):
            evaluated.append(event)
            for path in store.versions(recipe.name)[-1].checkpoints.glob(f"step-{event.step:08d}*"):
                weights[event.step] = load_checkpoint(path).tensors["model"]
        elif isinstance(event, Notice):
            notes.append(event.text)
    return store.resolve(recipe.name), evaluated, weights, notes


def assert_is_mean(run: Run, weights: dict[int, dict[str, torch.Tensor]], steps: list[int]) -> None:
    found = load_weights(run.weights_path)
    for name, tensor in found.items():
        mean = torch.stack([weights[step][name].double() for step in steps]).mean(0)
        torch.testing.assert_close(tensor.double(), mean, rtol=1e-5, atol=1e-7)
    last = weights[steps[-1]]
    assert any(not torch.equal(found[name], last[name]) for name in found)


def test_the_mean_of_checkpoints_by_hand(tmp_path: Path) -> None:
    paths = []
    for step, values in enumerate(([1.0, 2.0], [4.0, 8.0], [10.0, -1.0]), 1):
        tensors = {"model": {"weight": torch.tensor(values), "count": torch.tensor([step])}}
        paths.append(save_checkpoint(tmp_path, tensors, {}, step=step, keep=9))
    mean = average_weights(paths)
    torch.testing.assert_close(mean["weight"], torch.tensor([5.0, 3.0]))
    assert mean["count"].tolist() == [3]
    (paths[1] / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError) as refused:
        average_weights(paths)
    assert refused.value.code == ExitCode.DATA


def test_the_last_steps(tmp_path: Path, cache: object) -> None:
    recipe = recipe_of(tmp_path, "training.average=3", "training.average_of=last")
    run, evaluated, weights, notes = trained(recipe, tmp_path)
    assert [one.step for one in evaluated] == [2, 4, 6, 8, 10, 12]
    assert run.report()["average"] == {"steps": [8, 10, 12], "score": 0.0, "kept": True}
    assert "weights of steps 8, 10, 12 averaged: dev BLEU 0.00, the best step has 0.00: the mean is kept" in notes
    assert_is_mean(run, weights, [8, 10, 12])


def test_the_best_steps(tmp_path: Path, cache: object) -> None:
    """Those with the best dev scores, of equal ones the later; steps that fell out are not kept for it."""
    recipe = recipe_of(tmp_path, "training.average=3", "training.select_by=chrf", "training.optimizer.lr=0.05")
    run, evaluated, weights, _ = trained(recipe, tmp_path)
    ranked = sorted(evaluated, key=lambda one: (-one.scores["chrf"], -one.step))
    steps = sorted(one.step for one in ranked[:3])
    average = run.report()["average"]
    assert average["steps"] == steps
    assert average["kept"] == (average["score"] >= ranked[0].scores["chrf"])
    if average["kept"]:
        assert_is_mean(run, weights, steps)


def test_a_mean_that_is_worse_is_not_kept(tmp_path: Path, cache: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        checkpoint,
        "average_weights",
        lambda paths: {name: 0 * one for name, one in load_checkpoint(paths[0]).tensors["model"].items()},
    )
    recipe = recipe_of(tmp_path, "training.average=2", "training.select_by=chrf", "training.optimizer.lr=0.05")
    run, _, weights, notes = trained(recipe, tmp_path)
    report = run.report()
    assert report["average"]["kept"] is False
    assert any(note.endswith(": the best step is kept") for note in notes)
    for name, tensor in load_weights(run.weights_path).items():
        assert torch.equal(tensor, weights[report["best_step"]][name]), name


def test_a_damaged_step_leaves_the_best_one(tmp_path: Path, cache: object) -> None:
    recipe = recipe_of(tmp_path, "training.average=3", "training.average_of=last")
    store, notes = Store(tmp_path / "runs"), []
    for event in train(recipe, store, device="cpu"):
        if isinstance(event, Evaluated) and event.step == 12:
            checkpoints = store.versions(recipe.name)[-1].checkpoints
            best = load_checkpoint(checkpoints / "step-00000002").tensors["model"]
            (checkpoints / "step-00000010" / "model.safetensors").write_bytes(b"")
        elif isinstance(event, Notice):
            notes.append(event.text)
    assert any(note.endswith("; the weights are those of one step, not averaged") for note in notes)
    run = store.resolve(recipe.name)
    assert "average" not in run.report()
    for name, tensor in load_weights(run.weights_path).items():
        assert torch.equal(tensor, best[name]), name


def test_without_a_dev_split_it_is_said(tmp_path: Path, cache: object) -> None:
    recipe = recipe_of(tmp_path, "training.average=2", "data.dev=null")
    run, _, _, notes = trained(recipe, tmp_path)
    assert "training.average does nothing: without a dev split no step is evaluated" in notes
    assert "average" not in run.report()


DROPOUT = {
    "transformer": ("model.encoder.dropout=0.2", "model.decoder.dropout=0.2", "model.tied=none"),
    "gru-fed": ("model.encoder.dropout=0.2", "model.decoder.dropout=0.2", "model.head.label_smoothing=0.1"),
    "lstm": ("target={kind: text, share: source}", "model.encoder.dim=8", "model.tied=source-target"),
}


@pytest.mark.parametrize(("name", "after"), [("transformer", 3), ("transformer", 9), ("gru-fed", 7), ("lstm", 4)])
def test_a_resumed_training_is_the_same_to_the_last_bit(tmp_path: Path, cache: object, name: str, after: int) -> None:
    """In the middle of an epoch, between evaluations and right after one, averages among them."""
    overrides = [*DROPOUT[name], "training.average=3", "training.average_of=last"]
    if name == "lstm":
        overrides.append("model.embedder.dim=16")
    recipe = recipe_of(tmp_path, *overrides, name=name)
    whole, evaluated, _, _ = trained(recipe, tmp_path / "whole")
    store, steps = Store(tmp_path / "runs"), []
    events = train(
        recipe, store, device="cpu", should_stop=lambda: ExitCode.TERMINATED if len(steps) >= after else None
    )
    with pytest.raises(UserError) as stopped:
        steps.extend(event for event in events if isinstance(event, StepEvent))
    assert stopped.value.code == ExitCode.TERMINATED
    again = [event for event in train(recipe, store, resume=True, device="cpu") if isinstance(event, Evaluated)]
    assert [one.step for one in again] == [one.step for one in evaluated if one.step > after - after % 2]
    run = store.resolve(recipe.name)
    assert run.weights_path.read_bytes() == whole.weights_path.read_bytes()
    assert run.report()["average"] == whole.report()["average"]
