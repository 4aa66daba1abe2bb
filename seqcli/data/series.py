"""A series: what a format of series yields as the source of an example. Shapes: T steps, C columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import data_error, plural

if TYPE_CHECKING:
    from seqcli.recipe.data import DataConfig

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]


@dataclass(frozen=True)
class Series:
    """Values in the order of time, one step after the other.

    Attributes:
        name: its id; empty where a file holds one series and names none.
        columns: C names of the values.
        values_TC: NaN where one is missing.
        times_T: instants (datetime64[ms], UTC where the file has offsets); None where the file has no times.
        frequency: what lies between two steps, such as ``1 hour`` or ``1 month`` (`seqcli.data.frequency`); empty
            where there are no times and nobody says it.
        offset: minutes east of UTC that the last time is written with.
    """

    name: str
    columns: tuple[str, ...]
    values_TC: Floats
    times_T: Times | None = None
    frequency: str = ""
    offset: int = 0

    def __len__(self) -> int:
        return len(self.values_TC)


@dataclass(frozen=True)
class Steps:
    """Which steps of a series belong to which split: first those of train, behind them dev's, and then the test's.

    Attributes:
        train: None: all that come before those of dev and test.
        dev: None: dev has files of its own, or there is none; so with ``test``.
        on_dev: those of dev are for training too.
    """

    train: int | None = None
    dev: int | None = None
    test: int | None = None
    on_dev: bool = False

    @classmethod
    def of(cls, config: DataConfig) -> Steps:
        return cls(config.train_steps, config.dev_steps, config.test_steps, config.train_on_dev)

    @property
    def divide(self) -> tuple[str, ...]:
        """The splits that are made of the training files, beside train."""
        dev = ("dev",) if self.dev is not None and not self.on_dev else ()
        return dev if self.test is None else (*dev, "test")

    def part(self, split: str, series: Series, at: str) -> tuple[int, int]:
        """The first step that may be predicted in a split, and the end of those that may.

        Raises:
            UserError: the series is too short to have such a part (65, with its file and line).
        """
        length = len(series)
        if split != "train" and split not in self.divide:
            return 0, length
        dev, test = self.dev or 0, self.test or 0
        train = length - dev - test if self.train is None else self.train
        needed = max(train, 1) + dev + test
        if needed > length:
            parts = [(self.train or 1, "for training"), (dev, "for dev"), (test, "for the test")]
            shares = ", ".join(f"{count:,} {name}" for count, name in parts if count)
            file, _, line = at.rpartition(":")
            called = f"the series '{series.name}'" if series.name else "the series"
            raise data_error(
                f"{called} has {plural(length, 'step')}, fewer than the {needed:,} it is divided into: {shares}",
                file=file,
                line=int(line or 0) or None,
                hint="Set data.train_steps, data.dev_steps, data.test_steps.",
            )
        if split == "train":
            return 0, train + (dev if self.on_dev else 0)
        return (train, train + dev) if split == "dev" else (train + dev, train + dev + test)
