"""For benchmarks that need a data set: `data_at_hand`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seqcli.errors import ExitCode, UserError


@contextmanager
def data_at_hand(what: str) -> Iterator[None]:
    """Skips what is inside, and says so, where its data set can be had neither here nor from the network."""
    try:
        yield
    except UserError as error:
        if error.code != ExitCode.IO:
            raise
        print(f"{what}: skipped, the data set is not at hand: {error}", flush=True)
