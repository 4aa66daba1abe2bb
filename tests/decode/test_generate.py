"""Greedy, beam search and sampling: against listing all sequences, CTranslate2's results and cases worked out by hand."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bigram import Bigrams
from hypothesis import given
from hypothesis import strategies as st

from seqcli.decode.generate import GenerateOptions, Hypothesis, generate
from seqcli.decode.sampling import SamplingOptions, sample
from seqcli.errors import ExitCode, UserError

INF = math.inf
EOS = 0


class Sources:
    """ln p(token | source, the two tokens before it) as a table; where it looks depends on source and last token.

    The first of the two is shifted by the position, so that no two sequences are equally probable.
    """

    def __init__(self, table_BVVV: np.ndarray, attention_BVS: np.ndarray | None = None) -> None:
        with np.errstate(divide="ignore"):
            self.log_probs_BVVV = np.log(table_BVVV).astype(np.float32)
        self.attention_BVS = attention_BVS
        self.reads: list[tuple[int, int]] = []

    def row(self, source: Any, path: Any, position: int) -> Any:
        size = self.log_probs_BVVV.shape[1]
        return self.log_probs_BVVV[source, (path[-2] + position) % size, path[-1]]

    def start(self, count: int) -> tuple[Any, Any]:
        assert count == len(self.log_probs_BVVV)
        path_RT = np.full((count, 2), EOS)
        return self.row(np.arange(count), path_RT.T, 0), np.column_stack([np.arange(count), path_RT])

    def read(self, ids_BT: np.ndarray, state: Any) -> tuple[Any, Any]:
        assert len(ids_BT) == len(state)
        self.reads.append(ids_BT.shape)
        state = np.column_stack([state, ids_BT])
        return self.row(state[:, 0], state.T, state.shape[1] - 3), state

    def select(self, state: Any, rows: np.ndarray) -> Any:
        return state[rows]

    def score(self, sequences: Any, *, headed: bool = False) -> Any:
        raise NotImplementedError

    def attention(self, state: Any) -> np.ndarray | None:
        return None if self.attention_BVS is None else self.attention_BVS[state[:, 0], state[:, -1]].astype(np.float32)

    def only(self, source: int) -> Sources:
        one = Sources(np.ones(1), None if self.attention_BVS is None else self.attention_BVS[source : source + 1])
        one.log_probs_BVVV = self.log_probs_BVVV[source : source + 1]
        return one


def random_sources(seed: int, count: int, size: int, *, sharp: float = 0.7, width: int = 3) -> Sources:
    random = np.random.default_rng(seed)
    table = random.dirichlet(np.full(size, sharp), (count, size, size)) + 1e-5
    return Sources(table / table.sum(-1, keepdims=True), random.dirichlet(np.ones(width), (count, size)))


def log_probs_of(model: Sources, source: int, tokens: list[int]) -> list[float]:
    path = [EOS, EOS, *tokens]
    return [float(model.row(source, path[: at + 2], at)[token]) for at, token in enumerate(tokens)]


def everything(model: Sources, source: int, longest: int) -> dict[tuple[int, ...], float]:
    """ln p of every sequence; one of the greatest length is cut."""
    size = model.log_probs_BVVV.shape[1]
    found = {}
    for length in range(longest + 1):
        for ids in itertools.product(range(1, size), repeat=length):
            found[ids] = math.fsum(log_probs_of(model, source, [*ids, EOS] if length < longest else list(ids)))
    return found


def ids_of(hypotheses: list[list[Hypothesis]]) -> list[list[list[int]]]:
    return [[one.ids for one in found] for found in hypotheses]


SEEDS = st.integers(0, 10**6)


@given(SEEDS, st.sampled_from([0.0, 0.6, 1.0, 2.0]), st.integers(1, 8))
def test_a_beam_wide_enough_finds_the_best_of_all(seed: int, penalty: float, best: int) -> None:
    model = random_sources(seed, 2, 4)
    found = generate(
        model, 2, GenerateOptions(beam=200, best=best, length_penalty=penalty, max_length=4), eos=EOS
    )  # 27 + 81 sequences can be going on, so none is left out
    for source, hypotheses in enumerate(found):
        every = everything(model, source, 4)
        scores = {ids: value / min(len(ids) + 1, 4) ** penalty for ids, value in every.items()}
        expected = sorted(scores.values(), reverse=True)[:best]
        exact = best if penalty else 1  # without a penalty the search ends early, sure of the best one alone
        assert [one.score for one in hypotheses][:exact] == pytest.approx(expected[:exact], rel=1e-5)
        for one in hypotheses:
            assert one.score == pytest.approx(scores[tuple(one.ids)], rel=1e-5)
            assert one.log_prob == pytest.approx(every[tuple(one.ids)], rel=1e-5)
            assert one.ended == (len(one.ids) < 4)


@given(SEEDS)
def test_greedy_takes_the_most_probable_token(seed: int) -> None:
    model = random_sources(seed, 3, 6)
    (one,) = generate(model.only(1), 1, GenerateOptions(max_length=9), eos=EOS)[0]
    path = [EOS, EOS]
    for position in range(9):
        path.append(int(model.row(1, path, position).argmax()))
        if path[-1] == EOS:
            break
    assert one.ids == (path[2:-1] if one.ended else path[2:])
    assert one.ended == (path[-1] == EOS)
    assert one.log_probs == pytest.approx(log_probs_of(model, 1, path[2:]))


OPTIONS = st.builds(
    lambda beam, **more: GenerateOptions(beam=beam, best=beam, **more),
    st.integers(1, 5),
    length_penalty=st.sampled_from([0.0, 1.0, 0.4]),
    coverage_penalty=st.sampled_from([0.0, 0.3]),
    min_length=st.integers(0, 3),
    max_length=st.integers(3, 9),
    no_repeat=st.integers(0, 2),
)
SAMPLES = st.builds(
    lambda best, options, **more: GenerateOptions(best=best, sampling=options, **more),
    st.integers(1, 4),
    st.builds(SamplingOptions, st.sampled_from([0.5, 1.5]), top_p=st.sampled_from([0.8, 1.0])),
    min_length=st.integers(0, 3),
    max_length=st.integers(3, 9),
    no_repeat=st.integers(0, 2),
    seed=SEEDS,
)
MORE = st.fixed_dictionaries(
    {
        "prefixes": st.none() | st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=3, max_size=3),
        "limits": st.none() | st.lists(st.integers(1, 9), min_size=3, max_size=3),
        "forbidden": st.sampled_from([(), (7,)]),
        "attention": st.booleans(),
    }
)


@given(SEEDS, OPTIONS | SAMPLES, MORE)
def test_a_source_comes_out_the_same_alone_and_among_others(
    seed: int, options: GenerateOptions, more: dict[str, Any]
) -> None:
    model = random_sources(seed, 3, 10)
    together = generate(model, 3, options, eos=EOS, **more)
    for source in range(3):
        own = {
            key: value[source : source + 1] if key in ("prefixes", "limits") and value else value
            for key, value in more.items()
        }
        (alone,) = generate(model.only(source), 1, options, eos=EOS, numbers=[source], **own)
        assert len(alone) == len(together[source])
        for one, other in zip(alone, together[source], strict=True):
            assert replace(one, attention_TS=None) == replace(other, attention_TS=None)
            assert np.array_equal(one.attention_TS, other.attention_TS)  # type: ignore[arg-type]


@given(SEEDS, OPTIONS | SAMPLES, MORE)
def test_what_holds_of_every_hypothesis(seed: int, options: GenerateOptions, more: dict[str, Any]) -> None:
    model = random_sources(seed, 3, 10)
    found = generate(model, 3, options, eos=EOS, **more)
    for source, hypotheses in enumerate(found):
        prefix = more["prefixes"][source] if more["prefixes"] else []
        assert 1 <= len(hypotheses) <= options.best
        assert len(hypotheses) == options.best or (prefix and options.sampling is None)
        limit = max(min(options.max_length, more["limits"][source] if more["limits"] else 99), len(prefix))
        if options.sampling is None:
            assert len({tuple(one.ids) for one in hypotheses}) == len(hypotheses)
            assert [one.score for one in hypotheses] == sorted((one.score for one in hypotheses), reverse=True)
        for one in hypotheses:
            assert one.ids[: len(prefix)] == prefix
            assert min(options.min_length, limit) <= len(one.ids) <= limit
            assert one.ended or len(one.ids) == limit
            free = one.ids[len(prefix) :]
            assert not {EOS, *more["forbidden"]}.intersection(free)
            if options.no_repeat and not prefix:
                grams = list(itertools.pairwise(one.ids)) if options.no_repeat == 2 else one.ids
                assert len(set(grams)) == len(grams)
            tokens = [*one.ids, *([EOS] if one.ended else [])]
            own = [0.0] * len(prefix) + log_probs_of(model, source, tokens)[len(prefix) :]
            assert one.log_probs == pytest.approx(own)
            assert one.log_prob == pytest.approx(sum(own))
            if more["attention"]:
                assert model.attention_BVS is not None
                expected = model.attention_BVS[source, [EOS, *tokens[:-1]]]
                assert one.attention_TS == pytest.approx(expected, abs=1e-6)
            else:
                assert one.attention_TS is None


def plain_search(
    model: Sources, source: int, options: GenerateOptions, prefix: list[int], forbidden: tuple[int, ...]
) -> list[tuple[list[int], float]]:
    """The rules of the search one after the other, one source, without arrays: ``(ids, score)``."""
    penalties = options.length_penalty > 0 or options.coverage_penalty > 0
    limit = max(options.max_length, len(prefix), 1)
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    found: list[tuple[list[int], float]] = []
    best_ended = False

    def finish(total: float, path: list[int]) -> None:
        assert model.attention_BVS is not None
        received = model.attention_BVS[source, [EOS, *path[:-1]]].astype(np.float32).sum(0)
        coverage = options.coverage_penalty * sum(math.log(min(1, weight)) for weight in received)
        free = path[len(prefix) :]
        found.append((path[:-1] if EOS in free else path, total / len(path) ** options.length_penalty + coverage))

    while True:
        length = len(beams[0][1]) + 1
        continued = []
        for total, path in beams:
            row = {
                token: log_probs_of(model, source, [*path, token])[-1]
                for token in range(model.log_probs_BVVV.shape[1])
                if token not in forbidden and not (token == EOS and length <= options.min_length)
            }
            size = options.no_repeat
            grams = [path[at : at + size] for at in range(len(path) - size + 1)] if size else []
            row = {
                token: value
                for token, value in row.items()
                if not size or token == EOS or [*path, token][-size:] not in grams
            }
            left = math.log(sum(math.exp(value) for value in row.values()))
            continued += [(total + value - left, [*path, token]) for token, value in row.items()]
        continued = sorted(continued, key=lambda one: -one[0])[: 2 * options.beam if options.beam > 1 else 1]
        if length <= len(prefix):
            continued = [(0.0, prefix[:length])]
        elif prefix and length == len(prefix) + 1:
            continued[1:] = [one if one[1][-1] != EOS else (-INF, [*one[1][:-1], 1]) for one in continued[1:]]
        beams = []
        for rank, (total, path) in enumerate(continued):
            ended = path[-1] == EOS and length > len(prefix)
            if (ended or length == limit) and rank < options.beam and total > -INF:
                finish(total, path)
                best_ended |= rank == 0
            if not ended and len(beams) < options.beam:
                beams.append((total, path))
        beams = [one for one in beams if one[0] > -INF]
        enough = len(found) >= options.beam if penalties else best_ended and len(found) >= options.best
        if length == limit or enough or not beams:
            return sorted(found, key=lambda one: -one[1])[: options.best]


@given(
    SEEDS,
    OPTIONS,
    st.integers(1, 5),
    st.lists(st.integers(0, 5), max_size=3),
    st.sampled_from([(), (4,)]),
    st.sampled_from([0.2, 1.0]),
)
def test_the_rules_one_after_the_other(
    seed: int, options: GenerateOptions, best: int, prefix: list[int], forbidden: tuple[int, ...], sharp: float
) -> None:
    model = random_sources(seed, 2, 6, sharp=sharp)
    options = replace(options, best=min(best, options.beam))
    found = generate(model, 2, options, eos=EOS, prefixes=[prefix, prefix], forbidden=forbidden)
    for source in range(2):
        expected = plain_search(model, source, options, prefix, forbidden)
        assert [one.ids for one in found[source]] == [ids for ids, _ in expected]
        assert [one.score for one in found[source]] == pytest.approx([score for _, score in expected], abs=1e-4)


# ln p = LOGITS[last token] - ln sum exp; <EOS> is 2, the first row stands for the start. What is expected was written
# down from CTranslate2 4.8.5, running these tables as a Transformer whose attention and feed-forward layers give 0.
LOGITS = np.array(
    [
        [2.0, -2.6, -0.2, -0.6, -0.5, -0.2],
        [-2.0, -0.2, -1.5, 3.3, 0.2, -0.4],
        [-0.3, -0.7, -1.7, -0.4, 0.5, -0.2],
        [1.0, -0.2, -0.6, 1.5, 0.5, -0.5],
        [-0.2, 0.5, 1.3, -0.3, -0.2, 1.0],
        [-0.9, -0.3, 0.3, 0.6, 0.1, 0.7],
    ]
)


@pytest.mark.parametrize(
    ("options", "prefix", "expected"),
    [
        (GenerateOptions(max_length=8), [], [([3, 3, 3, 3, 3, 3, 3, 3], -0.7848)]),
        (
            GenerateOptions(beam=3, best=3, max_length=8),
            [],
            [
                ([3, 0, 0, 0, 0, 0, 0, 0], -0.4320),
                ([3, 3, 0, 0, 0, 0, 0, 0], -0.5012),
                ([3, 0, 0, 0, 0, 0, 0], -0.7070),
            ],
        ),
        (
            GenerateOptions(beam=3, best=3, max_length=8, length_penalty=0),
            [],
            [([3, 0, 0, 0, 0, 0, 0, 0], -3.4561), ([3, 3, 0, 0, 0, 0, 0, 0], -4.0099), ([3, 0, 0, 0, 0, 0], -5.3283)],
        ),
        (
            GenerateOptions(beam=4, best=4, max_length=5, length_penalty=2),
            [],
            [
                ([3, 0, 0, 0, 0], -0.0989),
                ([3, 3, 0, 0, 0], -0.1211),
                ([3, 3, 3, 0, 0], -0.1432),
                ([3, 3, 3, 3, 3], -0.1454),
            ],
        ),
        (
            GenerateOptions(beam=4, best=3, no_repeat=2, min_length=3, max_length=6),
            [],
            [([3, 3, 0, 0], -0.6534), ([3, 0, 0], -0.7318), ([3, 3, 0, 0, 3, 4], -0.7424)],
        ),
        (
            GenerateOptions(beam=3, best=3, max_length=8),
            [4, 4],
            [([4, 4], -0.3477), ([4, 4, 1, 3, 0, 0, 0, 0], -0.5395), ([4, 4, 1, 3, 3, 0, 0, 0], -0.6087)],
        ),
    ],
)
def test_ctranslate2_finds_the_same(
    options: GenerateOptions, prefix: list[int], expected: list[tuple[list[int], float]]
) -> None:
    table = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    (found,) = generate(Bigrams(table, eos=1), 1, options, eos=2, prefixes=[prefix] if prefix else None)  # type: ignore[arg-type]
    assert [one.ids for one in found] == [ids for ids, _ in expected]
    assert [one.score for one in found] == pytest.approx([score for _, score in expected], abs=1e-3)


SHORT = [[0, 0.6, 0.4], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]


def test_the_length_penalty_by_hand() -> None:
    """ "1" has p 0.6 * 0.5, "2 1" 0.4 * 0.5 * 0.5; their lengths are 2 and 3, <EOS> counted."""
    model = Bigrams(SHORT, eos=EOS)
    for penalty, order in ((0.5, [[1], [2, 1]]), (2.0, [[2, 1], [1]])):
        options = GenerateOptions(beam=30, best=30, max_length=3, length_penalty=penalty)
        (found,) = generate(model, 1, options, eos=EOS)  # type: ignore[arg-type]
        assert [one.ids for one in found if one.ids in order] == order
        scores = {tuple(one.ids): one.score for one in found}
        assert scores[1,] == pytest.approx(math.log(0.3) / 2**penalty)
        assert scores[2, 1] == pytest.approx(math.log(0.1) / 3**penalty)


def test_the_coverage_penalty_by_hand() -> None:
    """Three source positions, the last one padding; 1 is the likelier, but with it the second is hardly looked at."""
    model = Sources(
        np.array([[[[0, 0.6, 0.4], [1, 0, 0], [1, 0, 0]]] * 3]),
        np.array([[[0.5, 0.5, 0], [0.9, 0.1, 0], [0.2, 0.8, 0]]]),
    )
    options = GenerateOptions(beam=2, best=2, max_length=5, coverage_penalty=1.5)
    (found,) = generate(model, 1, options, eos=EOS)
    scores = {one.ids[0]: one.score for one in found}
    assert scores[1] == pytest.approx(math.log(0.6) / 2 + 1.5 * math.log(0.6))  # 1.4 and 0.6 received
    assert scores[2] == pytest.approx(math.log(0.4) / 2 + 1.5 * math.log(0.7))  # 0.7 and 1.3
    assert [one.ids for one in found] == [[2], [1]]
    assert all(one.attention_TS is None for one in found)


def test_what_is_not_allowed_is_renormalised_in_the_score_alone() -> None:
    # never <EOS> before the second token: after 1 its half goes to 1 and 2 in equal shares
    model = Bigrams(SHORT, eos=EOS)
    options = GenerateOptions(min_length=2, max_length=2, length_penalty=0)
    (one,) = generate(model, 1, options, eos=EOS)[0]  # type: ignore[arg-type]
    assert one.ids == [1, 1]
    assert one.log_prob == pytest.approx(math.log(0.6 * 0.25))
    assert one.score == pytest.approx(math.log(0.6 * 0.5))
    # nearly all of the probability is taken away: the rest is still exact
    model = Bigrams([[0.3, 2e-7, 1e-7, 0.7 - 3e-7], [1, 0, 0, 0], [1, 0, 0, 0]], eos=EOS)
    options = GenerateOptions(min_length=1, length_penalty=0)
    (one,) = generate(model, 1, options, eos=EOS, forbidden=[3])[0]  # type: ignore[arg-type]
    assert (one.ids, one.score) == ([1], pytest.approx(math.log(2 / 3), rel=1e-4))


def test_many_tokens_and_equal_ones() -> None:
    """Rows longer than a block, and not a multiple of it; of equally probable tokens the first are taken."""
    random = np.random.default_rng(3)
    table = random.dirichlet(np.full(197, 0.05), 197)
    table[0] = 1 / 197
    model = Bigrams(table, eos=196)
    model.eos = EOS
    (found,) = generate(model, 1, GenerateOptions(beam=6, best=6, max_length=1), eos=196)  # type: ignore[arg-type]
    assert [one.ids for one in found] == [[0], [1], [2], [3], [4], [5]]
    (found,) = generate(model, 1, GenerateOptions(beam=6, best=6, max_length=1), eos=196, prefixes=[[7]])  # type: ignore[arg-type]
    assert [one.ids for one in found] == [[7]]
    options = GenerateOptions(beam=6, best=6, max_length=2)
    (found,) = generate(model, 1, options, eos=196, prefixes=[[7]])  # type: ignore[arg-type]
    order = np.argsort(-table[7, :196])[:6].tolist()
    assert [one.ids for one in found if not one.ended] == [[7, token] for token in order][: len(found)]


def test_prefixes_of_one_length_are_read_in_one_go() -> None:
    model = random_sources(4, 2, 6)
    generate(model, 2, GenerateOptions(max_length=9), eos=EOS, prefixes=[[1, 2, 3], [4, 5, 1]])
    assert model.reads[0] == (2, 3)
    model = random_sources(4, 2, 6)
    generate(model, 2, GenerateOptions(max_length=9), eos=EOS, prefixes=[[1, 2, 3], [4, 5]])
    assert model.reads[:2] == [(2, 2), (2, 1)]


def test_sources_that_are_done_leave_the_batch() -> None:
    model = random_sources(1, 6, 5)
    found = generate(model, 6, GenerateOptions(max_length=12), eos=EOS)
    lengths = [len(one.log_probs) for (one,) in found]
    assert len(set(lengths)) > 1
    assert [rows for rows, _ in model.reads] == [
        sum(length > step for length in lengths) for step in range(1, max(lengths))
    ]


def test_samples_are_those_of_a_language_model() -> None:
    """The same filters and the same inverse of the distribution function: only the seeds of the numbers differ."""
    random = np.random.default_rng(8)
    model = Bigrams(random.dirichlet(np.full(9, 0.8), 9), eos=EOS)
    options = SamplingOptions(0.8, top_k=5, top_p=0.9)
    found = generate(model, 4_000, GenerateOptions(max_length=1, sampling=options), eos=EOS)  # type: ignore[arg-type]
    ours = np.bincount([one.ids[0] if one.ids else EOS for (one,) in found], minlength=9)
    drawn = list(sample(model, [], 4_000, options, max_tokens=1, seed=5))  # type: ignore[arg-type]
    theirs = np.bincount([one.token for one in drawn], minlength=9)
    assert ((ours > 0) == (theirs > 0)).all()
    possible = theirs > 0
    assert float(((ours - theirs)[possible] ** 2 / (ours + theirs)[possible]).sum()) < 20  # chi-square of 4 degrees


def test_samples_have_numbers_of_their_own() -> None:
    model = random_sources(9, 4, 8, sharp=2)
    options = GenerateOptions(best=5, sampling=SamplingOptions(), max_length=12, seed=3)
    five = ids_of(generate(model, 4, options, eos=EOS))
    assert ids_of(generate(model, 4, replace(options, best=2), eos=EOS)) == [ids[:2] for ids in five]
    assert ids_of(generate(model, 4, replace(options, seed=4), eos=EOS)) != five
    assert ids_of(generate(model, 4, options, eos=EOS, numbers=range(1, 5))) != five
    assert len({tuple(ids) for ids in five[0]}) > 1
    coldest = replace(options, best=1, sampling=SamplingOptions(0))
    assert ids_of(generate(model, 4, coldest, eos=EOS)) == ids_of(
        generate(model, 4, GenerateOptions(max_length=12), eos=EOS)
    )


def test_fewer_hypotheses_where_the_model_has_no_more() -> None:
    model = Bigrams([[0, 1, 0], [0.5, 0, 0.5], [1, 0, 0]], eos=EOS)
    (found,) = generate(model, 1, GenerateOptions(beam=4, best=4), eos=EOS)  # type: ignore[arg-type]
    assert sorted(one.ids for one in found) == [[1], [1, 2]]
    assert generate(model, 0, GenerateOptions(), eos=EOS) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "beam must be 1 or more, not 0"),
        ({"best": 0}, "best must be 1 or more, not 0"),
        ({"max_length": 0}, "max-length must be 1 or more, not 0"),
        ({"min_length": -1}, "min-length must be 0 or more, not -1"),
        ({"no_repeat": -1}, "no-repeat must be 0 or more, not -1"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"length_penalty": -0.5}, "length-penalty must be 0 or more, not -0.5"),
        ({"length_penalty": math.nan}, "length-penalty must be 0 or more, not nan"),
        ({"coverage_penalty": INF}, "coverage-penalty must be 0 or more, not inf"),
        ({"min_length": 7, "max_length": 6}, "min-length 7 is above max-length 6"),
        ({"beam": 2, "best": 3}, "3 hypotheses cannot come out of a beam of 2. Set beam to 3."),
        ({"beam": 2, "sampling": SamplingOptions()}, "sampling follows one sequence at a time. Leave beam at 1."),
    ],
)
def test_values_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        GenerateOptions(**options)
    assert (caught.value.code, str(caught.value)) == (ExitCode.USAGE, message)


WAYS = [GenerateOptions(), GenerateOptions(beam=3), GenerateOptions(sampling=SamplingOptions())]


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("bad", [math.nan, INF])
def test_a_model_that_gives_no_number(options: GenerateOptions, bad: float) -> None:
    model = random_sources(2, 1, 70)
    model.log_probs_BVVV[0, 1, 1:, 65] = bad  # after the first token
    model.log_probs_BVVV[0, EOS, EOS, EOS] = -INF
    with pytest.raises(UserError, match="the model gives no number") as caught:
        generate(model, 1, options, eos=EOS)
    assert caught.value.code == ExitCode.FAILURE


@pytest.mark.parametrize("options", WAYS)
def test_nothing_that_may_come(options: GenerateOptions) -> None:
    model = Bigrams([[0.5, 0.5, 0], [0, 0, 1], [0, 0, 1]], eos=EOS)
    with pytest.raises(UserError, match="no probability to any token that can be drawn"):
        generate(model, 1, options, eos=EOS, forbidden=[0, 1])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no probability to any token that can be drawn"):
        generate(model, 1, replace(options, no_repeat=1, min_length=9), eos=EOS)  # type: ignore[arg-type]


def test_a_coverage_penalty_needs_attention() -> None:
    model = Bigrams(SHORT, eos=EOS)
    with pytest.raises(UserError, match="a coverage penalty needs a model with attention") as caught:
        generate(model, 1, GenerateOptions(coverage_penalty=0.2), eos=EOS)  # type: ignore[arg-type]
    assert caught.value.code == ExitCode.USAGE
    (one,) = generate(model, 1, GenerateOptions(max_length=3), eos=EOS, attention=True)[0]  # type: ignore[arg-type]
    assert one.attention_TS is None


def test_a_step_costs_little() -> None:
    """32 sources, 5 beams, 8,000 tokens: measured 2 ms a step; the bound leaves room for a busy machine."""

    class Same(Bigrams):
        def read(self, ids_BT: Any, state: Any) -> tuple[Any, Any]:
            return rows_RV[: len(ids_BT)], state

    random = np.random.default_rng(1)
    rows_RV = np.log(random.dirichlet(np.full(8_000, 0.5), 160).astype(np.float32) + np.float32(1e-9))
    rows_RV[:, EOS] = -40
    model = Same(np.ones((1, 8_000)) / 8_000, eos=EOS)
    best = INF
    for _ in range(3):
        begin = time.process_time()
        generate(model, 32, GenerateOptions(beam=5, max_length=20), eos=EOS)  # type: ignore[arg-type]
        best = min(best, time.process_time() - begin)
    assert best / 20 < 15e-3
