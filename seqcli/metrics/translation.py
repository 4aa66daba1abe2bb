"""BLEU, chrF and TER: sacrebleu's own computation and signature, as a `Score`, with the traps pointed out.

Sources: BLEU (Papineni et al. 2002), chrF (Popović 2015), TER (Snover et al. 2006), sacrebleu and its significance
tests (Post 2018; Koehn 2004 for the bootstrap, Riezler and Maxwell 2005 for approximate randomisation).

References come in streams, as sacrebleu takes them: one sequence for each reference, each as long as the hypothesis;
None where a line has fewer references than others.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from seqcli.errors import did_you_mean, io_error, usage_error
from seqcli.metrics.parallel import check_lines
from seqcli.metrics.score import Score

MetricName = Literal["bleu", "chrf", "ter"]
References = Sequence[Sequence[str | None]]

DEFAULT_SEED = 12345
"""The seed that sacrebleu uses, so that an unseeded command of both gives the same interval."""

_BLEU_ORDER = 4
_COMPARED = ("mean", "half_width", "p_bootstrap", "p_randomisation")


@dataclass(frozen=True)
class Comparison:
    """One system of a paired test: its score, and p-values against the baseline (None for the baseline itself)."""

    name: str
    score: Score
    mean: float
    half_width: float
    p_bootstrap: float | None
    p_randomisation: float | None

    def as_json(self) -> dict[str, Any]:
        return {"system": self.name, **self.score.as_json(), **{name: getattr(self, name) for name in _COMPARED}}


class TranslationMetric:
    """One of sacrebleu's metrics with its options, which keep sacrebleu's names.

    Raises:
        UserError: an option that sacrebleu does not have or refuses (exit code 2).
    """

    def __init__(self, name: MetricName, **options: Any) -> None:
        self.name = name
        self.options = options
        if name == "bleu":
            _check_bleu_options(options)
        self._metric = self._make(None)

    def score(
        self, hypotheses: Sequence[str], references: References, *, resamples: int = 0, seed: int = DEFAULT_SEED
    ) -> Score:
        """The score of a corpus; with ``resamples`` also its mean and 95% interval by bootstrap.

        Raises:
            UserError: nothing to score, or different numbers of lines (exit code 65).
        """
        named = [(f"reference {number}", len(stream)) for number, stream in enumerate(references, 1)]
        check_lines(("hypothesis", len(hypotheses)), named)
        with _sacrebleu_seed(seed):
            result = self._metric.corpus_score(hypotheses, references, n_bootstrap=max(resamples, 1))
        counts = {**_counts(result), "lines": len(hypotheses)}
        if resamples > 1:
            counts["confidence"] = {
                "mean": result._mean,
                "half_width": result._ci,
                "level": 0.95,
                "resamples": resamples,
                "seed": seed,
            }
        return Score(result.name, float(result.score), self._signature(self._metric.get_signature()), counts)

    def sentence_scores(self, pairs: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Score]:
        """One score for each (hypothesis, its references); BLEU then uses the effective order, as sacrebleu does."""
        metric = self._make(None, effective_order=True) if self.name == "bleu" else self._metric
        for hypothesis, references in pairs:
            result = metric.sentence_score(hypothesis, references)
            yield Score(result.name, float(result.score), self._signature(metric.get_signature()), _counts(result))

    def compare(
        self,
        systems: Mapping[str, Sequence[str]],
        references: References,
        *,
        bootstrap_resamples: int = 1000,
        randomisation_trials: int = 10_000,
        seed: int = DEFAULT_SEED,
    ) -> list[Comparison]:
        """Paired bootstrap and paired approximate randomisation of each system against the first.

        Args:
            systems: name -> hypotheses; the first is the baseline.
            bootstrap_resamples: resamples of the paired bootstrap, also for the means and 95% intervals.
            seed: at least 1; sacrebleu takes 0 for "not seeded" in one place and for a seed in another.

        Raises:
            UserError: fewer than two systems, or a seed below 1 (exit code 2).
        """
        from sacrebleu.significance import PairedTest

        if len(systems) < 2:
            raise usage_error("a comparison needs at least two systems")
        if seed < 1:
            raise usage_error("the seed must be at least 1 (sacrebleu leaves a test with seed 0 unseeded)")
        metric = self._make(references)
        named: list[tuple[str, Sequence[str]]] = [(name, list(hypotheses)) for name, hypotheses in systems.items()]
        tests: dict[str, list[Any]] = {}
        signature = metric.get_signature()
        with _sacrebleu_seed(seed):
            for kind, samples in (("bs", bootstrap_resamples), ("ar", randomisation_trials)):
                test = PairedTest(named, {self.name.upper(): metric}, None, test_type=kind, n_samples=samples)
                _, scores = test()
                (title,) = scores.keys() - {"System"}
                tests[kind] = scores[title]
                signature.update(kind, samples)
        signature.update("seed", seed)
        text = self._signature(signature)
        return [
            Comparison(
                name,
                Score(title, float(boot.score), text, {"lines": len(named[0][1])}),
                float(boot.mean),
                float(boot.ci),
                boot.p_value,
                shuffled.p_value,
            )
            for name, boot, shuffled in zip(systems, tests["bs"], tests["ar"], strict=True)
        ]

    def _make(self, references: References | None, **more: Any) -> Any:
        _import_sacrebleu()
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
        from sacrebleu.metrics.ter import TER

        kinds: dict[str, Any] = {"bleu": BLEU, "chrf": CHRF, "ter": TER}
        options = {**self.options, **more}
        if self.name == "bleu":
            options["force"] = True  # its one warning is given by us, earlier and with counts
        try:
            return kinds[self.name](references=references, **options)
        except (ImportError, RuntimeError) as error:
            tokenizer = options.get("tokenize")
            raise usage_error(f"the tokenizer '{tokenizer}' is not available here", hint=_first_line(error)) from error
        except OSError as error:
            raise io_error(
                f"cannot fetch the model of the tokenizer '{options.get('tokenize')}': {_first_line(error)}",
                hint="sacrebleu downloads it once, into ~/.sacrebleu/models (or $SACREBLEU/models).",
            ) from error

    def _signature(self, signature: Any) -> str:
        """sacrebleu's signature, with the n-gram order when it is not the usual one: sacrebleu leaves that out."""
        order = self.options.get("max_ngram_order", _BLEU_ORDER)
        if order != _BLEU_ORDER:
            signature.update("order", order)
        return str(signature.format())


def zero_bleu_warning(score: Score, hypotheses: Sequence[str], references: References) -> str | None:
    """Why BLEU is 0.0 when no line is long enough for the longest n-grams; None when that is not the reason."""
    totals = score.counts["totals"]
    order = len(totals)
    if score.value or totals[-1] or not any(totals):
        return None
    same = any(list(stream) == list(hypotheses) for stream in references)
    reason = "although the hypothesis equals the reference" if same else "whatever matches"
    return (
        f"BLEU is 0.0 {reason}: no line of the hypothesis has {order} words, so there is no {order}-gram to match. "
        "Use --effective-order, a lower --max-ngram-order, or seqcli chrf"
    )


def _check_bleu_options(options: Mapping[str, Any]) -> None:
    _import_sacrebleu()
    from sacrebleu.metrics.bleu import BLEU

    tokenizers, smoothings = list(BLEU.TOKENIZERS), list(BLEU.SMOOTH_DEFAULTS)
    tokenize, smooth = options.get("tokenize"), options.get("smooth_method", "exp")
    for what, names, name, known in (
        ("tokenizer", "Tokenizers", tokenize, tokenizers),
        ("smoothing method", "Methods", smooth, smoothings),
    ):
        if name is not None and name not in known:
            hint = did_you_mean(name, known) or f"{names}: {', '.join(known)}."
            raise usage_error(f"unknown {what} '{name}'", hint=hint)
    value = options.get("smooth_value")
    if value is not None and not 0 <= value < math.inf:
        raise usage_error(f"the smoothing value must be 0 or more, not {value:g}")
    if value is not None and BLEU.SMOOTH_DEFAULTS[smooth] is None:
        raise usage_error(
            f"--smooth-value has no effect with the smoothing method '{smooth}'",
            hint="It belongs to 'floor' and 'add-k'.",
        )


def _counts(result: Any) -> dict[str, Any]:
    """The exact counts of a result of sacrebleu, under sacrebleu's names."""
    if result.name == "BLEU":
        return {
            "precisions": list(result.precisions),
            "matches": list(result.counts),
            "totals": list(result.totals),
            "bp": result.bp,
            "ratio": result.ratio,
            "hyp_len": result.sys_len,
            "ref_len": result.ref_len,
        }
    if result.name == "TER":
        return {"edits": result.num_edits, "ref_length": float(result.ref_length)}
    return {"char_order": result.char_order, "word_order": result.word_order, "beta": result.beta}


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _sacrebleu_seed(seed: int) -> Iterator[None]:
    """sacrebleu takes its seed from the environment only."""
    before = os.environ.get("SACREBLEU_SEED")
    os.environ["SACREBLEU_SEED"] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SACREBLEU_SEED"]
        else:
            os.environ["SACREBLEU_SEED"] = before


def _import_sacrebleu() -> None:
    """Import sacrebleu, but not portalocker: only its downloads use that, and it is a third of the import.

    In its place stands a module that imports the real one when sacrebleu first asks it for anything.
    """
    if "sacrebleu" in sys.modules or "portalocker" in sys.modules:
        return
    stand_in = ModuleType("portalocker")
    stand_in.__getattr__ = lambda name: getattr(importlib.import_module("portalocker"), name)  # type: ignore[method-assign]
    sys.modules["portalocker"] = stand_in
    try:
        importlib.import_module("sacrebleu")
    finally:
        del sys.modules["portalocker"]
