"""Linear recurrences: worked by hand, and the parts of a state add up to it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqcli.errors import UserError
from seqcli.inspect.recurrence import recurrence, verdict

SHIFT = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
TURN = [[0.6, -0.8], [0.8, 0.6]]


def test_a_permutation_writes_a_pattern_without_end():
    ran = recurrence(SHIFT, 9, s0=[0, 0, 1], V=[[0, 0, 1]])
    assert ran.outputs_TP.ravel().tolist() == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]
    assert ran.states_TN[:3].tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert ran.start_left_T.tolist() == [1] * 10
    assert sorted(one.verdict for one in ran.eigenvalues) == ["keep", "rotate", "rotate"]
    assert sorted(round(one.angle) for one in ran.eigenvalues) == [0, 120, 120]
    assert (ran.verdict, ran.period) == ("rotate", 3)


def test_an_input_fades_from_the_step_that_it_is_read_in():
    ran = recurrence(0.5, 5, U=1, x=[[1, 0, 0, 2]])
    assert ran.states_TN.ravel().tolist() == [0, 1, 0.5, 0.25, 2.125, 1.0625]
    assert ran.parts_KTN[3].ravel().tolist() == [0, 0, 0, 0, 2, 1]
    np.testing.assert_equal(ran.left_KT[0], [math.nan, 1, 0.5, 0.25, 0.125, 0.0625])
    assert np.isnan(ran.left_KT[1]).all()  # nothing came in
    assert np.isnan(ran.start_left_T).all()  # nothing was there


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (2, ["explode"]),
        (-2, ["explode"]),
        (0.5, ["fade"]),
        (0, ["fade"]),
        (1, ["keep"]),
        (-1, ["flip"]),
        (TURN, ["rotate", "rotate"]),
        (0.9 * np.array(TURN), ["fade", "fade"]),
        (1.1 * np.array(TURN), ["explode", "explode"]),
        ([[1, 0], [0, 1]], ["keep", "keep"]),
        ([[1, 1], [0, 1]], ["explode", "explode"]),  # grows by one at each step: a single eigenvector
        ([[0, 1], [0, 0]], ["fade", "fade"]),  # gone after two steps
        ([[3, 0], [0, 0.1]], ["explode", "fade"]),
    ],
)
def test_what_eigenvalues_say(matrix, expected):
    ran = recurrence(matrix, 1, s0=np.ones(np.atleast_2d(matrix).shape[0]))
    assert [one.verdict for one in ran.eigenvalues] == expected
    assert ran.verdict == expected[0]


def test_the_verdict_holds_for_a_long_run():
    for matrix, low, high in ((1.1, 1e4, np.inf), (0.9, 0, 1e-4), (TURN, 1 - 1e-9, 1 + 1e-9), (-1, 1, 1)):
        ran = recurrence(matrix, 100, s0=np.ones(np.atleast_2d(matrix).shape[0]))
        assert low <= ran.start_left_T[-1] <= high
    assert recurrence([[1, 1], [0, 1]], 100, s0=[0, 1]).states_TN[-1].tolist() == [100, 1]


def test_a_modulus_that_is_one_but_for_rounding_neither_grows_nor_fades():
    assert verdict(1 + 1e-9) == "keep"
    assert verdict(-1 + 1e-9) == "flip"
    assert verdict(complex(math.cos(1), math.sin(1)) * (1 - 1e-9)) == "rotate"


SIZES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 6), st.integers(1, 8), st.integers(0, 2**32 - 1))


@given(SIZES)
def test_the_parts_add_up_to_the_state(sizes):
    size, width, inputs, steps, seed = sizes
    chance = np.random.default_rng(seed)
    recurrent, wide, s0 = chance.normal(size=(size, size)), chance.normal(size=(size, width)), chance.normal(size=size)
    x = chance.normal(size=(inputs, width))
    ran = recurrence(recurrent, steps, s0=s0, U=wide, x=x if inputs else None)
    scale = 1 + np.abs(ran.states_TN).max()
    np.testing.assert_allclose(ran.start_TN + ran.parts_KTN.sum(0), ran.states_TN, atol=1e-9 * scale)
    for k in range(min(inputs, steps)):
        expected = np.linalg.matrix_power(recurrent, steps - 1 - k) @ wide @ x[k]
        np.testing.assert_allclose(ran.parts_KTN[k, steps], expected, atol=1e-9 * scale)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"W": [[1, 2]], "s0": [1]}, "--W is 1 x 2: a state becomes a state, so W must be square"),
        ({"W": SHIFT, "s0": [1, 2]}, "--s0 has 2 values, --W is 3 x 3: W s_0 needs 3"),
        ({"W": 1, "s0": [1], "V": [[1, 2]]}, "--V is 1 x 2, --W is 1 x 1: V s_t needs 1 columns of V"),
        ({"W": SHIFT, "U": [[1]], "x": [[1]]}, "--U is 1 x 1, --W is 3 x 3: W s_t + U x_t needs 3 rows of U"),
        ({"W": 1, "U": [[1, 1]], "x": [[1], [2]]}, "--x has rows of 1, --U is 1 x 2: U x_t needs rows of 2"),
        ({"W": 1}, "nothing to remember: neither --s0 nor --x is given"),
        ({"W": 10, "s0": [1], "steps": 400}, "--steps 400: at t = 309 the state is larger than a number can be"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sizes(arguments, message):
    with pytest.raises(UserError) as error:
        recurrence(**{"steps": 3, **arguments})
    assert error.value.message.startswith(message)
    assert error.value.code == 2
