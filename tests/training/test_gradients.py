"""Gradients by several threads: the same sum as by one, the same bits every time, also after a resume."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_text import DEEP, ENCODERS, text_recipe

from seqcli.models.network import Memory
from seqcli.pipeline.prepare import open_columns
from seqcli.tasks.base import new_task
from seqcli.training.checkpoint import load_checkpoint, save_checkpoint
from seqcli.training.gradients import Gradients
from seqcli.training.loop import Trainer

CPU = torch.device("cpu")
STREAM = "task.unit=stream"
DROPOUT = ("model.embedder.dropout=0.3", "model.embedder.word_dropout=0.5", DEEP)


@pytest.fixture
def two_threads():
    """Torch's own threads, as a training has them. On a busy machine they wait for each other: for two tests only."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def trainer_of(folder, *overrides, **files):
    recipe = text_recipe(folder, *overrides, **files)
    task = new_task(recipe)
    columns = open_columns(recipe, task, ("train",))["train"]
    task.fit(columns)
    torch.manual_seed(recipe.training.seed)
    trainer = Trainer(task.network(), task.data(columns), recipe.training, CPU)
    if trainer.gradients.parts == 1:  # gradients by two threads, also where torch itself has one
        trainer.gradients = gradients_by(trainer, 2, seed=recipe.training.seed)
    assert trainer.gradients.parts == 2
    return trainer


def gradients_by(trainer, threads=None, *, precision="fp32", seed=3):
    return Gradients(trainer.network, trainer.data, CPU, precision=precision, seed=seed, threads=threads)


def gradients_of(trainer, threads, batches, *, precision="fp32"):
    """Loss, counts and gradients summed over the first batches, and the state they leave."""
    trainer.network.train().zero_grad(set_to_none=True)
    own = gradients_by(trainer, threads, precision=precision)
    memory, told = Memory(), []
    for step, rows in enumerate(trainer._order[:batches]):
        loss, targets, positions, memory = own.add(rows, memory, step=step)
        told.append((loss, targets, positions))
    return told, [None if one.grad is None else one.grad.clone() for one in trainer.network.parameters()], memory


def close(one, other, tolerance):
    for mine, yours in zip(one, other, strict=True):
        torch.testing.assert_close(mine, yours, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("unit", ["sentences", "stream"])
@pytest.mark.parametrize("name", ENCODERS)
def test_threads_add_up_to_one(tmp_path, cache, name, unit):
    trainer = trainer_of(tmp_path, ENCODERS[name], f"task.unit={unit}", "model.encoder.dropout=0")
    single, expected, state = gradients_of(trainer, 1, 3)
    for threads in (2, 3):
        several, found, other = gradients_of(trainer, threads, 3)
        for mine, yours in zip(several, single, strict=True):
            assert mine[1:] == yours[1:]
            assert mine[0] == pytest.approx(yours[0], rel=1e-6)
        close(found, expected, 1e-5)  # gradients are sums of size 10
        close(other.states, state.states, 1e-6)
    carries = unit == "stream" and trainer.network.carries
    assert bool(state.states) == carries == (unit == "stream" and name not in ("sinusoidal", "rotary", "learned"))


def test_the_gradient_is_that_of_the_loss_itself(tmp_path, cache):
    """Each number once: no tensor of a gradient is shared between two parameters."""
    trainer = trainer_of(tmp_path, "model.head={kind: softmax, tied: true}")
    _, found, _ = gradients_of(trainer, 2, 2)
    assert len({one.data_ptr() for one in found}) == len(found)
    trainer.network.zero_grad(set_to_none=True)
    for rows in trainer._order[:2]:
        trainer.network.loss(trainer.data.batch(rows), Memory()).sum.backward()
    close(found, [one.grad for one in trainer.network.parameters()], 1e-6)


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no bf16")
def test_under_bf16_threads_add_up_to_one_within_its_digits(tmp_path, cache):
    trainer = trainer_of(tmp_path, STREAM)
    single, expected, _ = gradients_of(trainer, 1, 2, precision="bf16")
    several, found, memory = gradients_of(trainer, 2, 2, precision="bf16")
    assert sum(loss for loss, _, _ in several) == pytest.approx(sum(loss for loss, _, _ in single), rel=0.01)
    close(found, expected, 0.05)
    assert all(torch.isfinite(state).all() for state in memory.states)


def test_parts_of_a_batch_drop_different_values(tmp_path, cache):
    """Were both threads to draw the same masks, equal rows would give equal gradients."""
    trainer = trainer_of(tmp_path, *DROPOUT, STREAM, train="the cat\n" * 40)
    trainer.network.train()
    own = gradients_by(trainer, 2)
    rows = np.array([[3, 9, 1], [9, 15, 1]])
    parts = own._run(rows, Memory(), 0)
    assert parts[0].loss != parts[1].loss
    again = own._run(rows, Memory(), 0)
    assert [part.loss for part in again] == [part.loss for part in parts]
    assert [part.loss for part in own._run(rows, Memory(), 1)] != [part.loss for part in parts]


def weights(trainer):
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("unit", ["sentences", "stream"])
def test_the_same_seed_gives_the_same_bits(tmp_path, cache, unit):
    runs = []
    for _ in range(2):
        trainer = trainer_of(tmp_path, *DROPOUT, f"task.unit={unit}")
        losses = [event.loss for event in trainer.steps()]
        runs.append((losses, weights(trainer)))
    assert runs[0][0] == runs[1][0]
    assert_same(runs[0][1], runs[1][1])
    other = trainer_of(tmp_path, *DROPOUT, f"task.unit={unit}", "training.seed=2")
    assert [event.loss for event in other.steps()] != runs[0][0]


@pytest.mark.parametrize(
    "options",
    [
        (STREAM, *DROPOUT),
        (STREAM, ENCODERS["gru"], "training.accumulate=2"),
        (STREAM, "training.ema=0.9"),
        (STREAM, ENCODERS["rotary"]),
        DROPOUT,
    ],
    ids=["stream", "accumulate", "ema", "transformer", "sentences"],
)
@pytest.mark.parametrize("place", ["middle", "end", "after"])
def test_a_resumed_training_ends_in_the_same_bits(tmp_path, cache, options, place):
    """Stopped in mid-epoch, at an epoch's end, and one step into the next one."""
    resume_and_compare(tmp_path, options, place)


def test_a_resumed_training_with_torchs_own_threads(tmp_path, cache, two_threads):
    resume_and_compare(tmp_path, (STREAM, *DROPOUT, "training.epochs=2"), "middle")


def resume_and_compare(tmp_path, options, place):
    whole = trainer_of(tmp_path, *options)
    an_epoch = -(-len(whole._order) // whole.config.accumulate)
    assert an_epoch >= 3
    stop = {"middle": an_epoch // 2, "end": an_epoch, "after": an_epoch + 1}[place]
    events = list(whole.steps())

    first = trainer_of(tmp_path, *options)
    for _, event in zip(range(stop), first.steps(), strict=False):
        assert event.loss == events[event.step - 1].loss
    tensors, state = first.state()
    save_checkpoint(tmp_path / "checkpoints", tensors, {"trainer": state}, step=first.step, keep=1)
    assert ("carried" in tensors) == first.network.carries

    torch.manual_seed(99)  # a new process starts elsewhere
    second = trainer_of(tmp_path, *options)
    saved = load_checkpoint(tmp_path / "checkpoints" / f"step-{stop:08d}")
    second.restore(saved.tensors, saved.state["trainer"])
    assert [event.loss for event in second.steps()] == [event.loss for event in events[stop:]]
    assert_same(weights(second), weights(whole))
    for mine, yours in zip(second.memory.states, whole.memory.states, strict=True):
        assert torch.equal(mine, yours)


def test_the_state_is_carried_within_an_epoch_and_anew_in_the_next(tmp_path, cache):
    """With a learning rate of nearly nothing: carrying changes the loss, an epoch's first batch starts from zeros."""
    trainer = trainer_of(tmp_path, STREAM, "training.optimizer.lr=1e-30", "training.batch={sequences: 2}")
    order, data, network = trainer._order, trainer.data, trainer.network
    events = list(trainer.steps())
    with torch.no_grad():
        memory = Memory()
        expected = []
        for rows in order:
            loss, targets, memory = network.loss(data.batch(rows), memory)
            expected.append(float(loss) / targets)
        alone = float(network.loss(data.batch(order[1]), Memory()).sum) / events[1].targets
    assert [event.loss for event in events[: len(order)]] == pytest.approx(expected, rel=1e-4)
    assert events[1].loss != pytest.approx(alone, rel=1e-6)
    first = next(event for event in events if event.epoch == 1)
    rows = data.training_order(trainer.config.batch, seed=trainer.config.seed, epoch=1)[0]
    with torch.no_grad():
        fresh = float(network.loss(data.batch(rows), Memory()).sum) / first.targets
    assert first.loss == pytest.approx(fresh, rel=1e-4)


def test_a_training_takes_as_many_threads_as_torch_has(tmp_path, cache, two_threads):
    trainer = trainer_of(tmp_path)
    threads = [gradients_by(trainer).parts]
    torch.set_num_threads(1)
    threads.append(gradients_by(trainer).parts)
    assert threads == [2, 1]


@pytest.mark.parametrize("unit", ["sentences", "stream"])
def test_a_batch_of_one_row(tmp_path, cache, unit):
    trainer = trainer_of(tmp_path, "training.batch={sequences: 1}", f"task.unit={unit}", "training.max_steps=9")
    events = list(trainer.steps())
    assert len(events) == 9
    assert all(np.isfinite(event.loss) for event in events)
    assert all(event.positions == event.targets <= 10 for event in events)
