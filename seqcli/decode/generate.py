"""Whole sequences out of a model of the next token: greedy, beam search and sampling in one loop.

Shapes: B sources, A of them still worked on, K beams of each, C candidates of each, R = A K rows that the model reads
together, T tokens, S source positions, V rows of the vocabulary, M of them in a block, N blocks.

The beam search is CTranslate2's (``BeamSearch`` in its src/decoding.cc, release 4), so that both give the same tokens:

- A step takes the 2 K most probable continuations of a source's K beams. One with <EOS> among the first K is a finished
  hypothesis; the first K without <EOS> are the next beams.
- A source is done when it has K hypotheses (patience 1, Kasai et al. 2022), or at its greatest length, where the first
  K are hypotheses as they are, with <EOS> or cut. Without length and coverage penalty hypotheses can, but for `grows`,
  only get worse with length, and it is done when a best continuation has ended and there are as many as are asked for.
- A hypothesis is ranked by ``ln p / length ** penalty``, <EOS> counted in the length, plus the coverage penalty.
  Penalties order hypotheses; they do not steer the search.
- What may not come next (<EOS> before the least length, forbidden tokens, repeated n-grams) has no probability, and the
  rest are renormalised for the ranking. ``log_prob`` stays the model's own.
- The tokens of a forced prefix count in the length and have probability 1. After a prefix, <EOS> is taken only where it
  is the most probable token.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.decode.sampling import SamplingOptions, check_numbers, choose, largest, nothing_left
from seqcli.decode.stepper import LogProbs, Reader
from seqcli.errors import usage_error

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

_BLOCK = 64
"""Tokens whose largest is looked at first: the best of a row are in the blocks with the best."""


@dataclass(frozen=True)
class GenerateOptions:
    """How sequences are made.

    Attributes:
        beam: hypotheses followed side by side; 1 is greedy.
        best: hypotheses given for each source; at most ``beam``, when sampling any number.
        length_penalty: the exponent of the length in the ranking: 0 ranks by probability, more favours the longer.
        coverage_penalty: weight of the sum of ln(min(1, attention received)) over the source (Wu et al. 2016, eq. 14).
        min_length: tokens, <EOS> not counted, before which a sequence does not end.
        max_length: tokens, <EOS> not counted, after which a sequence is cut.
        no_repeat: no n-gram of this many tokens comes twice; 0 allows all.
        grows: a score may grow with length even without a length penalty, as that of a model that rewards tokens.
        sampling: draw with these options instead of searching.
        seed: with the numbers of the source and of the sample, the seed of the sample's random numbers.

    Raises:
        UserError: a value out of its range, or two that cannot stand together (2).
    """

    beam: int = 1
    best: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    min_length: int = 0
    max_length: int = 256
    no_repeat: int = 0
    grows: bool = False
    sampling: SamplingOptions | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (("beam", self.beam), ("best", self.best), ("max-length", self.max_length))
        for least, wholes in (
            (1, counts),
            (0, (("min-length", self.min_length), ("no-repeat", self.no_repeat), ("seed", self.seed))),
        ):
            for name, value in wholes:
                if value < least:
                    raise usage_error(f"{name} must be {least} or more, not {value}")
        for name, penalty in (("length-penalty", self.length_penalty), ("coverage-penalty", self.coverage_penalty)):
            if not 0 <= penalty < math.inf:
                raise usage_error(f"{name} must be 0 or more, not {penalty:g}")
        if self.min_length > self.max_length:
            raise usage_error(f"min-length {self.min_length} is above max-length {self.max_length}")
        if self.sampling is None and self.best > self.beam:
            raise usage_error(
                f"{self.best} hypotheses cannot come out of a beam of {self.beam}", hint=f"Set beam to {self.best}."
            )
        if self.sampling is not None and self.beam > 1:
            raise usage_error("sampling follows one sequence at a time", hint="Leave beam at 1.")


@dataclass(frozen=True)
class Hypothesis:
    """One sequence of a source.

    Attributes:
        ids: its tokens, a forced prefix among them, without <EOS>.
        log_prob: ln p of what follows the prefix, <EOS> included, by the model itself.
        score: what it was ranked by.
        ended: with <EOS>; else it was cut at its greatest length.
        log_probs: ln p of each token and, if it ended, of <EOS>; 0 for those of a prefix.
        attention_TS: weights for each token and, if it ended, for <EOS>.
    """

    ids: list[int]
    log_prob: float
    score: float
    ended: bool
    log_probs: list[float]
    attention_TS: NDArray[np.float32] | None = None


def generate(
    model: Reader,
    count: int,
    options: GenerateOptions,
    *,
    eos: int,
    forbidden: Collection[int] = (),
    prefixes: Sequence[Sequence[int]] | None = None,
    limits: Sequence[int] | None = None,
    attention: bool = False,
    numbers: Sequence[int] | None = None,
) -> list[list[Hypothesis]]:
    """The hypotheses of each of ``count`` sources, the best first; samples in the order of their numbers.

    Sources that are done leave the batch, so each comes out the same alone and among others. There are fewer hypotheses
    than asked for where the model gives all others no probability, or a prefix nearly fills the greatest length.

    Args:
        forbidden: ids that are never chosen (a prefix may hold them).
        prefixes: tokens that each source's sequences begin with; may be empty.
        limits: a greatest length for each source, at least 1, where it is below ``max_length``. A prefix is never cut.
        attention: also give ``attention_TS``, where the model has it.
        numbers: those of the sources, for the seeds of samples, where sources come in several batches.

    Raises:
        UserError: the model gives no number, or all probability to what may not come (1); a coverage penalty, but no
            attention (2).
    """
    if not count:
        return []
    prefix_lengths_B = np.array([len(prefix) for prefix in prefixes or [()] * count], np.int64)
    prefix_BT = np.zeros((count, prefix_lengths_B.max()), np.int64)
    for row, prefix in zip(prefix_BT, prefixes or (), strict=False):
        row[: len(prefix)] = prefix
    limits_B = np.minimum(options.max_length, options.max_length if limits is None else np.asarray(limits, np.int64))
    limits_B = np.maximum(limits_B, np.maximum(prefix_lengths_B, 1))

    log_probs, state = model.start(count)
    looks = (attention or options.coverage_penalty > 0) and model.attention(state) is not None
    if options.coverage_penalty > 0 and not looks:
        raise usage_error("a coverage penalty needs a model with attention")
    # read in one go as far as all have a prefix; where the model looked is only known of the last token read
    read = 0 if looks else int(np.minimum(prefix_lengths_B, limits_B - 1).min())
    if read:
        log_probs, state = model.read(prefix_BT[:, :read], state)
    copies = options.best if options.sampling else 1
    source_A = np.arange(count).repeat(copies)
    if copies > 1:
        log_probs, state = log_probs[source_A], model.select(state, source_A)
    search = _Search(
        options, eos, forbidden, attention, prefix_BT[source_A], prefix_lengths_B[source_A], limits_B[source_A], read
    )
    if options.sampling:
        seeds = [[options.seed, source, copy] for source in numbers or range(count) for copy in range(copies)]
        search.chances = [np.random.default_rng(seed) for seed in seeds]
    while True:
        rows_R, tokens_R = search.step(log_probs, model.attention(state) if looks else None)
        if not len(rows_R):
            break
        if len(rows_R) != len(log_probs) or (rows_R != np.arange(len(rows_R))).any():
            state = model.select(state, rows_R)
        log_probs, state = model.read(tokens_R[:, None], state)
    # a sample is a search of its own up to here
    hypotheses = [sorted(found, key=lambda one: -one.score)[: options.best] for found in search.found]
    return [list(chain(*hypotheses[at : at + copies])) for at in range(0, len(hypotheses), copies)]


class _Candidates(NamedTuple):
    """Continuations [A, C] of each source, the best first; a score of -inf says that there are no more."""

    scores: Floats
    rows: Ids  # what they continue
    tokens: Ids
    log_probs: Floats  # of the token, by the model
    ends: NDArray[np.bool_]

    def at(self, index_AK: Ids) -> _Candidates:
        return _Candidates(
            np.take_along_axis(self.scores, index_AK, axis=1),
            np.take_along_axis(self.rows, index_AK, axis=1),
            np.take_along_axis(self.tokens, index_AK, axis=1),
            np.take_along_axis(self.log_probs, index_AK, axis=1),
            np.take_along_axis(self.ends, index_AK, axis=1),
        )


class _Search:
    """The sources still worked on and their beams so far; a row is a beam, and those of a source stand together."""

    def __init__(
        self,
        options: GenerateOptions,
        eos: int,
        forbidden: Collection[int],
        attention: bool,
        prefix_AT: Ids,
        prefix_lengths_A: Ids,
        limits_A: Ids,
        read: int,
    ) -> None:
        self.options, self.eos, self.attention = options, eos, attention
        self.forbidden = np.array(sorted(forbidden), np.int64)
        self.prefix_AT, self.prefix_lengths_A, self.limits_A = prefix_AT, prefix_lengths_A, limits_A
        self.numbers_A = np.arange(len(limits_A))
        self.scores_AK = np.zeros((len(limits_A), 1))  # the beams are all one before the first token
        self.ids_RT = prefix_AT[:, :read]
        self.log_probs_RT = np.zeros(self.ids_RT.shape)
        self.rows_RT = np.zeros((len(limits_A), 0), np.int64)  # the row each token was chosen in, at its time
        self.seen: list[NDArray[np.float32]] = []
        self.counts_A = np.zeros(len(limits_A), np.int64)
        self.best_ended_A = np.zeros(len(limits_A), bool)
        self.found: list[list[Hypothesis]] = [[] for _ in limits_A]
        self.chances: list[np.random.Generator] = []

    def step(self, log_probs_RV: LogProbs, seen_RS: NDArray[np.float32] | None) -> tuple[Ids, Ids]:
        """Choose the next tokens: ``(the row that each next row goes on from, its token)``, none when all is done."""
        options, beam = self.options, self.options.beam
        length = self.ids_RT.shape[1] + 1
        if seen_RS is not None:
            self.seen.append(seen_RS)
        candidates = self._candidates(log_probs_RV, length)
        last_A = length >= self.limits_A
        done_AK = ((candidates.ends | last_A[:, None]) & (candidates.scores > -math.inf))[:, :beam]
        for at, k in np.argwhere(done_AK).tolist():
            self.found[self.numbers_A[at]].append(self._hypothesis(candidates, at, k))
        self.counts_A += done_AK.sum(axis=1)
        self.best_ended_A |= done_AK[:, 0]

        nexts = candidates.at(np.argsort(candidates.ends, axis=1, kind="stable")[:, :beam])
        nexts.scores[nexts.ends] = -math.inf  # where there are too few that go on
        if options.length_penalty or options.coverage_penalty or options.grows:
            enough_A = self.counts_A >= beam
        else:
            enough_A = self.best_ended_A & (self.counts_A >= options.best)
        over_A = last_A | enough_A | (nexts.scores == -math.inf).all(axis=1)
        if (over_A & (self.counts_A == 0)).any():
            raise nothing_left()
        return self._go_on(nexts, ~over_A)

    def _candidates(self, log_probs_RV: LogProbs, length: int) -> _Candidates:
        options, beam = self.options, self.options.beam
        width = self.scores_AK.shape[1]
        forced_A = length <= self.prefix_lengths_A
        allowed_RV, scores_AK = self._allowed(log_probs_RV)
        if options.sampling is not None:
            scores, rows, tokens = self._drawn(allowed_RV, scores_AK, forced_A, options.sampling)
        else:
            scores, rows, tokens = _best(allowed_RV, scores_AK, 2 * beam if beam > 1 else 1)
        log_probs = log_probs_RV[rows, tokens].astype(np.float64)
        if forced_A.any():
            scores[forced_A] = [0.0] + [-math.inf] * (scores.shape[1] - 1)
            rows[forced_A] = np.flatnonzero(forced_A)[:, None] * width
            tokens[forced_A] = self.prefix_AT[forced_A, length - 1, None]
            log_probs[forced_A] = 0
        ends = (tokens == self.eos) & ~forced_A[:, None]
        after_prefix_A = (self.prefix_lengths_A == length - 1) & (length > 1)
        scores[:, 1:][(ends & after_prefix_A[:, None])[:, 1:]] = -math.inf
        return _Candidates(scores, rows, tokens, log_probs, ends & (scores > -math.inf))

    def _go_on(self, nexts: _Candidates, on_A: NDArray[np.bool_]) -> tuple[Ids, Ids]:
        rows_R, tokens_R = nexts.rows[on_A].ravel(), nexts.tokens[on_A].ravel()
        self.scores_AK = nexts.scores[on_A]
        self.ids_RT = np.column_stack([self.ids_RT[rows_R], tokens_R])
        self.log_probs_RT = np.column_stack([self.log_probs_RT[rows_R], nexts.log_probs[on_A].ravel()])
        if self.seen:
            self.rows_RT = np.column_stack([self.rows_RT[rows_R], rows_R])
        self.numbers_A, self.counts_A, self.best_ended_A = (
            each[on_A] for each in (self.numbers_A, self.counts_A, self.best_ended_A)
        )
        self.prefix_AT, self.prefix_lengths_A, self.limits_A = (
            each[on_A] for each in (self.prefix_AT, self.prefix_lengths_A, self.limits_A)
        )
        return rows_R, tokens_R

    def _allowed(self, log_probs_RV: LogProbs) -> tuple[LogProbs, Floats]:
        """``(ln p with -inf for what may not come next, scores of the beams by which the rest is renormalised)``."""
        rows, size = log_probs_RV.shape
        everywhere = self.forbidden
        if self.ids_RT.shape[1] < self.options.min_length:
            everywhere = np.append(everywhere, self.eos)
        barred = (np.arange(rows)[:, None] * size + everywhere).ravel()
        if self.options.no_repeat:
            at, tokens = _repeats(self.ids_RT, self.options.no_repeat)
            no_end = tokens != self.eos  # a prefix may hold <EOS>
            barred = np.concatenate([barred, (at * size + tokens)[no_end]])
        if not len(barred):
            return log_probs_RV, self.scores_AK
        barred = np.unique(barred)
        allowed_RV = np.array(log_probs_RV, order="C")
        flat = allowed_RV.reshape(-1)
        lost_R = np.bincount(barred // size, np.exp(flat[barred].astype(np.float64)), minlength=rows)
        flat[barred] = -math.inf
        left_R = 1 - lost_R
        for row in np.flatnonzero(lost_R > 0.5).tolist():  # the difference would be inexact
            left_R[row] = np.exp(allowed_RV[row].astype(np.float64)).sum()
        renormaliser_R = np.log(left_R, where=left_R > 0, out=np.zeros(rows))
        return allowed_RV, self.scores_AK - renormaliser_R.reshape(self.scores_AK.shape)

    def _drawn(
        self, allowed_RV: LogProbs, scores_AK: Floats, forced_A: NDArray[np.bool_], options: SamplingOptions
    ) -> tuple[Floats, Ids, Ids]:
        check_numbers(allowed_RV)
        tokens_A1 = np.array(
            [
                [0 if forced else choose(row, options, self.chances[number])]
                for row, forced, number in zip(allowed_RV, forced_A, self.numbers_A.tolist(), strict=True)
            ],
            np.int64,
        )
        return (
            scores_AK + np.take_along_axis(allowed_RV, tokens_A1, axis=1),
            np.arange(len(tokens_A1))[:, None],
            tokens_A1,
        )

    def _hypothesis(self, candidates: _Candidates, at: int, k: int) -> Hypothesis:
        row, ended = int(candidates.rows[at, k]), bool(candidates.ends[at, k])
        ids, log_probs = self.ids_RT[row].tolist(), self.log_probs_RT[row].tolist()
        log_probs.append(float(candidates.log_probs[at, k]))
        if not ended:
            ids.append(int(candidates.tokens[at, k]))
        score = float(candidates.scores[at, k]) / len(log_probs) ** self.options.length_penalty
        attention_TS = None
        if self.seen:
            places = [*self.rows_RT[row].tolist(), row]
            attention_TS = np.stack([seen_RS[place] for seen_RS, place in zip(self.seen, places, strict=True)])
            received_S = attention_TS.sum(axis=0, dtype=np.float64)
            covered = np.log(np.minimum(received_S[received_S > 0], 1)).sum()  # padding receives none
            score += self.options.coverage_penalty * float(covered)
        if not self.attention:
            attention_TS = None
        return Hypothesis(ids, math.fsum(log_probs), score, ended, log_probs, attention_TS)


def _best(log_probs_RV: LogProbs, scores_AK: Floats, count: int) -> tuple[Floats, Ids, Ids]:
    """``(score, row, token)`` of the best continuations [A, C] of each source, of equal ones the first beam's and id's.

    Where there are fewer, the rest have a score of -inf.
    """
    size = log_probs_RV.shape[1]
    sources, width = scores_AK.shape
    scores_R = scores_AK.reshape(-1)
    whole = size - size % _BLOCK
    tops_RN = log_probs_RV[:, :whole].reshape(len(scores_R), whole // _BLOCK, _BLOCK).max(axis=2)
    if whole < size:
        tops_RN = np.column_stack([tops_RN, log_probs_RV[:, whole:].max(axis=1)])
    check_numbers(tops_RN)
    blocks = tops_RN.shape[1]
    chosen_AC = largest((tops_RN + scores_R[:, None]).reshape(sources, width * blocks), count)
    rows_AC = chosen_AC // blocks + np.arange(sources)[:, None] * width
    tokens_ACM = (chosen_AC % blocks * _BLOCK)[:, :, None] + np.arange(_BLOCK)
    rows_ACM = np.broadcast_to(rows_AC[:, :, None], tokens_ACM.shape)
    scores_ACM = log_probs_RV[rows_ACM, np.minimum(tokens_ACM, size - 1)] + scores_R[rows_ACM]
    scores_ACM[tokens_ACM >= size] = -math.inf

    scores_AN = scores_ACM.reshape(sources, -1)
    picked_AC = largest(scores_AN, count)
    found_AC = np.take_along_axis(scores_AN, picked_AC, axis=1)
    order_AC = np.argsort(-found_AC, axis=1, kind="stable")
    picked_AC = np.take_along_axis(picked_AC, order_AC, axis=1)
    return (
        np.take_along_axis(found_AC, order_AC, axis=1),
        np.take_along_axis(rows_ACM.reshape(sources, -1), picked_AC, axis=1),
        np.minimum(np.take_along_axis(tokens_ACM.reshape(sources, -1), picked_AC, axis=1), size - 1),
    )


def _repeats(ids_RT: Ids, size: int) -> tuple[Ids, Ids]:
    """``(rows, tokens)`` that would complete an n-gram of this size for the second time."""
    if ids_RT.shape[1] < size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if size == 1:
        rows = np.arange(len(ids_RT)).repeat(ids_RT.shape[1])
        return rows, ids_RT.ravel()
    begins_RTN = np.lib.stride_tricks.sliding_window_view(ids_RT[:, :-1], size - 1, axis=1)
    rows, places = (begins_RTN == ids_RT[:, None, 1 - size :]).all(axis=2).nonzero()
    return rows, ids_RT[rows, places + size - 1]
