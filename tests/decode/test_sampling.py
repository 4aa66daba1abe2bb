"""Sampling: filters against distributions worked out by hand, frequencies against the softmax, seeds and batches."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from bigram import CAT, Bigrams, model_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqcli.decode import sampling
from seqcli.decode.sampling import SamplingOptions, check_numbers, draw, filtered, sample
from seqcli.errors import ExitCode, UserError

INF = math.inf


def logs(*rows: list[float]) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows)).astype(np.float32)


def renormalised(log_probs_BV: np.ndarray, options: SamplingOptions) -> np.ndarray:
    """What the filters leave of each row as ln p, -inf for what is left out."""
    result_BV = np.full_like(log_probs_BV, -INF)
    for result, row in zip(result_BV, log_probs_BV, strict=True):
        ids, kept = filtered(row, options)
        result[slice(None) if ids is None else ids] = kept - math.log(float(np.exp(kept).sum(dtype=np.float64)))
    return result_BV


def left(probabilities: list[float], **options: float) -> list[float]:
    """What the filters leave of a distribution, as probabilities."""
    result = renormalised(logs(probabilities), SamplingOptions(**options))  # type: ignore[arg-type]
    assert result.dtype == np.float32
    return np.exp(result[0].astype(np.float64)).round(5).tolist()


# Entropy of KNOWN: 0.4 ln 2.5 + 0.3 ln 3.33 + 0.2 ln 5 + 0.1 ln 10 = 1.2799 nats. Surprises are 0.916, 1.204, 1.609
# and 2.303, so the order of typicality is 0.3 (off by 0.076), 0.2 (0.330), 0.4 (0.364), 0.1 (1.023).
KNOWN = [0.1, 0.4, 0.2, 0.3]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, KNOWN),
        ({"temperature": 0.5}, [0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3]),
        ({"temperature": 1e9}, [0.25] * 4),
        ({"temperature": 1e300}, [0.25] * 4),
        ({"temperature": 1e-300}, [0, 1, 0, 0]),
        ({"temperature": 5e-324, "typical": 1e-300}, [0, 1, 0, 0]),
        ({"top_k": 10**30, "top_p": 1e-300}, [0, 1, 0, 0]),
        ({"temperature": 0}, [0, 1, 0, 0]),
        ({"greedy": True}, [0, 1, 0, 0]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_k": 9}, KNOWN),
        ({"top_p": 0.39}, [0, 1, 0, 0]),
        ({"top_p": 0.4}, [0, 1, 0, 0]),
        ({"top_p": 0.41}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.7}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.71}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"top_p": 1}, KNOWN),
        ({"min_p": 0.5}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"min_p": 0.51}, [0, 4 / 7, 0, 3 / 7]),
        ({"min_p": 1}, [0, 1, 0, 0]),
        ({"typical": 0.3}, [0, 0, 0, 1]),
        ({"typical": 0.31}, [0, 0, 0.4, 0.6]),
        ({"typical": 0.6}, [0, 4 / 9, 2 / 9, 3 / 9]),
        # top-k leaves 4/7 and 3/7, of which the first alone is enough for 0.57; top-p of the whole would take two
        ({"top_k": 2, "top_p": 0.57}, [0, 1, 0, 0]),
        # temperature comes first: squared and normalised, 16/30 and 9/30 are needed for 0.8, not three of them
        ({"temperature": 0.5, "top_p": 0.8}, [0, 0.64, 0, 0.36]),
        # typical before min-p: of 0.3 and 0.2 the second has 2/3 of the first
        ({"typical": 0.5, "min_p": 0.6}, [0, 0, 0.4, 0.6]),
        ({"typical": 0.5, "min_p": 0.7}, [0, 0, 0, 1]),
    ],
)
def test_filters_by_hand(options: dict[str, float], expected: list[float]) -> None:
    assert left(KNOWN, **options) == pytest.approx(expected, abs=1e-4)


def test_of_equal_tokens_the_first_stay() -> None:
    assert left([0.25] * 4, top_k=2) == left([0.25] * 4, top_p=0.5) == left([0.25] * 4, typical=0.5) == [0.5, 0.5, 0, 0]
    assert left([0.25] * 4, min_p=1) == [0.25] * 4
    assert left([0.1, 0.2, 0.2, 0.2, 0.3], top_k=3) == pytest.approx([0, 2 / 7, 2 / 7, 0, 3 / 7], abs=1e-4)
    assert left([0.1, 0.2, 0.2, 0.2, 0.3], top_p=0.6) == pytest.approx([0, 2 / 7, 2 / 7, 0, 3 / 7], abs=1e-4)


def test_a_large_vocabulary_is_filtered_as_by_definition() -> None:
    """The short cuts for many tokens against the definition: sort everything, add up, cut."""
    chance = np.random.default_rng(3)
    for spread in (0.1, 1, 4):
        row = chance.normal(size=3000).astype(np.float32).round(2) * spread  # rounded: many ties
        p = np.exp(row.astype(np.float64))
        p /= p.sum()
        keys = {"top_p": -row, "typical": np.abs(-np.log(p) + (p * np.log(p)).sum()).astype(np.float32)}
        for name, key in keys.items():
            for share in (0.2, 0.9, 0.999):
                order = np.lexsort((np.arange(len(p)), key))
                count = int(np.searchsorted(np.cumsum(p[order]), share * (1 - 1e-6))) + 1
                kept = np.flatnonzero(np.isfinite(renormalised(row[None], SamplingOptions(**{name: share}))[0]))
                if name == "top_p":
                    assert kept.tolist() == sorted(order[:count].tolist())
                else:  # ties of float32 and of float64 differ
                    assert abs(len(kept) - count) <= 2
                    assert p[kept].sum() >= share * (1 - 2e-6)
        best = np.lexsort((np.arange(len(p)), -row))[:40]
        kept = np.flatnonzero(np.isfinite(renormalised(row[None], SamplingOptions(top_k=40))[0]))
        assert kept.tolist() == sorted(best.tolist())


DISTRIBUTIONS = arrays(
    np.float32, st.tuples(st.integers(1, 3), st.integers(1, 12)), elements=st.floats(-20, 0, width=32)
)
OPTIONS = st.builds(
    SamplingOptions,
    temperature=st.one_of(st.just(1.0), st.floats(0, 5)),
    top_k=st.one_of(st.none(), st.integers(1, 14)),
    typical=st.floats(0, 1, exclude_min=True),
    top_p=st.floats(0, 1, exclude_min=True),
    min_p=st.floats(0, 1),
)


@given(DISTRIBUTIONS, OPTIONS, st.floats(0, 1, exclude_max=True))
def test_properties(logits_BV: np.ndarray, options: SamplingOptions, uniform: float) -> None:
    before = logits_BV.copy()
    result_BV = renormalised(logits_BV, options)
    assert (logits_BV == before).all()
    assert np.exp(result_BV.astype(np.float64)).sum(1) == pytest.approx(1, abs=1e-5)
    kept_BV = np.isfinite(result_BV)
    assert kept_BV.any(1).all()
    if options.top_k is not None:
        assert kept_BV.sum(1).max() <= options.top_k
    for row in range(len(result_BV)):  # each row by itself, and the ones left keep their order
        assert (renormalised(logits_BV[row : row + 1], options) == result_BV[row : row + 1]).all()
        order = np.argsort(logits_BV[row][kept_BV[row]], kind="stable")
        assert (np.diff(result_BV[row][kept_BV[row]][order]) >= 0).all()
    assert all(kept[draw(row, uniform)] for kept, row in zip(kept_BV, result_BV, strict=True))


def test_draw_inverts_the_distribution_function() -> None:
    (row,) = logs([0, 0.25, 0, 0.5, 0.25, 0])
    uniforms = [0, 0.2499, 0.2501, 0.7499, 0.7501, np.nextafter(1, 0)]
    assert [draw(row, uniform) for uniform in uniforms] == [1, 1, 3, 3, 4, 4]
    assert draw(row + 3, 0.5) == 3  # need not be normalised


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    possible = expected > 0
    return float(((counts - expected)[possible] ** 2 / expected[possible]).sum())


@pytest.mark.parametrize("options", [SamplingOptions(), SamplingOptions(0.7), SamplingOptions(top_k=5, top_p=0.9)])
def test_frequencies_are_those_of_the_softmax(options: SamplingOptions) -> None:
    """8,000 draws over 11 tokens that can be drawn: chi-square of 10 degrees is above 29.6 once in a thousand."""
    model = model_of([f"w{number}" for number in range(10)])
    counts = np.zeros(12)
    for drawn in sample(model.engine, [], 8_000, options, max_tokens=1, stop=1, seed=8, forbidden={0}):
        counts[drawn.token] += 1
    row = model.engine.start(1)[0].copy()
    row[0, 0] = -INF
    expected = np.exp(renormalised(row, options)[0].astype(np.float64)) * counts.sum()
    assert counts[expected == 0].sum() == 0
    assert counts.sum() == 8_000
    assert chi_square(counts, expected) < 29.6
    assert chi_square(np.roll(counts, 1), np.maximum(expected, 1)) > 29.6  # the test can fail


def texts(count: int, seed: int = 1, **more: object) -> list[list[tuple[int, float]]]:
    found: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    arguments = {"max_tokens": 30, "stop": 1, "forbidden": {0}, **more}
    for drawn in sample(CAT.engine, [], count, SamplingOptions(0.9, top_p=0.95), seed=seed, **arguments):  # type: ignore[arg-type]
        found[drawn.sequence].append((drawn.token, drawn.log_prob))
    return found


def test_seeds_and_batches() -> None:
    five = texts(5)
    assert five == texts(5)
    assert texts(3) == five[:3]
    assert texts(1) == five[:1]
    assert texts(5, seed=2) != five
    assert len({tuple(one) for one in five}) > 1
    assert texts(1, seed=2**40) != texts(1, seed=0)


def test_many_samples_are_those_of_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    options = SamplingOptions(1.3, top_p=0.9)

    def texts(count: int) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for one in sample(CAT.engine, [], count, options, max_tokens=9, stop=CAT.eos, seed=4):
            found.setdefault(one.sequence, []).append(one.token)
        return found

    together = texts(20)
    monkeypatch.setattr(sampling, "_AT_ONCE", 3)
    assert texts(20) == together
    assert texts(7) == {number: together[number] for number in range(7)}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e300, 1e-300, 5e-324, 1.7e308])
def test_any_temperature_leaves_what_is_impossible_impossible(temperature: float) -> None:
    engine = Bigrams([[0.25, 0.75, 0], [0.25, 0.75, 0], [0, 0, 1]], eos=2)
    drawn = [one.token for one in sample(engine, [0], 200, SamplingOptions(temperature), max_tokens=5, forbidden={2})]
    assert set(drawn) == ({0, 1} if temperature > 1 else {1})
    assert temperature < 1 or 400 < drawn.count(0) < 600


def test_log_probs_are_the_models_own() -> None:
    for one in texts(8):
        ids = np.array([token for token, _ in one])
        assert [value for _, value in one] == CAT.engine.score([ids])[0].tolist()
        assert 0 not in ids
        assert (ids[:-1] != 1).all()


def test_finished_sequences_leave_the_batch() -> None:
    engine = Bigrams(np.exp(CAT.engine.log_probs_VV.astype(np.float64)), eos=1)  # type: ignore[attr-defined]
    lengths = [0] * 40
    for drawn in sample(engine, [2], 40, SamplingOptions(), max_tokens=6, stop=1, seed=3):
        lengths[drawn.sequence] += 1
    # one reading of the prompt, then before each further token only those that still go on
    going = [sum(length > step for length in lengths) for step in range(1, 6)]
    assert engine.read_sizes == [1, *going[: len(engine.read_sizes) - 1]]
    assert max(lengths) == 6
    assert min(lengths) < 6


def test_the_stream_is_step_by_step_and_the_caller_may_stop_a_sequence() -> None:
    ended: set[int] = set()
    order = []
    for drawn in sample(CAT.engine, [], 3, SamplingOptions(0), max_tokens=3, stopped=ended.__contains__):
        order.append(drawn.sequence)
        if drawn.sequence == 1:
            ended.add(1)
    assert order == [0, 1, 2, 0, 2, 0, 2]


def test_greedy_is_the_most_probable_path() -> None:
    ids = [drawn.token for drawn in sample(CAT.engine, [], 1, SamplingOptions(greedy=True), max_tokens=9, stop=1)]
    assert CAT.vocabulary.decode(ids) == ["the", "cat", "sat", "<EOS>"]
    ids = [drawn.token for drawn in sample(CAT.engine, [3], 1, SamplingOptions(0), max_tokens=1, stop=1)]
    assert CAT.vocabulary.decode(ids) == ["sat"]


def test_a_vocabulary_of_one() -> None:
    model = model_of(["la"], [[0.2, 0.3, 0.5]] * 3)
    drawn = list(sample(model.engine, [], 1, SamplingOptions(top_k=5, top_p=0.5), max_tokens=4, forbidden={0, 1}))
    assert [one.token for one in drawn] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature must be 0 (greedy) or more, not -0.1"),
        ({"temperature": INF}, "temperature must be 0 (greedy) or more, not inf"),
        ({"temperature": -1e-300}, "temperature must be 0 (greedy) or more, not -1e-300"),
        ({"temperature": math.nan}, "temperature must be 0 (greedy) or more, not nan"),
        ({"top_k": 0}, "top-k must be 1 or more, not 0"),
        ({"top_p": 0}, "top-p must be above 0 and at most 1, not 0"),
        ({"top_p": 1.01}, "top-p must be above 0 and at most 1, not 1.01"),
        ({"top_p": math.nan}, "top-p must be above 0 and at most 1, not nan"),
        ({"typical": 0}, "typical must be above 0 and at most 1, not 0"),
        ({"typical": 2}, "typical must be above 0 and at most 1, not 2"),
        ({"min_p": -0.5}, "min-p must be from 0 to 1, not -0.5"),
        ({"min_p": 1.5}, "min-p must be from 0 to 1, not 1.5"),
    ],
)
def test_values_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as caught:
        SamplingOptions(**options)  # type: ignore[arg-type]
    assert (caught.value.code, str(caught.value)) == (ExitCode.USAGE, message)


@pytest.mark.parametrize("bad", [math.nan, INF])
def test_a_model_that_gives_no_number(bad: float) -> None:
    engine = Bigrams([[0.5, 0.5], [0.5, 0.5]], eos=1)
    engine.log_probs_VV[1, 0] = bad
    with pytest.raises(UserError, match="the model gives no number") as caught:
        list(sample(engine, [], 1, SamplingOptions(), max_tokens=3))
    assert caught.value.code == ExitCode.FAILURE
    check_numbers(np.array([-INF, -1.0]))


def test_nothing_that_can_be_drawn() -> None:
    engine = Bigrams([[1, 0], [1, 0]], eos=1)
    with pytest.raises(UserError, match="no probability to any token that can be drawn"):
        list(sample(engine, [], 1, SamplingOptions(), max_tokens=3, forbidden={0}))


@pytest.mark.parametrize("options", [SamplingOptions(0.8), SamplingOptions(0.8, top_k=40, top_p=0.9)])
def test_ten_thousand_words_cost_little(options: SamplingOptions) -> None:
    """Measured 60-80 microseconds a step where nothing else ran; the bound leaves room for a busy machine."""
    table = np.random.default_rng(1).dirichlet(np.full(10_000, 0.1), 1)
    engine = Bigrams(table, eos=0)
    engine.log_probs_VV = np.broadcast_to(np.maximum(engine.log_probs_VV, -50), (10_000, 10_000))  # type: ignore[assignment]
    best = INF
    for _ in range(5):
        begin = time.process_time()
        assert sum(1 for _ in sample(engine, [], 1, options, max_tokens=100, forbidden={0})) == 100
        best = min(best, time.process_time() - begin)
    assert best / 100 < 500e-6
