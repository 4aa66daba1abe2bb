"""The verb ``inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli import console
from seqcli.cli.options import Json, Runs
from seqcli.errors import usage_error

EPILOG = """Examples:

\b
  seqcli inspect recipes/ner.yaml
  seqcli inspect ner --json | jq .parameters
  seqcli inspect ner --graph ner.svg "Anna visited Paris"
  seqcli inspect ner --gates "Anna visited Paris" --plot gates.svg
  seqcli inspect lm-char --gradient --compare --plot gradient.png
  seqcli inspect reverse --attention "abcdef" --plot attention.png
  seqcli inspect sentiment --attribution "not a good film"
  seqcli inspect lm-char --neurons book.txt
  seqcli inspect ner --html ner.html "Anna visited Paris\""""


def command(
    *,
    network: Annotated[
        str,
        typer.Argument(metavar="RECIPE|MODEL", help="A recipe, or a trained model: NAME, NAME@VERSION or a folder."),
    ],
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT|FILE]",
            help="What it is looked at with: a text ('-': a line of stdin), or for a model of numbers an example of its dev "
            "split, by number; of --gradient and --neurons a file.",
        ),
    ] = None,
    plot: Annotated[
        str | None, typer.Option("--plot", "-o", metavar="FILE", help="Draw the view: .png, .svg or .pdf.")
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option("--graph", metavar="FILE", help="Draw the network unrolled over TEXT: .png, .svg or .pdf."),
    ] = None,
    gates: Annotated[
        bool, typer.Option("--gates", help="Gates and states of recurrent layers, token by token.")
    ] = False,
    gradient: Annotated[
        bool,
        typer.Option("--gradient", help="The gradient through time by distance, over TEXT, FILE or the dev split."),
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="With --gradient: also of an untrained RNN, ReLU RNN, LSTM and GRU.")
    ] = False,
    attention: Annotated[bool, typer.Option("--attention", help="Where each token looked, head by head.")] = False,
    attribution: Annotated[
        bool, typer.Option("--attribution", help="How much each token carried a classifier's decision.")
    ] = False,
    neurons: Annotated[
        bool, typer.Option("--neurons", help="Units of a character model that follow a rule, over FILE.")
    ] = False,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write every view there is as one page.")
    ] = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Look inside a network: its layers, and what goes on in them."""
    asked = {
        "graph": graph is not None, "gates": gates, "gradient": gradient, "attention": attention,
        "attribution": attribution, "neurons": neurons, "html": html is not None,
    }  # fmt: skip
    chosen = [name for name, wanted in asked.items() if wanted]
    if len(chosen) > 1:
        raise usage_error(f"--{chosen[0]} and --{chosen[1]} are two views", hint="Ask for one; --html has all.")
    if compare and not gradient:
        raise usage_error("--compare compares gradients", hint="Add --gradient.")
    if text is not None and not chosen:
        raise usage_error(
            "the layers need no text", hint="--graph, --gates, --gradient, --attention or --html look at one."
        )
    if plot is not None and graph is not None:
        raise usage_error("--graph names the file of its picture, so --plot has none to draw")
    from seqcli.cli.inside.layers import CountsView, LayersView
    from seqcli.cli.inside.view import show_view
    from seqcli.cli.inside.views import VIEWS, all_views, gradient_view, graph_view
    from seqcli.cli.pictures import check_folder, check_picture, pyplot
    from seqcli.inspect.layers import layers
    from seqcli.pipeline.inside import open_counts, open_network

    named = next(((option, file) for option, file in (("--plot", plot), ("--graph", graph)) if file is not None), None)
    picture: Path | None = None if named is None else check_picture(*named)
    if html is not None:
        if plot is not None or as_json:
            raise usage_error(f"--html writes all views to one page, --{'plot' if plot else 'json'} one of them")
        pyplot()
        check_folder(Path(html))
    if text == "-" and not neurons:
        text = _line()
    if not chosen and (counts := open_counts(network, runs)) is not None:
        show_view(CountsView(counts), as_json=as_json, plot=picture)
        return
    opened = open_network(network, runs)
    if html is not None:
        from seqcli.cli.inside.page import write_page

        views = all_views(opened, text)
        write_page(Path(html), opened.name, text, views)
        console.note(f"{', '.join(view.title for view in views)} in {html}")
    elif not chosen:
        show_view(LayersView(layers(opened.network)), as_json=as_json, plot=picture)
    elif graph is not None:
        show_view(graph_view(opened, text), as_json=as_json, plot=picture)
    elif gradient:
        show_view(gradient_view(opened, text, compare=compare), as_json=as_json, plot=picture)
    else:
        show_view(VIEWS[chosen[0]](opened, text), as_json=as_json, plot=picture)


def _line() -> str:
    from seqcli.lines import read_batches

    lines = [line for block in read_batches("-", on_invalid="strict") for line in block if line.strip()]
    if len(lines) != 1:
        raise usage_error(f"stdin has {len(lines):,} lines, and a view is of one", hint="Give it one line.")
    return lines[0]
