"""Learning-rate factors by hand, and which parameters are decayed."""

import math

import pytest
import torch
from torch import nn

from seqcli.recipe import registry
from seqcli.recipe.optimization import AdamConfig, AdamWConfig, PlateauConfig, SGDConfig
from seqcli.training.optim import build_optimizer
from seqcli.training.schedules import build_schedule


@pytest.mark.parametrize(
    ("kind", "options", "total", "factors"),
    [
        ("constant", {}, 10, {0: 1, 9: 1}),
        ("constant", {"warmup": 4}, 10, {0: 0.25, 1: 0.5, 3: 1, 9: 1}),
        ("inverse-sqrt", {"warmup": 4}, 100, {0: 0.25, 3: 1, 15: 0.5, 99: 0.2}),
        ("cosine", {}, 10, {0: 1, 5: 0.5, 10: 0, 99: 0}),
        (
            "cosine",
            {"warmup": 2, "floor": 0.1},
            10,
            {0: 0.5, 1: 1, 2: 1, 4: 0.1 + 0.9 * (2 + math.sqrt(2)) / 4, 6: 0.55, 10: 0.1},
        ),
        ("linear", {"warmup": 2}, 10, {0: 0.5, 2: 1, 6: 0.5, 8: 0.25, 10: 0}),
        ("linear", {"floor": 0.2}, 10, {0: 1, 5: 0.6, 10: 0.2}),
        ("linear", {"warmup": 50}, 10, {0: 0.02, 9: 0.2}),
    ],
)
def test_factors(kind, options, total, factors):
    schedule = build_schedule(registry.config_class("schedule", kind)(**options), total)
    assert {step: schedule.factor(step) for step in factors} == pytest.approx(factors)
    assert schedule.state() == {}


def test_plateau_cuts_after_patience_and_comes_back():
    schedule = build_schedule(PlateauConfig(factor=0.5, patience=1, warmup=2), 100)
    seen = []
    for improved in (True, False, False, False, True, False, False):
        schedule.evaluated(improved)
        seen.append(schedule.factor(50))
    assert seen == [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]
    assert schedule.factor(0) == 0.125
    schedule.evaluated(False)
    again = build_schedule(PlateauConfig(factor=0.5, patience=1), 100)
    again.restore(schedule.state())
    again.evaluated(False)
    assert again.factor(50) == 0.125


@pytest.mark.parametrize(
    "config",
    [
        AdamWConfig(lr=0.1, weight_decay=0.5),
        AdamConfig(weight_decay=0.5),
        SGDConfig(weight_decay=0.5, momentum=0.9, nesterov=True),
    ],
)
def test_vectors_are_not_decayed_and_frozen_weights_not_touched(config):
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model[3].weight.requires_grad_(False)
    optimizer = build_optimizer(config, model)
    of = {id(parameter): group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    decays = {name: of.get(id(parameter)) for name, parameter in model.named_parameters()}
    assert decays == {
        "0.weight": 0.5,
        "1.weight": 0.5,
        "1.bias": 0.0,
        "2.weight": 0.0,
        "2.bias": 0.0,
        "3.weight": None,
        "3.bias": 0.0,
    }
    assert {group["lr"] for group in optimizer.param_groups} == {config.lr}


def test_adamw_decay_by_hand():
    """A zero gradient: the weight shrinks by lr times decay, the bias stays."""
    model = nn.Linear(2, 2)
    before = model.weight.detach().clone(), model.bias.detach().clone()
    optimizer = build_optimizer(AdamWConfig(lr=0.1, weight_decay=0.5), model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), before[0] * 0.95)
    assert torch.equal(model.bias.detach(), before[1])


@pytest.mark.parametrize(("kind", "half"), [("cosine", 0.5), ("linear", 0.5), ("constant", 1.0)])
def test_the_clock_is_followed_where_it_is_ahead_of_the_steps(kind, half):
    schedule = build_schedule(registry.config_class("schedule", kind)(warmup=10), 110)
    assert schedule.factor(60, 0.2) == schedule.factor(60) == pytest.approx(half)
    assert schedule.factor(20, 0.5) == pytest.approx(half)
    assert schedule.factor(20, 1.5) == pytest.approx(schedule.factor(110))
    assert schedule.factor(0, 0.5) == pytest.approx(0.1 * half)
