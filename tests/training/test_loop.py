"""The loop: one gradient however it is summed, exact clipping, the mean of the weights, and resuming bit for bit."""

import copy

import numpy as np
import pytest
import torch
from tiny_corpus import SENTENCES, tiny_recipe

from seqcli.errors import ExitCode, UserError
from seqcli.models.device import autocast, choose_device, cpu_has_bf16, resolve_precision
from seqcli.models.network import Loss
from seqcli.pipeline.prepare import open_columns
from seqcli.tasks.base import new_task
from seqcli.training.checkpoint import load_checkpoint, save_checkpoint
from seqcli.training.loop import Trainer

CPU = torch.device("cpu")
DROPOUT = ("model.embedder.dropout=0.3", "model.embedder.word_dropout=0.5", "model.encoder.dropout=0.3")


def trainer_of(folder, *overrides):
    """A trainer as a training begins it."""
    recipe = tiny_recipe(folder, *overrides)
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    torch.manual_seed(recipe.training.seed)
    return Trainer(task.network(), task.data(columns), recipe.training, CPU)


def weights(trainer):
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def gradients(trainer):
    return [parameter.grad.clone() for parameter in trainer.network.parameters()]


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_four_accumulated_batches_give_the_gradient_of_one(tmp_path, cache, head):
    common = (f"model.head={{kind: {head}}}", "training.clip_norm=null")
    many = trainer_of(tmp_path, *common, "training.batch={tokens: 12}", "training.accumulate=100")
    one = trainer_of(tmp_path, *common, "training.batch={tokens: 1000}")
    assert (many.total_steps, one.total_steps) == (3, 3)
    events = [next(trainer.steps()) for trainer in (many, one)]
    assert events[0].batches > 4
    assert events[1].batches == 1
    assert events[0].targets == events[1].targets == sum(len(words.split()) for words, _ in SENTENCES)
    assert events[0].loss == pytest.approx(events[1].loss, abs=1e-5)
    for mine, whole in zip(gradients(many), gradients(one), strict=True):
        torch.testing.assert_close(mine, whole, rtol=0, atol=1e-6)


def test_accumulation_takes_the_rest_of_an_epoch(tmp_path, cache):
    trainer = trainer_of(tmp_path, "training.accumulate=3", "training.epochs=2")
    batches = len(trainer._order)
    events = list(trainer.steps())
    steps = -(-batches // 3)
    assert len(events) == trainer.total_steps == 2 * steps
    assert [event.epoch_done for event in events] == ([False] * (steps - 1) + [True]) * 2
    assert [event.epoch for event in events] == [0] * steps + [1] * steps
    assert sum(event.targets for event in events) == 2 * sum(len(words.split()) for words, _ in SENTENCES)


def norm(values):
    return float(torch.cat([value.flatten() for value in values]).norm())


def test_clipping_is_exact(tmp_path, cache):
    free = trainer_of(tmp_path, "training.clip_norm=null", "training.batch={tokens: 1000}")
    clipped = trainer_of(tmp_path, "training.clip_norm=0.125", "training.batch={tokens: 1000}")
    loose = trainer_of(tmp_path, "training.clip_norm=1e6", "training.batch={tokens: 1000}")
    for trainer in (free, clipped, loose):
        event = next(trainer.steps())
        assert event.gradient_norm == pytest.approx(norm(gradients(free)), rel=1e-5)  # the norm before clipping
    assert norm(gradients(clipped)) == pytest.approx(0.125, rel=1e-5)
    scale = 0.125 / norm(gradients(free))
    for mine, whole, same in zip(gradients(clipped), gradients(free), gradients(loose), strict=True):
        torch.testing.assert_close(mine, whole * scale, rtol=1e-4, atol=1e-8)
        assert torch.equal(same, whole)


def test_mean_of_the_weights(tmp_path, cache):
    trainer = trainer_of(tmp_path, "training.ema=0.9")
    names = [name for name, _ in trainer.network.named_parameters()]
    expected = {name: weights(trainer)[name].double() for name in names}
    for event in trainer.steps():
        decay = min(0.9, (1 + event.step) / (10 + event.step))
        now = weights(trainer)
        expected = {name: decay * value + (1 - decay) * now[name] for name, value in expected.items()}
        if event.step == 5:
            break
    for name, value in trainer.averaged.named_parameters():
        torch.testing.assert_close(value.detach().double(), expected[name], rtol=0, atol=1e-6)
    assert_same(weights(trainer), now)  # the training weights are others
    tensors, _ = trainer.state()
    torch.testing.assert_close(tensors["model"][names[0]].double(), expected[names[0]], rtol=0, atol=1e-6)
    assert torch.equal(tensors["training"][names[0]], now[names[0]])


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_not_a_number_stops_before_the_update(tmp_path, cache, where):
    trainer = trainer_of(tmp_path)
    steps = trainer.steps()
    next(steps)
    if where == "loss":
        network = trainer.network
        network.loss = lambda batch, memory: Loss(
            type(network).loss(network, batch, memory).sum * float("nan"), 3, memory
        )
    else:
        trainer.network.head.output.bias.register_hook(lambda gradient: gradient * float("inf"))
    before, optimizer = weights(trainer), copy.deepcopy(trainer.optimizer.state_dict())
    rows = trainer._order[trainer.batch]
    with pytest.raises(UserError, match=f"the {where} is not a number at step 2") as caught:
        next(steps)
    assert caught.value.code == ExitCode.FAILURE
    for row in rows[:5]:
        assert trainer.data.columns.place(int(row)) in str(caught.value)
    assert_same(weights(trainer), before)
    assert trainer.step == 1
    after = trainer.optimizer.state_dict()["state"]
    assert all(torch.equal(after[key]["exp_avg"], value["exp_avg"]) for key, value in optimizer["state"].items())


SCHEDULES = {
    "constant": "{kind: constant}",
    "cosine": "{kind: cosine, warmup: 3}",
    "plateau": "{kind: plateau, patience: 0}",
}


def run(trainer, until):
    """Train up to a step; every fourth one is an evaluation that does not improve, as a caller would report it."""
    for event in trainer.steps():
        if event.step % 4 == 0:
            trainer.schedule.evaluated(False)
        if event.step == until:
            break
    return trainer


@pytest.mark.parametrize(
    ("schedule", "more"),
    [
        ("constant", ()),
        ("cosine", ("training.ema=0.9",)),
        ("plateau", ("training.accumulate=2",)),
        ("constant", ("training.optimizer={kind: sgd, lr: 0.1, momentum: 0.9}",)),
        ("cosine", ("model.encoder={kind: transformer, dim: 12, heads: 2, feedforward: 16, dropout: 0.2}",)),
    ],
)
def test_resuming_is_bit_for_bit(tmp_path, cache, schedule, more):
    """k steps, a checkpoint on disk, a new trainer with other random numbers, the rest: the same weights and state."""
    options = (*DROPOUT, f"training.schedule={SCHEDULES[schedule]}", *more)
    whole = trainer_of(tmp_path, *options)
    batches, total = len(whole._order), whole.total_steps
    events = total // 3
    losses = [event.loss for event in _noting(whole)]
    for stop in (2, events - 1, events, events + 1):  # in mid-epoch, before its end, at it, after it
        first = run(trainer_of(tmp_path, *options), stop)
        tensors, state = first.state()
        path = save_checkpoint(tmp_path / "checkpoints", tensors, {"trainer": state}, step=first.step, keep=1)
        second = trainer_of(tmp_path, *options)
        torch.manual_seed(999)
        np.random.seed(999)
        checkpoint = load_checkpoint(path)
        second.restore(checkpoint.tensors, checkpoint.state["trainer"])
        assert (second.step, second.epoch) == (stop, stop // events)
        assert [event.loss for event in _noting(second)] == losses[stop:]
        assert_same(weights(second), weights(whole))
        mine, theirs = second.state(), whole.state()
        for group in theirs[0]:
            if group != "random":
                assert_same(mine[0][group], theirs[0][group])
        assert {**mine[1], "random": 0} == {**theirs[1], "random": 0}
    assert batches > 3


def _noting(trainer):
    for event in trainer.steps():
        if event.step % 4 == 0:
            trainer.schedule.evaluated(False)
        yield event


def test_max_steps(tmp_path, cache):
    trainer = trainer_of(tmp_path, "training.max_steps=2")
    assert [event.step for event in trainer.steps()] == [1, 2]
    assert trainer.finished
    assert list(trainer.steps()) == []


def test_a_falling_rate_ends_with_the_time(tmp_path, cache):
    trainer = trainer_of(tmp_path, "training.schedule={kind: linear}")
    steps = trainer.steps()
    assert next(steps).learning_rate > 0
    trainer.time_share = 1.0
    assert next(steps).learning_rate == 0


def test_a_processor_without_bf16(monkeypatch):
    monkeypatch.setattr("seqcli.models.device.cpu_has_bf16", lambda: False)
    assert resolve_precision("bf16", CPU, torch.nn.Linear(1, 1)) == "bf16"
    with pytest.raises(UserError, match="this processor has no bf16 for recurrent networks") as refused:
        resolve_precision("bf16", CPU, torch.nn.LSTM(1, 1))
    assert refused.value.code == ExitCode.USAGE


@pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bf16")
def test_bf16_trains(tmp_path, cache):
    trainer = trainer_of(tmp_path, "training.precision=bf16")
    losses = [event.loss for event in trainer.steps()]
    assert trainer.precision == "bf16"
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    with autocast("bf16", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with autocast("fp32", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_bf16_where_it_is_faster(monkeypatch):
    networks = {"lstm": torch.nn.LSTM(1, 1), "wide": torch.nn.LayerNorm(128), "narrow": torch.nn.LayerNorm(64)}
    networks["both"] = torch.nn.ModuleList([networks["lstm"], networks["wide"]])
    for tiles in (True, False):
        monkeypatch.setattr("seqcli.models.device.cpu_has_tiles", lambda tiles=tiles: tiles)
        found = {name for name, network in networks.items() if resolve_precision("auto", CPU, network) == "bf16"}
        assert found == ({"wide"} if tiles else set())


def test_devices():
    assert choose_device("cpu") == CPU
    with pytest.raises(UserError, match="unknown device 'gpu'") as caught:
        choose_device("gpu")
    assert caught.value.code == ExitCode.USAGE
