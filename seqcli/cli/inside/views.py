"""The views of a network over a text or a sample: made here, or refused with a word on what the network has instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from seqcli.cli import colours, console
from seqcli.cli.inside.view import View
from seqcli.errors import UserError, data_error, plural, usage_error
from seqcli.pipeline.subject import Subject, sample, subject

if TYPE_CHECKING:
    from seqcli.pipeline.inside import Opened

_INSTEAD = {
    "transformer": "its attention is in --attention",
    "cnn": "it has filters over a few neighbours",
    "window": "it reads a fixed window of neighbours",
    "bag": "it reads the mean of all positions",
}

BATCHES = 20
"""Batches of a sample whose gradient is compared with clip_norm."""

CHARACTERS = 20_000
"""Characters of a file that the units of a model are looked at over."""


def _kinds(opened: Opened) -> str:
    """``encoder cnn, decoder transformer``, as the recipe says it."""
    model = dict(opened.task.recipe.model)
    parts = [f"{slot} {section.kind}" for slot in ("encoder", "decoder") if (section := model.get(slot)) is not None]
    return ", ".join(parts) or f"model {opened.task.recipe.model.kind}"


def _instead(opened: Opened) -> str:
    encoder = dict(opened.task.recipe.model).get("encoder")
    return f"{opened.name} has {_kinds(opened)}: {_INSTEAD.get(encoder.kind if encoder else '', 'seqcli inspect lists its layers')}."


def _recurrent(opened: Opened, what: str) -> None:
    """Raises UserError (2): nothing in the network carries a state from step to step."""
    from seqcli.inspect.steps import recurrent_layers

    if not any(True for _ in recurrent_layers(opened.network)):
        raise usage_error(f"{opened.name} has no {what}: no layer of it is recurrent", hint=_instead(opened))


@cache
def read_subject(opened: Opened, text: str | None) -> Subject:
    """What is looked at, and on stderr what the model cannot read of it."""
    one = subject(opened, text)
    if one.unknown:
        console.warn(f"not in the model's vocabulary, read as <UNK>: {' '.join(one.unknown)}")
    if one.cut is not None:
        console.warn(
            f"the text has {plural(one.cut, 'token')}, of which the model reads the first {len(one.positions)}"
        )
    return one


def graph_view(opened: Opened, sentence: str | None) -> View:
    """The network unrolled over a sentence, or over a few positions without a name."""
    from seqcli.cli.inside.graph import MOST_TOKENS, GraphView
    from seqcli.inspect.graph import unrolled
    from seqcli.pipeline.inside import sentence_tokens

    tokens = sentence_tokens(opened, sentence) or [""] * 4
    if len(tokens) > MOST_TOKENS:
        console.note(f"the first {MOST_TOKENS} of {len(tokens)} tokens are drawn: more cannot be read in print")
    return GraphView(unrolled(opened.network, tokens[:MOST_TOKENS]))


def gates_view(opened: Opened, text: str | None) -> View:
    from seqcli.cli.inside.gates import GatesView
    from seqcli.inspect.gates import gates

    _recurrent(opened, "gates")
    one = read_subject(opened, text)
    layers = gates(opened.network, one.source, one.target, one.positions, one.read)
    if not any(layer.gates for layer in layers):
        raise usage_error(
            f"{opened.name} has no gates: an {layers[0].kind} has its state alone, which each step makes anew",
            hint="--gradient measures how far that state reaches; lstm and gru have gates.",
        )
    return GatesView([layer for layer in layers if layer.gates])


def gradient_view(opened: Opened, what: str | None, *, compare: bool = False) -> View:
    from dataclasses import replace

    from seqcli.cli.inside.gradient import GradientView
    from seqcli.inspect.gradient import by_distance, first, gradient, has_losses, precise
    from seqcli.pipeline.untrained import untrained

    _recurrent(opened, "gradient through time")
    if not has_losses(opened.network):
        raise usage_error(
            f"{opened.name} has no loss at a step: CTC sums over all alignments of the text", hint=_instead(opened)
        )
    batches, name = sample(opened, what, BATCHES)
    if not batches:
        raise data_error(f"{name} has no batch to measure", hint="Give a longer file.")
    found = gradient(opened.network, batches, opened.task.recipe.training.clip_norm)
    if max(len(layer.norms) for layer in found.layers) < 2:
        raise usage_error(f"{name} has one step: there is no earlier one to go back to", hint="Give a longer text.")
    if compare:
        others = {}
        for other, network in untrained(opened.task):
            layers, _ = by_distance(precise(network), first(batches[0]))
            others[other] = next(one for one in reversed(layers) if not one.layer.endswith("backwards"))
        found = replace(found, compared=others)
    return GradientView(found, name)


def attention_view(opened: Opened, text: str | None) -> View:
    from seqcli.cli.inside.attention import AttentionView
    from seqcli.inspect.attention import attends, attention

    if not attends(opened.network):
        raise usage_error(
            f"{opened.name} has no attention: it has {_kinds(opened)}",
            hint="A transformer has it, a decoder with attention: general, and pooling: {kind: attention}.",
        )
    one = read_subject(opened, text)
    return AttentionView(attention(opened.network, one.source, one.target, one.positions, one.read, one.written))


def attribution_view(opened: Opened, text: str | None) -> View:
    from seqcli.cli.inside.attribution import AttributionView
    from seqcli.fields.text import TextField
    from seqcli.pipeline.explain import explain
    from seqcli.tasks.classification import ClassificationTask

    if not isinstance(opened.task, ClassificationTask):
        raise usage_error(f"{opened.name} is a model for {opened.task.kind}: attribution is of a classifier's label")
    if opened.model is None:
        raise usage_error(f"{opened.name} is not trained: its labels mean nothing yet", hint="seqcli train it first.")
    if not isinstance(opened.task.source, TextField):
        raise usage_error(
            f"{opened.name} reads {opened.task.source.unit}, no text",
            hint="'seqcli predict --attribution' takes files.",
        )
    read_subject(opened, text)
    return AttributionView(explain(opened.model, text), colours.wanted())


def neurons_view(opened: Opened, file: str | None) -> View:
    from seqcli.cli.inside.neurons import NeuronsView
    from seqcli.inspect.neurons import neurons
    from seqcli.models.language import LanguageModel
    from seqcli.tasks.language_model import LanguageModelTask
    from seqcli.text.marks import unmark

    task = opened.task
    kind = dict(dict(task.recipe.source).get("tokenizer") or ()).get("kind")
    if not isinstance(task, LanguageModelTask) or kind != "characters":
        raise usage_error(
            f"{opened.name} is no language model of characters", hint="--neurons reads a text letter by letter."
        )
    _recurrent(opened, "neurons that carry something")
    letters = _letters(task, file)
    assert isinstance(opened.network, LanguageModel)
    found, without = neurons(opened.network, task.source.ids(letters), list(map(unmark, letters)))
    if without:
        console.note(f"the text has no occasion for: {', '.join(without)}")
    if not found:
        raise data_error("no rule changes in both halves of the text", hint="Give a longer one.")
    return NeuronsView(found, list(map(unmark, letters)), colours.wanted())


def _letters(task: Any, file: str | None) -> list[str]:
    """The first characters of a file, of stdin, or of the split that `split_data` takes; a line break after each line."""
    from seqcli.fields.text import END
    from seqcli.lines import read_batches

    if file is None:
        raise usage_error("--neurons needs a text to read", hint="Give a file, or - for stdin.")
    letters: list[str] = []
    for block in read_batches(file, on_invalid="strict"):
        for line in block:
            letters += [*task.source.read(line, file), END]
            if len(letters) >= CHARACTERS:
                return letters[:CHARACTERS]
    if len(letters) < 2:
        raise data_error("there is no text", file=file)
    return letters


VIEWS: dict[str, Callable[[Opened, str | None], View]] = {
    "gates": gates_view,
    "gradient": gradient_view,
    "attention": attention_view,
    "attribution": attribution_view,
    "neurons": neurons_view,
}


def all_views(opened: Opened, text: str | None) -> list[View]:
    """Every view that the network and the text allow, in the order of the lectures.

    Raises:
        UserError: the text is none that the model reads.
    """
    from seqcli.cli.inside.layers import LayersView
    from seqcli.fields.text import TextField
    from seqcli.inspect.layers import layers

    is_text = isinstance(opened.task.source, TextField)
    if text is not None:
        read_subject(opened, text)
    views: list[View] = [LayersView(layers(opened.network)), graph_view(opened, text if is_text else None)]
    for name in ("gates", "gradient", "attention", "attribution"):
        if name != "gradient" and text is None and is_text:
            continue
        try:
            views.append(VIEWS[name](opened, text))
        except UserError as error:
            console.detail(f"no {name}: {error}")
    return views
