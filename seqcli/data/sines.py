"""Series of two sines and noise: what a rule of the catalogue makes (Géron 2019, chapter 15)."""

from __future__ import annotations

from math import sin
from random import Random

from seqcli.data.catalogue import Division

SERIES = 10_000
STEPS = 60
"""Steps of a series: 50 that are read and 10 that are predicted."""

SEED = 42


def sine_files(division: Division) -> dict[str, str]:
    """The files of a division of the unit ``sines``, a line a series: its name, and its values to four decimals.

    At the time t from 0 to 1 a value is .5 sin((t - a)(10 f + 10)) + .2 sin((t - b)(20 g + 20)) + .1 (u - .5), of which
    a, b, f, g are drawn once a series and u at each step, uniform on [0, 1). Nothing but the standard library's
    generator is drawn from, so every machine makes the same bytes.
    """
    random = Random(SEED)
    named = {place for numbers in division.take.values() for place in numbers or ()}
    lines: dict[str, list[str]] = {name: [] for name in division.take}
    for number in range(SERIES):
        values = ",".join(f"{value:.4f}" for value in _series(random))
        place = number % division.every
        for name, numbers in division.take.items():
            if place in numbers if numbers is not None else place not in named:
                lines[name].append(f"s{number + 1},{values}\n")
    return {name: "".join(of_file) for name, of_file in lines.items()}


def _series(random: Random) -> list[float]:
    low, high, slow, fast = (random.random() for _ in range(4))
    times = [step / (STEPS - 1) for step in range(STEPS)]
    return [
        0.5 * sin((time - low) * (10 * slow + 10))
        + 0.2 * sin((time - high) * (20 * fast + 20))
        + 0.1 * (random.random() - 0.5)
        for time in times
    ]
