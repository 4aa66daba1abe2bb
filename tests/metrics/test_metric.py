"""Every score that can select a model, or that a table shows, is a metric with a direction."""

from itertools import groupby

import numpy as np
import pytest

from seqcli.metrics.accuracy import AccuracyScorer
from seqcli.metrics.classes import ClassScorer, MultilabelScorer
from seqcli.metrics.metric import (
    CAPTION_METRICS,
    CLASS_METRICS,
    F1,
    LANGUAGE_METRICS,
    METRICS,
    SERIES_METRICS,
    TRANSCRIPTION_METRICS,
    TRANSLATION_METRICS,
)
from seqcli.metrics.perplexity import PerplexityScorer


def test_a_name_has_one_direction():
    every = sorted(
        (
            *CLASS_METRICS,
            *LANGUAGE_METRICS,
            *TRANSLATION_METRICS,
            *CAPTION_METRICS,
            *TRANSCRIPTION_METRICS,
            *SERIES_METRICS,
            F1,
        ),
        key=lambda metric: metric.name,
    )
    for name, metrics in groupby(every, key=lambda metric: metric.name):
        assert {metric.better for metric in metrics} == {METRICS[name].better}


def classes(**options):
    scorer = ClassScorer(["1", "2"], **options)
    scorer.add(np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]]))
    return scorer.scores()


def language():
    scorer = PerplexityScorer()
    scorer.add([-1.0, -2.0], words=1, characters=3, unknown=[False, True])
    return scorer.scores()


@pytest.mark.parametrize(
    "scores",
    [
        classes(),
        classes(ordinal=True),
        MultilabelScorer(["a"]).scores(),
        language(),
        {AccuracyScorer().score().name: 0},
    ],
)
def test_every_score_is_a_metric(scores):
    assert set(scores) - {"loss_known"} <= set(METRICS)


def test_better():
    lower = {name for name, metric in METRICS.items() if metric.better == "lower"}
    assert lower == {
        "token_error_rate",
        "wer",
        "cer",
        "loss",
        "perplexity",
        "perplexity_known",
        "word_perplexity",
        "bits_per_character",
        "brier",
        "calibration_error",
        "mean_absolute_error",
        *(metric.name for metric in SERIES_METRICS),
    }
