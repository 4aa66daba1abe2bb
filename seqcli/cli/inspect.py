"""The verb ``inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import Json, Runs

EPILOG = """Examples:

\b
  seqcli inspect recipes/ner.yaml
  seqcli inspect ner --json | jq .parameters
  seqcli inspect ner --graph ner.svg "Angela visited Paris\""""


def command(
    *,
    network: Annotated[
        str,
        typer.Argument(metavar="RECIPE|MODEL", help="A recipe, or a trained model: NAME, NAME@VERSION or a folder."),
    ],
    sentence: Annotated[
        str | None, typer.Argument(metavar="[SENTENCE]", help="What the network reads in a view of one sentence.")
    ] = None,
    plot: Annotated[
        str | None, typer.Option("--plot", "-o", metavar="FILE", help="Draw the view: .png, .svg or .pdf.")
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option("--graph", metavar="FILE", help="Draw the network unrolled over SENTENCE: .png, .svg or .pdf."),
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

    if graph is not None:
        _graph(network, sentence, graph, runs, as_json=as_json)
        return
    picture: Path | None = None if plot is None else check_picture("--plot", plot)
    if (counts := open_counts(network, runs)) is not None:
        show_view(CountsView(counts), as_json=as_json, plot=picture)
        return
    opened = open_network(network, runs)
    show_view(LayersView(layers(opened.network)), as_json=as_json, plot=picture)


def _graph(network: str, sentence: str | None, file: str, runs: str | None, *, as_json: bool) -> None:
    """The network unrolled over a sentence, or over a few positions without a name."""
    from seqcli.cli.inside.graph import MOST_TOKENS, GraphView
    from seqcli.cli.inside.view import show_view
    from seqcli.cli.pictures import check_picture
    from seqcli.inspect.graph import unrolled
    from seqcli.pipeline.inside import open_network, sentence_tokens

    picture = check_picture("--graph", file)
    opened = open_network(network, runs)
    tokens = sentence_tokens(opened, sentence) or [""] * 4
    if len(tokens) > MOST_TOKENS:
        console.note(f"the first {MOST_TOKENS} of {len(tokens)} tokens are drawn: more cannot be read in print")
    show_view(GraphView(unrolled(opened.network, tokens[:MOST_TOKENS])), as_json=as_json, plot=picture)
