"""Channels made of those that the data holds: points told from where one begins, differences of points, changes in time.

Shapes: T frames, D channels, P points, C channels a point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import data_error, plural
from seqcli.recipe.fields import DeriveConfig

Frames = NDArray[np.float32]


class Derive:
    """What `DeriveConfig` asks for; each frame depends on itself, the one or two before it, and the first."""

    def __init__(self, config: DeriveConfig) -> None:
        self.config = config

    @property
    def groups(self) -> int:
        """How many groups of equally many channels there are: the values, and their changes."""
        return 1 + self.config.differences

    def raw_channels(self, channels: int) -> int:
        """How many channels the data has, of which so many are made."""
        return channels // self.groups - len(self.config.pairs) * self.config.point

    def __call__(self, frames_TD: Frames, at: str = "") -> Frames:
        """Derived frames [T, (D + pairs * C) * (1 + differences)].

        Raises:
            UserError: channels that make no points, or points that are not there (65), naming ``at``.
        """
        config, size = self.config, self.config.point
        length, channels = frames_TD.shape
        wanted = 1 + max([config.origin or 0, *(point for pair in config.pairs for point in pair)])
        if channels % size or channels // size < wanted:
            points = f"points of {plural(size, 'channel')}" if size > 1 else "channels"
            raise data_error(
                f"frames of {plural(channels, 'channel')}, but source.derive speaks of {wanted} {points} or more",
                file=at or None,
            )
        points_TPC = frames_TD.reshape(length, channels // size, size)
        parts = [points_TPC]
        if config.pairs:
            first, second = np.array(config.pairs).T
            parts.append(points_TPC[:, first] - points_TPC[:, second])
        if config.origin is not None and length:
            parts[0] = points_TPC - points_TPC[:1, [config.origin]]
        together = np.concatenate(parts, axis=1)
        derived = [together.reshape(length, together.shape[1] * size)]
        for _ in range(config.differences):
            derived.append(np.diff(derived[-1], axis=0, prepend=derived[-1][:1]))
        return np.ascontiguousarray(np.concatenate(derived, axis=1), np.float32)
