"""Optimizers by kind. Each builder takes its section and the parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from seqcli.recipe import registry
from seqcli.recipe.base import Component
from seqcli.recipe.optimization import AdamConfig, AdamWConfig, SGDConfig


def build_optimizer(config: Component, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a recipe over a model's trainable parameters; vectors and biases are not decayed."""
    build = registry.implementation("optimizer", config.kind)
    return build(config, _groups(model))


def build_adamw(config: AdamWConfig, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    """AdamW, one fused kernel for all parameters."""
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay, fused=True
    )


def build_adam(config: AdamConfig, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    """Adam, one fused kernel for all parameters."""
    return torch.optim.Adam(
        groups, lr=config.lr, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay, fused=True
    )


def build_sgd(config: SGDConfig, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    """SGD with momentum."""
    return torch.optim.SGD(
        groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov, weight_decay=config.weight_decay
    )


def _groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weights in one group; biases, norms and other vectors, whose decay only costs accuracy, in another."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}]
    if others:
        groups.append({"params": others, "weight_decay": 0.0})
    return groups
