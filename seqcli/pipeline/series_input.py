"""How a verb reads a file of series for a model: with the options of its training, but for what the file shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from seqcli.data.formats import guess_series
from seqcli.data.formats.base import Reading
from seqcli.lines import is_stdin
from seqcli.recipe.schema import Recipe


def series_reading(
    recipe: Recipe, source: str | None, form: str | None, columns: Mapping[str, int | str] | None
) -> Reading:
    """``form`` and ``columns`` are what the user says of the file; None: nothing."""
    config = recipe.data
    form = form or (config.format if is_stdin(source) else guess_series(source)) or "series"
    columns = columns or (config.columns if form == (config.format or form) else None)
    return replace(Reading.of(config), format=form, columns=columns, separator=None)
