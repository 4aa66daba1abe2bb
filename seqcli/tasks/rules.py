"""Rules that several tasks share, and short ways to the sections they look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from seqcli.errors import did_you_mean
from seqcli.recipe import registry
from seqcli.recipe.base import Config
from seqcli.recipe.embedders import TokensConfig
from seqcli.recipe.encoders import EncoderConfig
from seqcli.recipe.models import GradientsConfig, NetworkConfig
from seqcli.recipe.rule import Rule
from seqcli.recipe.schema import Recipe

C = TypeVar("C", bound=Config)


WORDS = ("tokens", "one-hot")
"""Kinds of embedder that read text."""


def section(value: object, kind: type[C]) -> C:
    """A section; an empty one where it is of another kind, which breaks no rule about this one."""
    return value if isinstance(value, kind) else kind.model_construct()


def network(recipe: Recipe) -> NetworkConfig:
    """The model section, if it is a network."""
    return section(recipe.model, NetworkConfig)


def token_embedder(recipe: Recipe) -> TokensConfig | None:
    embedder = network(recipe).embedder
    return embedder if isinstance(embedder, TokensConfig) else None


def head_kind(recipe: Recipe) -> str:
    head = network(recipe).head
    return "" if head is None else head.kind


def encoder_kind(recipe: Recipe) -> str:
    encoder = network(recipe).encoder
    return "" if encoder is None else encoder.kind


def causal_encoders() -> list[str]:
    """Kinds of encoder whose positions need not see those after them."""
    classes = {kind: registry.config_class("encoder", kind) for kind in registry.kinds("encoder")}
    return [kind for kind, config in classes.items() if issubclass(config, EncoderConfig) and config.causal]


def has_no_spelling(recipe: Recipe) -> bool:
    """Whether words have no vector and nothing else in its place."""
    config = token_embedder(recipe)
    if config is None or config.dim or config.characters is not None:
        return False
    affixes = config.affixes
    return affixes is None or not (affixes.prefixes or affixes.suffixes or affixes.shape)


SPELLING = Rule(
    "model.embedder.dim",
    has_no_spelling,
    "0 leaves words to their spelling, but there are neither characters nor affixes",
    "Set model.embedder.characters, or a dim of at least 1.",
)


def sides(sources: tuple[str, ...], targets: tuple[str, ...]) -> tuple[Rule, Rule]:
    """What the two sides of a task may be."""
    return (
        Rule(
            "source",
            lambda r: r.source.kind not in sources,
            lambda r: f"the task {r.task.kind} does not read {r.source.kind}",
            f"It reads {' or '.join(sources)}.",
        ),
        Rule(
            "target",
            lambda r: r.target is not None and r.target.kind not in targets,
            lambda r: f"the task {r.task.kind} has no target of kind {r.target.kind if r.target else ''}",
            f"Set target: {{kind: {targets[0]}}}." if targets else "Leave it out.",
        ),
    )


def needs(*parts: str) -> tuple[Rule, ...]:
    """A network, or an encoder-decoder, has each of these parts."""

    def rule(part: str) -> Rule:
        return Rule(
            f"model.{part}",
            lambda r: isinstance(r.model, GradientsConfig) and dict(r.model).get(part) is None,
            lambda r: f"is missing; the task {r.task.kind} needs it",
            f"'seqcli components' lists the kinds of {part}.",
        )

    return tuple(map(rule, parts))


def beside(*kinds: str) -> Rule:
    """What a network of the task may have beside it."""

    def odd(recipe: Recipe) -> list[str]:
        return [one.kind for one in network(recipe).beside if one.kind not in kinds or recipe.source.kind != "text"]

    return Rule(
        "model.beside",
        odd,
        lambda r: f"a network for {r.task.kind} of {r.source.kind} has no {odd(r)[0]} beside it",
        f"Leave it out{f', or take {kinds[0]}' if kinds else ''}.",
    )


def pooled(task: str) -> Rule:
    """A task whose network says something of each position, not of a sequence."""
    return Rule("model.pooling", lambda r: network(r).pooling is not None, f"the task {task} has none", "Leave it out.")


def single(task: str, *besides: str) -> tuple[Rule, ...]:
    """A task whose network has neither members nor pooling; ``besides``: what it may have beside it."""
    return (
        beside(*besides),
        Rule(
            "model.members", lambda r: network(r).members > 1, f"the task {task} trains one network", "Set members: 1."
        ),
        pooled(task),
    )


def selects_by(scores_of: Callable[[Recipe], Sequence[str]]) -> Rule:
    """``training.select_by`` is one of the dev scores of a recipe."""

    def unknown(recipe: Recipe) -> str | None:
        name = recipe.training.select_by
        return None if name in scores_of(recipe) else name

    def hint(recipe: Recipe) -> str:
        known = scores_of(recipe)
        return did_you_mean(unknown(recipe) or "", known) or f"Scores: {', '.join(known)}."

    return Rule("training.select_by", unknown, lambda r: f"there is no dev score '{unknown(r)}'", hint)


def unless_network(task: str, *others: str) -> Rule:
    """The model is a network, or one of ``others``."""
    able = ("network", *others)
    return Rule(
        "model.kind",
        lambda r: r.model.kind not in able,
        lambda r: f"{r.model.kind} cannot do the task {task}",
        f"It does {' or '.join(able)}.",
    )


def _measured_whole(split: str) -> Rule:
    return Rule(
        f"data.{split}_steps",
        lambda r: dict(r.data)[f"{split}_steps"] is not None and dict(r.data)[split],
        f"there is a {split} file, which is measured whole",
        f"Leave data.{split} or data.{split}_steps out.",
    )


BY_TIME = (
    _measured_whole("dev"),
    _measured_whole("test"),
    Rule(
        "data.dev_share",
        lambda r: r.data.dev_share is not None,
        "series are divided by time, never by chance",
        "Set data.dev_steps.",
    ),
)
"""How series are divided into splits."""
