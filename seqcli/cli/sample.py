"""The verb ``sample``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console
from seqcli.cli.language import open_model, seed_or_new, warn_of_unknown
from seqcli.cli.options import JsonLines, Knobs, NewestLanguageModel, Running, Seed, grouped
from seqcli.errors import usage_error

if TYPE_CHECKING:
    from seqcli.pipeline.sample import Sample

EPILOG = """Examples:

\b
  seqcli sample --temperature 0.8 --prompt "ROMEO:"
  seqcli sample lm-word -n 5 --top-p 0.9 --seed 1 --json"""


@grouped
def command(
    *,
    model: NewestLanguageModel = None,
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="Text to go on from; printed too.")] = "",
    count: Annotated[int, typer.Option("-n", "--count", help="How many samples.", min=1)] = 1,
    max_tokens: Annotated[int, typer.Option(help="Most tokens a sample, the prompt not counted.", min=1)] = 200,
    stop: Annotated[str | None, typer.Option(metavar="TEXT", help="End a sample where this text would come.")] = None,
    knobs: Knobs,
    greedy: Annotated[bool, typer.Option("--greedy", help="Always the most probable token.")] = False,
    seed: Seed = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Print tokens with spaces between, not text.")] = False,
    as_json: JsonLines = False,
    running: Running,
) -> None:
    """Sample text from a language model.

    A sample ends in <EOS>, before the text of --stop, or after --max-tokens. One sample is printed as it is made;
    several are made together and printed in order, a blank line between them where a sample has several lines.
    """
    from seqcli.decode.sampling import SamplingOptions

    options = SamplingOptions(**knobs.turned(), greedy=greedy)
    if stop == "":
        raise usage_error("--stop: an empty text would end every sample before it begins")
    trained = open_model(model, running)
    warn_of_unknown(trained, prompt)
    seed = seed_or_new(seed, said=not options.is_greedy)
    from seqcli.pipeline.sample import grow

    samples = grow(
        trained, prompt, count=count, options=options, max_tokens=max_tokens, stop=stop, seed=seed, tokens=tokens
    )
    if count == 1 and not as_json:
        print_growing(samples)
    else:
        print_finished(samples, as_json=as_json)


def print_growing(samples: Iterable[Sample]) -> None:
    """Print one sample as it grows, each part as soon as nothing can change it, and a line end."""
    shown = ""
    for one in samples:
        settled = one.settled
        if len(settled) > len(shown):
            console.write(settled[len(shown) :], flush=True)
            shown = settled
    if not shown.endswith("\n"):
        console.write("\n", flush=True)


def print_finished(samples: Iterable[Sample], *, as_json: bool) -> None:
    """Print whole samples in the order of their numbers, each as soon as it and all before it are done."""
    done: dict[int, Sample] = {}
    turn = 0
    before = ""
    for one in samples:
        if one.done:
            done[one.number] = one
        while turn in done:
            ready = done.pop(turn)
            if as_json:
                console.emit(console.json_text(_as_json(ready)), flush=True)
            else:
                text = ready.text.removesuffix("\n")
                apart = turn and (ready.model.unit == "stream" or "\n" in before + text)
                console.emit(f"\n{text}" if apart else text, flush=True)
                before = text
            turn += 1


def _as_json(one: Sample) -> dict[str, Any]:
    return {
        "text": one.text,
        "tokens": one.model.vocabulary.decode(one.ids),
        "log_probs": one.log_probs,
        "finished": one.finished,
    }
