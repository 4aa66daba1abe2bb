"""The verb ``inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli.options import Json, Runs

EPILOG = """Examples:

\b
  seqcli inspect recipes/ner.yaml
  seqcli inspect ner --json | jq .parameters"""


def command(
    *,
    network: Annotated[
        str,
        typer.Argument(metavar="RECIPE|MODEL", help="A recipe, or a trained model: NAME, NAME@VERSION or a folder."),
    ],
    plot: Annotated[
        str | None, typer.Option("--plot", "-o", metavar="FILE", help="Draw the view: .png, .svg or .pdf.")
    ] = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Look inside a network: its layers, and what goes on in them."""
    from seqcli.cli.inside.layers import CountsView, LayersView
    from seqcli.cli.inside.view import show_view
    from seqcli.cli.pictures import check_picture
    from seqcli.inspect.layers import layers
    from seqcli.pipeline.inside import open_counts, open_network

    picture: Path | None = None if plot is None else check_picture("--plot", plot)
    if (counts := open_counts(network, runs)) is not None:
        show_view(CountsView(counts), as_json=as_json, plot=picture)
        return
    opened = open_network(network, runs)
    show_view(LayersView(layers(opened.network)), as_json=as_json, plot=picture)
