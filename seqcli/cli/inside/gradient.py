"""The gradient through time: by distance, part by part, and what bounds it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from seqcli.cli import show
from seqcli.errors import plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqcli.inspect.gradient import ByDistance, Gradient, ThroughTime

_PARTS = 10
"""Parts of dL/dU that the table lists; the rest is summed."""

_SHOWN = (0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400)
"""Distances of the table."""


@dataclass(frozen=True)
class GradientView:
    """Norms by distance as a table and as lines on a log scale; parts, singular values and clipping as tables."""

    gradient: Gradient
    of: str
    """What was averaged over, in words."""
    title = "Gradient through time"

    def _curves(self) -> dict[str, ByDistance]:
        own = {one.layer: one for one in self.gradient.layers}
        return own | {f"{name}, untrained": one for name, one in self.gradient.compared.items()}

    def lines(self) -> list[str]:
        found = self.gradient
        lines = [
            f"Mean norm of dL_t/ds_k by distance t - k, over {plural(found.sequences, 'sequence')} and "
            f"{plural(found.losses, 'loss', 'losses')} of {self.of}",
            *self._reach(),
            "",
            *self._by_distance(),
            "",
            "dL_t/dU as the sum over k of dL_t/ds_k d+s_k/dU: the longest sequence, the loss at a layer's end",
        ]
        for one in found.through_time:
            lines += [*self._parts(one), ""]
        lines.append("Recurrent matrices: singular values, largest absolute eigenvalue")
        lines += show.table(
            [
                (one.layer, one.block, *(f"{value:.3f}" for value in self._spread(one.singular)), f"{one.radius:.3f}")
                for one in found.matrices
            ],
            ("LAYER", "BLOCK", "LARGEST", "MEDIAN", "SMALLEST", "EIGENVALUE"),
            right=range(2, 6),
        )
        return show.wrapped([*lines, "", self._clipping()])

    def _by_distance(self) -> list[str]:
        curves = list(self._curves().values())
        longest = max((len(one.norms) for one in curves), default=0)
        rows = [
            (str(distance), *(self._norm(one.norms, distance) for one in curves))
            for distance in _SHOWN
            if distance < longest
        ]
        return show.table(rows, ("t - k", *ascii_uppercase[: len(curves)]), right=range(len(curves) + 1))

    @staticmethod
    def _norm(norms: NDArray[np.float64], distance: int) -> str:
        if distance >= len(norms) or math.isnan(norms[distance]):
            return "-"
        return f"{norms[distance]:.1e}"

    def _reach(self) -> list[str]:
        """What the columns are, and where each has faded."""
        from seqcli.inspect.gradient import SHARE

        rows = []
        for letter, (name, one) in zip(ascii_uppercase, self._curves().items(), strict=False):
            what = (
                f"never in {len(one.norms) - 1} steps" if one.reach is None else f"from {plural(one.reach, 'step')} on"
            )
            rows.append((letter, name, what))
        return show.table(rows, ("", "LAYER", f"BELOW {SHARE:.0%} OF THE NEAREST"))

    @staticmethod
    def _parts(one: ThroughTime) -> list[str]:
        lines = [one.layer]
        running, rows = 0.0, []
        for distance, norm, share in zip(one.distances[:_PARTS], one.norms, one.shares, strict=False):
            running += share
            rows.append((str(distance), f"{norm:.2e}", f"{share:+.4f}", f"{running:.4f}"))
        rest = one.shares[_PARTS:]
        if rest:
            rows.append(("beyond", "", f"{sum(rest):+.4f}", f"{running + sum(rest):.4f}"))
        rows.append(("sum", f"{one.total:.2e}", "", ""))
        lines += show.table(rows, ("t - k", "NORM", "SHARE", "SO FAR"), right=range(4))
        return [*lines, f"largest difference between the sum and autograd's gradient: {one.difference:.1e}"]

    @staticmethod
    def _spread(singular: Sequence[float]) -> tuple[float, float, float]:
        return singular[0], singular[len(singular) // 2], singular[-1]

    def _clipping(self) -> str:
        found = self.gradient
        norms = sorted(found.batches)
        middle = norms[len(norms) // 2]
        what = f"Norm of the gradient of {plural(len(norms), 'batch', 'batches')}: median {middle:.3g}, largest {norms[-1]:.3g}; "
        if found.clip_norm is None:
            return f"{what}training clips none (clip_norm: null)"
        acted = sum(norm > found.clip_norm for norm in norms)
        return f"{what}clip_norm {found.clip_norm:g} would act on {acted} of them"

    def values(self) -> dict[str, Any]:
        found = self.gradient
        return {
            "of": self.of,
            "sequences": found.sequences,
            "losses": found.losses,
            "layers": [self._curve(one) for one in found.layers],
            "compared": {name: self._curve(one) for name, one in found.compared.items()},
            "through_time": [asdict(one) for one in found.through_time],
            "matrices": [asdict(one) for one in found.matrices],
            "clipping": {
                "norms": found.batches,
                "clip_norm": found.clip_norm,
                "clipped": None if found.clip_norm is None else sum(one > found.clip_norm for one in found.batches),
            },
        }

    @staticmethod
    def _curve(one: ByDistance) -> dict[str, Any]:
        return {"layer": one.layer, "norms": one.norms.tolist(), "pairs": one.pairs.tolist(), "reach": one.reach}

    def draw(self) -> Any:
        from itertools import cycle

        from seqcli.cli.pictures import COLOURS, pyplot

        figure, axes = pyplot().subplots(figsize=(7, 5), layout="constrained")
        own = len(self.gradient.layers)
        dashes = cycle(("-", "--", "-.", ":"))
        smallest = math.inf
        for number, ((name, one), colour) in enumerate(zip(self._curves().items(), cycle(COLOURS), strict=False)):
            there = (one.pairs > 0) & (one.norms > 0)
            if not there.any():
                continue
            style = "-" if number < own else next(dashes)
            axes.plot(
                there.nonzero()[0],
                one.norms[there],
                style,
                color=colour,
                linewidth=2.2 if number < own else 1.4,
                label=name,
            )
            smallest = min(smallest, float(one.norms[there].min()))
        if max(len(one.norms) for one in self._curves().values()) > 10:
            axes.axvspan(8, 10, color="#bbbbbb", alpha=0.4, linewidth=0)
            axes.annotate("8 to 10", (9, 0.01), xycoords=("data", "axes fraction"), ha="center", fontsize=7)
        axes.set_yscale("log")
        if smallest < 1e-12:
            axes.set_ylim(bottom=1e-12)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("distance t - k in steps")
        axes.set_ylabel("mean norm of dL_t / ds_k")
        axes.grid(alpha=0.3)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
        return figure
