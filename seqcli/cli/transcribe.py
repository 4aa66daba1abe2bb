"""The verb ``transcribe``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console
from seqcli.cli.options import Running, choice, examples, grouped
from seqcli.cli.searching import Searching
from seqcli.errors import ExitCode, UserError, plural, usage_error

if TYPE_CHECKING:
    from seqcli.pipeline.transcribe import Transcriber, Transcript

EPILOG = examples(
    "seqcli transcribe digits talk.wav",
    "seqcli transcribe recordings/ --to txt,srt,json -o transcripts",
    "seqcli transcribe digits talk.wav --beam 16 --lm words --lm-weight 0.5",
    "cat talk.wav | seqcli transcribe digits -",
)


@grouped
def command(
    *,
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]",
            help="A trained transcriber: NAME, NAME@VERSION or a run folder; the newest one where the first argument is "
            "no run.",
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|FOLDER...",
            help="Recordings (wav, flac, ogg, mp3), folders of them, manifests; '-' reads a recording from stdin. A model "
            "of frames reads .npy files and indexes of them.",
        ),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT,...", help="txt, srt, vtt, json, csv; several with -o.")
    ] = "txt",
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", metavar="FOLDER", help="Write a file for each recording and format there."),
    ] = None,
    max_words: Annotated[int, typer.Option("--max-words", metavar="N", help="Most words of a subtitle.", min=1)] = 10,
    longest: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="A longer recording is cut at its silences (default: 20, or data.max_length of the recipe).",
            min=1,
            show_default=False,
        ),
    ] = None,
    searching: Searching,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on after a recording that cannot be read, which is said on stderr.")
    ] = False,
    running: Running,
) -> int:
    """Write down what is said in recordings.

    A recording is printed as soon as it is done; of several, and of a folder, with its name before it.
    """
    from seqcli.pipeline.transcripts import FORMATS

    forms = [choice("--to", form.strip(), tuple(FORMATS)) for form in to.split(",")]
    if len(forms) > 1 and out is None:
        raise usage_error(f"--to {to}: several formats take files", hint="Say -o FOLDER.")
    names = list(files or ())
    run_name = _run_name(model, names, running.runs)
    if not names:
        raise usage_error("no recording is named", hint="Name files or folders; '-' reads standard input.")
    skipped: list[str] = []

    def skip(error: UserError) -> None:
        console.warn(f"skipped: {error}")
        skipped.append(str(error))

    transcriber = _open(run_name, searching, running, longest, skip if skip_bad else None)
    if not transcriber.task.has_ctc and (timed := [form for form in forms if form != "txt"]):
        raise usage_error(
            f"--to {','.join(timed)}: {transcriber.model.name} has no CTC, so it does not know when words are said",
            hint="Say --to txt; a decoder with CTC beside it (task.ctc_weight above 0) knows.",
        )
    begin, seconds, count = time.perf_counter(), 0.0, 0
    is_one = len(names) == 1 and not Path(names[0]).is_dir() and not _is_list(names[0])
    written: dict[str, str] = {}
    for one in _transcripts(transcriber, names):
        seconds, count = seconds + one.seconds, count + 1
        if out is not None:
            _write(one, forms, Path(out), max_words, written)
        else:
            _print(one, forms[0], max_words, is_one=is_one)
    for note in transcriber.task.source.notes():
        console.note(note)
    if transcriber.reads_sound and count:
        took = time.perf_counter() - begin
        where = f"{out}: " if out is not None else ""
        left = f", {len(skipped):,} skipped" if skipped else ""
        console.detail(
            f"{where}{plural(count, 'recording')}{left}, {seconds:.1f} s in {took:.1f} s ({seconds / took:.0f} x)"
        )
    return int(ExitCode.DATA) if skipped and not count else int(ExitCode.OK)


def _is_list(name: str) -> bool:
    from seqcli.pipeline.transcribe import is_list

    return is_list(name)


def _run_name(model: str, names: list[str], runs: str | None) -> str | None:
    """The model that is named, or None: the first argument is then a recording, and is put before the others."""
    from seqcli.store.runs import Store

    if Store(runs).knows(model) or (names and not Path(model).exists() and model != "-"):
        return model
    names.insert(0, model)
    return None


def _open(name: str | None, searching: Searching, running: Running, longest: float | None, skipped: Any) -> Transcriber:
    from seqcli.store.runs import Store

    run = Store(running.runs).resolve(name, task_kinds=("transcription",))
    if name is None:
        console.note(f"using {run}")
    from seqcli.pipeline.model import Model
    from seqcli.pipeline.transcribe import Transcriber
    from seqcli.tasks.transcription import TranscriptionTask

    model = Model.load(run, device=running.device, engine=running.engine)
    if model.notice is not None:
        console.warn(model.notice)
    assert isinstance(model.task, TranscriptionTask)
    return Transcriber(model, searching.decoding(model.task, running), longest=longest, skipped=skipped)


def _transcripts(transcriber: Transcriber, names: Sequence[str]) -> Iterator[Transcript]:
    from seqcli.pipeline.transcribe import named_in

    if not transcriber.reads_sound:
        for name in names:
            yield from transcriber.sequences(name)
        return
    from seqcli.cli.progress import counting
    from seqcli.data.media_files import media_files

    files: list[tuple[Path, str]] = []
    for name in names:
        files += named_in(name) if _is_list(name) else media_files([name], "audio")
    with counting("transcribing", len(files)) as step:
        for one in transcriber.recordings(files):
            step()
            yield one


def _print(one: Transcript, form: str, max_words: int, *, is_one: bool) -> None:
    from seqcli.pipeline.transcripts import FORMATS

    text = FORMATS[form](one, max_words)
    if form == "txt" and not is_one:
        text = f"{one.name}\t{text}"
    elif form in ("srt", "vtt") and not is_one:
        raise usage_error(f"--to {form} of several recordings takes files", hint="Say -o FOLDER.")
    console.write(text, flush=True)


def _write(one: Transcript, forms: Sequence[str], folder: Path, max_words: int, written: dict[str, str]) -> None:
    from seqcli.files import atomic_write_text
    from seqcli.pipeline.transcripts import FORMATS

    name = PurePath(one.name)
    place = PurePath(*(part for part in name.with_suffix("").parts if part not in ("..", name.anchor)))
    if (other := written.setdefault(str(place), one.name)) != one.name:
        raise usage_error(f"'{other}' and '{one.name}' would both become {place}", hint="Write them to two folders.")
    for form in forms:
        path = folder / f"{place}.{form}"
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, FORMATS[form](one, max_words))
