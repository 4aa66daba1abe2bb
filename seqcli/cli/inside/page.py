"""Views as one page of HTML that needs no other file, no network and no server: pictures inline as SVG, tables as text."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from seqcli.cli.inside.view import View
from seqcli.cli.pictures import save_picture
from seqcli.files import atomic_write

_STYLE = """\
:root { color-scheme: light; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #111;
  background: #fff; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2.5rem; border-top: 1px solid #888;
  padding-top: 1rem; }
nav a { margin-right: 1rem; color: #0072b2; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; }
pre { font: .85rem/1.35 ui-monospace, monospace; overflow-x: auto; }
blockquote { margin: 1rem 0; padding-left: 1rem; border-left: 3px solid #888; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } pre, figure { break-inside: avoid; } }
"""


def write_page(file: Path, name: str, text: str | None, views: Sequence[View]) -> None:
    """Write the page, whole or not at all.

    Raises:
        UserError: the file cannot be written (74).
    """
    page = page_of(name, text, views)
    with atomic_write(file) as handle:
        handle.write(page.encode("utf-8"))


def page_of(name: str, text: str | None, views: Sequence[View]) -> str:
    title = escape(f"Inside {name}", quote=False)
    links = "".join(f'<a href="#view-{number}">{escape(view.title)}</a>\n' for number, view in enumerate(views, 1))
    said = "" if text is None else f'<blockquote dir="auto">{escape(text, quote=False)}</blockquote>\n'
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{said}"
        f"<nav>\n{links}</nav>\n{''.join(_section(number, view) for number, view in enumerate(views, 1))}</body>\n</html>\n"
    )


def _section(number: int, view: View) -> str:
    figure = view.draw()
    picture = "" if figure is None else f"<figure>\n{svg(figure, f'v{number}-')}</figure>\n"
    table = escape("\n".join(view.lines()), quote=False)
    return f'<section id="view-{number}">\n<h2>{escape(view.title)}</h2>\n{picture}<pre>{table}</pre>\n</section>\n'


def svg(figure: object, prefix: str) -> str:
    """A figure as an ``<svg>`` element whose ids begin with ``prefix``, so that several stand on one page."""
    drawn = io.BytesIO()
    save_picture(figure, drawn, form="svg")
    element = drawn.getvalue().decode("utf-8").partition("<svg")[2]
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)
    element = re.sub(r'(\bid="|href="#|url\(#)', lambda found: found[1] + prefix, element)
    return f'<svg role="img"{element}'
