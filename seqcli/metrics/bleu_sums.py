"""BLEU worked out of what each line adds to it, so that two systems are compared as `seqcli.metrics.paired` does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqcli.metrics.paired import Sums
from seqcli.metrics.translation import TranslationMetric

_ORDER = 4


def bleu_sums(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Sums:
    """What each line adds to corpus BLEU: n-grams that are right and all of them, and the two lengths.

    Args:
        references: those of each line.
    """
    metric = TranslationMetric("bleu")
    adds = []
    for score in metric.sentence_scores(zip(hypotheses, references, strict=True)):
        counts = score.counts
        adds.append([*counts["matches"], *counts["totals"], counts["hyp_len"], counts["ref_len"]])

    from sacrebleu.metrics.bleu import BLEU

    def value(sums_S: NDArray[np.float64]) -> NDArray[np.float64]:
        def one(row_S: NDArray[np.float64]) -> float:
            *grams, sys_len, ref_len = row_S.astype(int).tolist()
            correct, total = grams[:_ORDER], grams[_ORDER:]
            return float(BLEU.compute_bleu(correct, total, sys_len, ref_len, smooth_method="exp").score)

        return np.apply_along_axis(one, -1, sums_S)

    return Sums("BLEU", np.array(adds, np.float64).reshape(-1, 2 * _ORDER + 2), value)
