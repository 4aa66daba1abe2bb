"""The metrics by name: what a table calls them, in which unit, and which way is better.

A name is the key under which a scorer gives the score and ``training.select_by`` asks for it. Two tasks may title the
same name differently (the loss is of a token or of an example); which way is better is the name's alone.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """``unit`` is empty where the title says it, or where there is none."""

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower"]


ACCURACY = Metric("accuracy", "accuracy", "%", "higher")
F1 = Metric("f1", "F1", "%", "higher")
PRECISION = Metric("precision", "precision", "%", "higher")
RECALL = Metric("recall", "recall", "%", "higher")

CLASS_METRICS = (
    ACCURACY,
    F1._replace(title="micro F1"),
    Metric("macro_f1", "macro F1", "%", "higher"),
    Metric("exact_match", "all labels right", "%", "higher"),
    Metric("mean_absolute_error", "mean absolute error", "grades", "lower"),
    Metric("kappa", "quadratic kappa", "", "higher"),
    Metric("loss", "loss", "nats an example", "lower"),
    Metric("brier", "Brier score", "", "lower"),
    Metric("calibration_error", "calibration error", "%", "lower"),
)
"""Of a classifier, in the order of its table."""

LANGUAGE_METRICS = (
    Metric("loss", "nats a token", "", "lower"),
    Metric("perplexity", "perplexity a token", "", "lower"),
    Metric("perplexity_known", "... without <UNK>", "", "lower"),
    Metric("word_perplexity", "perplexity a word", "", "lower"),
    Metric("bits_per_character", "bits a character", "", "lower"),
)
"""Of a language model, in the order of its table."""

TRANSLATION_METRICS = (
    Metric("bleu", "BLEU", "", "higher"),
    Metric("chrf", "chrF", "", "higher"),
    Metric("exact", "exact match", "%", "higher"),
    Metric("token_error_rate", "token error rate", "%", "lower"),
)
"""Of what writes text, in the order of its table."""

CAPTION_METRICS = (
    Metric("bleu", "BLEU-4", "", "higher"),
    Metric("cider", "CIDEr-D", "", "higher"),
    Metric("rouge_l", "ROUGE-L", "", "higher"),
    TRANSLATION_METRICS[2],
    *(Metric(f"bleu_{order}", f"BLEU-{order}", "", "higher") for order in (3, 2, 1)),
)
"""Of a captioner, in the order of its table."""

TRANSCRIPTION_METRICS = (Metric("wer", "WER", "%", "lower"), Metric("cer", "CER", "%", "lower"), TRANSLATION_METRICS[2])
"""Of what writes down speech, in the order of its table."""

SERIES_METRICS = (
    Metric("mae", "MAE", "", "lower"),
    Metric("rmse", "RMSE", "", "lower"),
    Metric("mase", "MASE", "", "lower"),
    Metric("smape", "sMAPE", "%", "lower"),
    Metric("mape", "MAPE", "%", "lower"),
    Metric("mae_standardised", "MAE, standardised", "", "lower"),
    Metric("mse_standardised", "MSE, standardised", "", "lower"),
    Metric("rmse_standardised", "RMSE, standardised", "", "lower"),
    Metric("pinball", "pinball loss", "", "lower"),
)
"""Of what predicts values: in the units of the data where nothing else is said. In the order of its table."""

IMPUTATION_METRICS = tuple(
    metric
    for name in ("mae_standardised", "rmse_standardised", "mae", "rmse")
    for metric in SERIES_METRICS
    if metric.name == name
)
"""Of what fills gaps, in the order of its table."""

_ALL = (
    *SERIES_METRICS,
    *CAPTION_METRICS,
    *LANGUAGE_METRICS,
    *CLASS_METRICS,
    *TRANSLATION_METRICS,
    *TRANSCRIPTION_METRICS,
    F1,
    PRECISION,
    RECALL,
)
METRICS = {metric.name: metric for metric in _ALL}


def metric_of(score: str) -> Metric | None:
    """The metric that a `Score` is named after, by its key or its title; None for one that no table shows."""
    return METRICS.get(score.lower()) or next((metric for metric in _ALL if metric.title == score), None)
