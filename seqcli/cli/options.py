"""Every option that verbs share, declared once, and `grouped`: options that belong together as one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from functools import wraps
from itertools import islice
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from typer.core import TyperCommand, TyperOption

from seqcli.errors import did_you_mean, usage_error
from seqcli.lines import DEFAULT_MAX_LINE, OnInvalid
from seqcli.recipe.registry import FORMATS

Result = TypeVar("Result")


def choice(option: str, value: str, known: Sequence[str]) -> str:
    """``value`` if it is one of ``known``.

    Raises:
        UserError: it is not (exit code 2), with the nearest.
    """
    if value not in known:
        raise usage_error(f"{option}: unknown value '{value}'", hint=nearest(value, known))
    return value


def nearest(value: str, known: Sequence[str]) -> str:
    """The hint for a value that is none of ``known``: what was meant, else all there is."""
    return did_you_mean(value, known) or f"Known: {', '.join(known)}."


def one_of(option: str, known: Sequence[str]) -> Callable[[str], Any]:
    """The parser of an option that takes one of a few words; any other is a usage error that names the nearest."""

    def parse(value: str) -> str:
        return choice(option, value, known)

    return parse


# models

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A trained model: NAME, NAME@VERSION or a run folder.")]
NewestLanguageModel = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="A trained language model: NAME, NAME@VERSION or a run folder; the newest one by default.",
    ),
]
Runs = Annotated[
    str | None,
    typer.Option("--runs", metavar="FOLDER", help="Where runs are kept (default: runs).", envvar="SEQCLI_RUNS"),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|mps",
        parser=one_of("--device", ("auto", "cpu", "cuda", "mps")),
        help="Where a network runs: auto takes a GPU to train and the CPU to predict.",
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="auto|onnx|ctranslate2|torch",
        parser=one_of("--engine", ("auto", "onnx", "ctranslate2", "torch")),
        help="What runs a network: onnx, of a Transformer that translates ctranslate2 (auto, on a CPU), or torch.",
    ),
]
SetValue = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the recipe; may be given again."),
]

# what comes in

File = Annotated[
    str | None, typer.Argument(metavar="[FILE]", help="Text, a line at a time; '-' or nothing reads stdin.")
]
Invalid = Annotated[
    OnInvalid,
    typer.Option(
        "--invalid",
        metavar="strict|replace",
        parser=one_of("--invalid", ("strict", "replace")),
        help="Invalid UTF-8: strict stops with its line and byte, replace puts U+FFFD there.",
    ),
]
MaxLine = Annotated[int, typer.Option("--max-line", min=1, max=2**40, metavar="BYTES", help="Longest line accepted.")]
Tokens = Annotated[bool, typer.Option("--tokens", help="The input is tokens already, spaces between.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", help=f"{', '.join([*FORMATS][:-1])} or {[*FORMATS][-1]} (default: by the file, or the model's)."
    ),
]

Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="KEY=COLUMN,...",
        help="Such as token=0,tag=-1 or text=review,label=stars (default: by the file).",
    ),
]

# what goes out

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print a JSON object for each.")]
ErrorRows = Annotated[
    str | None, typer.Option("--errors", metavar="FILE", help="Write a row for each error to this file (TSV).")
]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How lines of text are read."""

    invalid: Invalid = "strict"
    max_line: MaxLine = DEFAULT_MAX_LINE


Seed = Annotated[
    int | None,
    typer.Option(help="The same seed gives the same samples; without one a new seed, told on stderr.", min=0),
]


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """What is done to the distribution before a token is drawn: `seqcli.decode.sampling.SamplingOptions`."""

    temperature: Annotated[
        float | None,
        typer.Option(help="Samples: divides ln p: below 1 the likely become likelier; 0 is greedy (default: 1)."),
    ] = None
    top_k: Annotated[int | None, typer.Option(help="Samples: only the K most probable tokens.")] = None
    typical: Annotated[
        float | None,
        typer.Option(
            help="Samples: only the tokens nearest to the expected surprise that have this probability together."
        ),
    ] = None
    top_p: Annotated[
        float | None, typer.Option(help="Samples: only the most probable tokens that have this probability together.")
    ] = None
    min_p: Annotated[
        float | None, typer.Option(help="Samples: only tokens with this share of the most probable one's probability.")
    ] = None

    def turned(self) -> dict[str, Any]:
        """Those that were given."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Searching:
    """How a model that writes is asked, and how what it wrote is printed: `seqcli.decode.generate.GenerateOptions`."""

    beam: Annotated[
        int | None, typer.Option(help="Hypotheses followed side by side; 1 is greedy (default: the recipe's).", min=1)
    ] = None
    n_best: Annotated[int, typer.Option("--n-best", metavar="N", help="Texts for each input.", min=1)] = 1
    scores: Annotated[
        bool, typer.Option("--scores", help="Put what each was ranked by in front: ln p / length^penalty.")
    ] = False
    jsonl: Annotated[
        bool, typer.Option("--jsonl", "--json", help="Print a JSON object for each input, with all there is.")
    ] = False
    max_length: Annotated[
        int | None, typer.Option(help="Most tokens that are written (default: the recipe's).", min=1)
    ] = None
    min_length: Annotated[int, typer.Option(help="Fewest tokens that are written.", min=0)] = 0
    length_penalty: Annotated[
        float | None,
        typer.Option(help="ln p is divided by length^THIS; 0 favours the short (default: the recipe's).", min=0),
    ] = None
    no_repeat: Annotated[
        int, typer.Option(metavar="N", help="No N tokens in a row come twice in a text; 0 allows it.", min=0)
    ] = 0
    sample: Annotated[bool, typer.Option("--sample", help="Draw texts instead of searching the best.")] = False
    seed: Seed = None
    ensemble: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="MODEL...", help="More models, whose probabilities are averaged with it."),
    ] = None

    def samples(self, knobs: Knobs) -> bool:
        """Whether texts are drawn."""
        return self.sample or bool(knobs.turned())


With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="MODEL",
        help="A classifier of another sensor, whose probabilities are averaged with it, clip by clip; again for more. FILEs are "
        "then one for each model, in their order.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where the model lies, and what runs it."""

    runs: Runs = None
    device: Device = "auto"
    engine: EngineName = "auto"


class TakesSeveral(TyperCommand):
    """A command whose options that may be given again take all words up to the next option.

    ``--data a b c`` is ``--data a --data b --data c``; ``--data=a`` takes one. Only those count whose metavar ends in
    ``...``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        several = {
            name
            for parameter in self.params
            if isinstance(parameter, TyperOption) and (parameter.metavar or "").endswith("...")
            for name in parameter.opts
        }
        spread: list[str] = []
        option: str | None = None
        words = iter(args)
        for word in words:
            if word == "--":
                spread += [word, *words]
            elif word in several:
                option = word
                spread += [word, *islice(words, 1)]
            elif word.startswith("-") and word != "-":
                option = None
                spread.append(word)
            else:
                spread += [word] if option is None else [option, word]
        return super().parse_args(ctx, spread)


def parse_columns(text: str | None) -> dict[str, int | str] | None:
    if text is None:
        return None
    columns: dict[str, int | str] = {}
    for pair in text.split(","):
        key, _, value = pair.partition("=")
        if not (key and value):
            raise usage_error(f"--columns: '{pair}' is not KEY=COLUMN", hint="Such as token=0,tag=-1.")
        columns[key.strip()] = int(value) if value.strip().removeprefix("-").isdecimal() else value.strip()
    return columns


def grouped(command: Callable[..., Result]) -> Callable[..., Result]:
    """``command`` for typer: a parameter that is a dataclass of options is replaced by the fields of that class."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in _parameters(command).items():
        parameters += _parameters(groups[name]).values() if name in groups else [parameter]

    @wraps(command)
    def with_groups(**values: Any) -> Result:
        for name, group in groups.items():
            values[name] = group(**{option: values.pop(option) for option in _parameters(group)})
        return command(**values)

    with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_groups.__annotations__ = {}
    return with_groups


def _parameters(of: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """By name, types resolved; keyword only, so that a required one may stand after one with a default."""
    types = get_type_hints(of, include_extras=True)
    return {
        name: parameter.replace(annotation=types[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(of).parameters.items()
    }


def verb_of_verbs(*lines: str) -> typer.Typer:
    """A verb such as ``data`` that has verbs of its own; the lines are its examples."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, epilog=examples(*lines))


def examples(*lines: str) -> str:
    """The end of a help text: command lines to copy."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
