"""What cannot stand together in a network that forecasts."""

import pytest
import yaml
from tiny_forecasts import MODELS

from seqcli.recipe.schema import Recipe
from seqcli.tasks.forecaster_rules import FORECASTER_RULES

BODY = "embedder: {kind: series}, encoder: {kind: gru, bidirectional: false}"
DECODER = "kind: encoder-decoder, embedder: {kind: series}, decoder: {kind: gru}"
BROKEN = {
    "embedder: {kind: frames}, head: {kind: direct}": ["model.embedder: reads no series"],
    f"{BODY}, head: {{kind: softmax}}": ["model.head: softmax is not for the network of a forecast"],
    f"{BODY}, head: {{kind: stepwise}}": ["model.head: stepwise is for an encoder-decoder"],
    f"{DECODER}, head: {{kind: direct}}": ["model.head: direct is not for the encoder-decoder of a forecast"],
    f"{BODY}, head: {{kind: direct, own: true}}": [
        "model.head.own: weights of its own for each column, which all stand in one vector"
    ],
    "embedder: {kind: series}, head: {kind: segments}": [
        "model.encoder: the head segments needs an encoder that reads on"
    ],
    "embedder: {kind: series}, encoder: {kind: cnn}, head: {kind: shifted}": [
        "model.encoder: the head shifted needs an encoder that reads on, and a cnn sees later positions"
    ],
    "embedder: {kind: series}, encoder: {kind: gru}, head: {kind: shifted}": [
        "model.encoder.bidirectional: the head shifted needs an encoder that reads forwards only"
    ],
    "embedder: {kind: series}, encoder: {kind: window}, head: {kind: segments}": [
        "model.encoder.right: the head segments needs an encoder that sees nothing to the right"
    ],
    f"{BODY.replace('series', 'series, normalize: last, decompose: 5')}, head: {{kind: shifted}}": [
        "model.embedder.normalize: the last of a window tells its first positions what they should predict",
        "model.embedder.decompose: a mean over the steps around a position tells it what it should predict",
    ],
    f"{DECODER.replace(', decoder: {kind: gru}', '')}, head: {{kind: stepwise}}": [
        "model.decoder: is missing; an encoder-decoder needs it"
    ],
    f"{DECODER.replace('gru', 'transformer')}, head: {{kind: stepwise}}": [
        "model.decoder: a forecast is made by a recurrent decoder"
    ],
    f"{DECODER}, tied: all, head: {{kind: stepwise}}": ["model.tied: values have no tables that could be tied"],
}


def broken(model, quantiles="[]"):
    text = (
        f"name: a\ntask: {{kind: forecasting, quantiles: {quantiles}}}\ndata: {{train: a}}\nsource: {{kind: series}}\n"
    )
    recipe = Recipe.model_validate(yaml.safe_load(f"{text}model: {{{model}}}"))
    return [
        f"{rule.where}: {rule.message(recipe) if callable(rule.message) else rule.message}"
        for rule in FORECASTER_RULES
        if rule.broken(recipe)
    ]


@pytest.mark.parametrize("model", BROKEN)
def test_what_is_refused(model):
    assert broken(model) == BROKEN[model]


@pytest.mark.parametrize("model", MODELS)
def test_what_is_taken(model):
    assert broken(MODELS[model]) == []


def test_a_loss_beside_quantiles():
    model = f"{BODY}, head: {{kind: direct, loss: mae}}"
    assert broken(model) == []
    assert broken(model, "[0.5]") == ["model.head.loss: with task.quantiles the loss is the pinball loss"]
