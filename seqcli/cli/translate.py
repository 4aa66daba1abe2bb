"""The verb ``translate``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console
from seqcli.cli.language import READ_AT_ONCE, model_and_file, seed_or_new
from seqcli.cli.options import File, Knobs, Reading, Running, Seed, Tokens, choice, grouped
from seqcli.errors import usage_error
from seqcli.lines import read_batches, source_name

if TYPE_CHECKING:
    from seqcli.pipeline.model import Model as Trained
    from seqcli.pipeline.translate import Translator
    from seqcli.tasks.translation import TranslationTask
    from seqcli.tasks.writing import Generated, Written

EPILOG = """Examples:

\b
  echo "A dog runs across the grass." | seqcli translate
  seqcli translate translate-en-de in.en > hyp.de && seqcli bleu hyp.de ref.de
  seqcli translate translate-en-de in.en --n-best 5 --scores
  echo "A dog runs." | seqcli translate --engine torch --attention dog.png"""


@grouped
def command(
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A trained translator: NAME, NAME@VERSION or a run folder; the newest one by default. An argument "
            "alone is the model if a run has that name, else the file.",
        ),
    ] = None,
    file: File = None,
    beam: Annotated[
        int | None, typer.Option(help="Hypotheses followed side by side; 1 is greedy (default: the recipe's).", min=1)
    ] = None,
    n_best: Annotated[int, typer.Option("--n-best", metavar="N", help="Translations of each line.", min=1)] = 1,
    scores: Annotated[
        bool, typer.Option("--scores", help="Put what each was ranked by in front: ln p / length^penalty.")
    ] = False,
    alignments: Annotated[
        bool,
        typer.Option("--alignments", help="Add where each token looked most: pairs source-target, counted from 0."),
    ] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", "--json", help="Print a JSON object for each line, with all there is.")
    ] = False,
    attention: Annotated[
        str | None,
        typer.Option("--attention", metavar="PNG", help="Draw where each token of one sentence looked (matplotlib)."),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Most tokens of a translation (default: by the source's length).", min=1)
    ] = None,
    min_length: Annotated[int, typer.Option(help="Fewest tokens of a translation.", min=0)] = 0,
    length_penalty: Annotated[
        float | None,
        typer.Option(help="ln p is divided by length^THIS; 0 favours the short (default: the recipe's).", min=0),
    ] = None,
    coverage_penalty: Annotated[
        float, typer.Option(help="Weight of source tokens that nothing looked at (Wu et al. 2016).", min=0)
    ] = 0.0,
    no_repeat: Annotated[
        int, typer.Option(metavar="N", help="No N tokens in a row come twice in a translation; 0 allows it.", min=0)
    ] = 0,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="What every translation begins with.")] = "",
    sample: Annotated[bool, typer.Option("--sample", help="Draw translations instead of searching the best.")] = False,
    knobs: Knobs,
    seed: Seed = None,
    ensemble: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="MODEL...", help="More models, whose probabilities are averaged with it."),
    ] = None,
    long: Annotated[
        str,
        typer.Option("--long", metavar="split|refuse", help="A line too long for the model: in parts, or an error."),
    ] = "split",
    tokens: Tokens = False,
    reading: Reading,
    running: Running,
) -> None:
    """Translate lines of text.

    One line out for each line in, as it comes in; a blank line stays blank. With --n-best each line gives N lines,
    numbered by the line they are of.
    """
    from seqcli.decode.sampling import SamplingOptions

    choice("--long", long, ("split", "refuse"))
    turned = knobs.turned()
    sampling = SamplingOptions(**turned) if sample or turned else None
    model, file = model_and_file(model, file, running.runs)
    steps = sampling is not None or bool(ensemble)
    trained = _open(model, ensemble or [], running, steps=steps)
    from seqcli.pipeline.translate import Translator
    from seqcli.pipeline.writing import options_of

    changes: dict[str, Any] = {"min_length": min_length, "no_repeat": no_repeat, "coverage_penalty": coverage_penalty}
    if beam is not None or sampling is not None or n_best > options_of(trained).beam:
        changes["beam"] = beam or (1 if sampling is not None else n_best)
    if max_length is not None:
        changes["max_length"] = max_length
    if length_penalty is not None:
        changes["length_penalty"] = length_penalty
    if sampling is not None:
        changes |= {"sampling": sampling, "seed": seed_or_new(seed)}
    options = options_of(trained, best=n_best, **changes)
    looks = alignments or jsonl or attention is not None
    if trained.notice is not None:
        console.warn(trained.notice)
    translator = Translator(
        trained, options, prefix=prefix, attention=looks, scores=scores or jsonl, refuse_long=long == "refuse"
    )
    if tokens:
        translator.task.source.read_tokens()
    if attention is not None:
        _draw(translator, file, attention, reading)
        return
    write = _writer(translator.task, n_best, scores=scores, alignments=alignments, jsonl=jsonl, tokens=tokens)
    number, said = 0, set[str]()
    for block in read_batches(file, on_invalid=reading.invalid, max_line=reading.max_line, block=READ_AT_ONCE):
        found = translator.block(block)
        console.write("".join(write(at, one) for at, one in enumerate(found, number + 1)), flush=True)
        number += len(block)
        for odd, what in (
            (translator.cut, trained.task.long_input),
            (translator.unknown, "the model knows none of the line's tokens, so its translation means nothing"),
        ):
            if odd and what not in said:
                said.add(what)
                console.warn(f"{source_name(file)}:{odd[0]}: {what}")


def _open(model: str | None, others: Sequence[str], running: Running, *, steps: bool) -> Trained[Generated]:
    """The model, or several as one; ``steps``: it must be asked token by token, which not every engine can."""
    from seqcli.store.runs import Store

    store = Store(running.runs)
    runs = [store.resolve(name, task_kinds=("translation",)) for name in (model, *others)]
    if model is None:
        console.note(f"using {runs[0]}")
    from seqcli.pipeline.model import Model as Trained
    from seqcli.pipeline.writing import ensemble

    return ensemble([Trained.load(run, device=running.device, engine=running.engine, steps=steps) for run in runs])


def _writer(
    task: TranslationTask, n_best: int, *, scores: bool, alignments: bool, jsonl: bool, tokens: bool
) -> Callable[[int, Generated], str]:
    from seqcli.tasks.translation import alignment

    def pairs(one: Generated, best: Written) -> str:
        return " ".join(f"{source}-{target}" for source, target in alignment(one.source, best))

    def document(number: int, one: Generated) -> str:
        return console.json_text({"line": number, **task.document(one)}) + "\n"

    def lines(number: int, one: Generated) -> str:
        rows = []
        for best in one.hypotheses:
            text = " ".join(best.tokens) if tokens else best.text
            cells = [str(number)] * (n_best > 1) + [f"{best.score:.4f}"] * scores + [text]
            rows.append("\t".join([*cells, *([pairs(one, best)] if alignments else [])]) + "\n")
        return "".join(rows)

    return document if jsonl else lines


def _draw(translator: Translator, file: str | None, picture: str, reading: Reading) -> None:
    """Write the picture of one sentence, and print its translation."""
    from seqcli.cli.attention import draw_attention

    lines = [
        line
        for block in read_batches(file, on_invalid=reading.invalid, max_line=reading.max_line)
        for line in block
        if line.strip()
    ]
    if len(lines) != 1:
        raise usage_error(
            f"--attention draws one sentence, and {source_name(file)} has {len(lines):,}", hint="Give it one line."
        )
    (one,) = translator.block(lines)
    draw_attention(one, Path(picture))
    console.emit(one.text)
