"""The verb ``features``: what models read of photographs, recordings and clips, as an array of numpy's."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console
from seqcli.cli.options import choice, examples, grouped, verb_of_verbs
from seqcli.errors import UserError, data_error, plural, usage_error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqcli.recipe.features import FeaturesConfig, Media

command = verb_of_verbs(
    "seqcli features image photos/ -o photos.npy --names photos.txt", "seqcli features audio talk.wav -o talk.npy"
)

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|FOLDER...", help="Files, or folders with all that lies below; - reads a file from stdin."
    ),
]


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where features go."""

    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="The .npy file; - is stdout.")]
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on after a file that cannot be read, which is said on stderr.")
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: the shape, what was computed how, which files were skipped.")
    ] = False


Index = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="FILE",
        help="Also write a TSV with file, start and length (in frames) and the name of each file: needed to tell "
        "several apart, and what the npz format reads.",
    ),
]


@command.command(
    "image",
    epilog=examples(
        "seqcli features image photos/ -o photos.npy --names photos.txt --skip-bad",
        "seqcli features image a.jpg b.png --grid -o grids.npy",
    ),
)
@grouped
def image(
    *,
    files: Files,
    grid: Annotated[
        bool, typer.Option("--grid", help="The 7 x 7 places of each picture [N, 49, 1280], not their mean [N, 1280].")
    ] = False,
    projection: Annotated[
        str | None,
        typer.Option(
            "--projection",
            metavar="FILE",
            help="A .npz by which the 1,280 become fewer: mean, basis and, if need be, scale.",
        ),
    ] = None,
    names: Annotated[
        str | None, typer.Option("--names", metavar="FILE", help="Also write the name of each row, a line each.")
    ] = None,
    output: Output,
) -> None:
    """What EfficientNet-Lite0 sees in photographs: a row of 1,280 numbers each.

    Pictures are turned as their EXIF says and squeezed to 224 x 224 pixels; 7 x 7 places of 1,280 channels come out.
    """
    rows = _write(
        "image",
        files,
        {"kind": "efficientnet-lite0", "projection": projection},
        output,
        lambda found: found[None] if grid else found.mean(0)[None],
    )
    if names is not None:
        _write_lines(names, [name for name, _, _ in rows])


@command.command(
    "audio",
    epilog=examples(
        "seqcli features audio talk.wav --rate 16000 --bins 80 -o talk.npy",
        "seqcli features audio recordings/ --kind mfcc -o cepstra.npy --index cepstra.tsv",
    ),
)
@grouped
def audio(
    *,
    files: Files,
    kind: Annotated[str, typer.Option(metavar="log-mel|mfcc", help="Bands of the mel scale, or cepstra.")] = "log-mel",
    rate: Annotated[
        int, typer.Option(min=1000, max=192_000, help="Samples a second; what has another rate is resampled.")
    ] = 16000,
    bins: Annotated[
        int | None, typer.Option(min=4, max=512, help="Bands (default: 80, of mfcc 23).", show_default=False)
    ] = None,
    cepstra: Annotated[
        int | None, typer.Option(min=2, max=512, help="Cepstra (default: 13).", show_default=False)
    ] = None,
    index: Index = None,
    output: Output,
) -> None:
    """Log-mel or cepstra of recordings: a row for every 10 ms.

    Channels are averaged to one. Several recordings are joined [sum of T, D]; --index says where each begins.
    """
    choice("--kind", kind, ("log-mel", "mfcc"))
    if cepstra is not None and kind != "mfcc":
        raise usage_error("--cepstra is of --kind mfcc")
    _write_sequences("audio", files, {"kind": kind, "rate": rate, "bins": bins, "cepstra": cepstra}, output, index)


@command.command(
    "video",
    epilog=examples(
        "seqcli features video clip.mp4 --fps 8 -o clip.npy",
        "seqcli features video clips/ --kind efficientnet-lite0-frames -o clips.npy --index clips.tsv",
    ),
)
@grouped
def video(
    *,
    files: Files,
    kind: Annotated[
        str,
        typer.Option(
            metavar="grey-frames|efficientnet-lite0-frames",
            help="Pixels of small grey pictures, or what the image encoder sees in each frame (1,280 numbers).",
        ),
    ] = "grey-frames",
    fps: Annotated[float, typer.Option(min=0.001, max=240, help="Frames a second that are taken.")] = 8.0,
    size: Annotated[
        str | None,
        typer.Option(metavar="ROWSxCOLUMNS", help="Pixels of a grey frame (default: 24x32).", show_default=False),
    ] = None,
    index: Index = None,
    output: Output,
) -> None:
    """Frames of clips as small grey pictures or through the image encoder: a row for each frame.

    Several clips are joined [sum of T, D]; --index says where each begins.
    """
    choice("--kind", kind, ("grey-frames", "efficientnet-lite0-frames"))
    options: dict[str, Any] = {"kind": kind, "fps": fps}
    if size is not None:
        if kind != "grey-frames":
            raise usage_error("--size is of --kind grey-frames")
        if not (sides := re.fullmatch(r"(\d{1,4})x(\d{1,4})", size)):
            raise usage_error(f"--size: '{size}' is no ROWSxCOLUMNS", hint="Such as 24x32.")
        options |= {"height": int(sides[1]), "width": int(sides[2])}
    _write_sequences("video", files, options, output, index)


def _write_sequences(
    media: Media, files: list[str], options: Mapping[str, Any], output: Output, index: str | None
) -> None:
    several = len(files) > 1 or any(os.path.isdir(file) for file in files)
    if several and index is None:
        raise usage_error("several files are joined in one array", hint="Say --index FILE, which tells them apart.")
    rows = _write(media, files, options, output, lambda found: found)
    if index is not None:
        folder = os.path.dirname(os.path.abspath(index))
        array = output.out if output.out == "-" else os.path.relpath(output.out, folder)
        _write_lines(index, ["file\tstart\tlength\tname", *(f"{array}\t{at}\t{n}\t{name}" for name, at, n in rows)])


def _write(
    media: Media, names: list[str], options: Mapping[str, Any], output: Output, rows_of: Any
) -> list[tuple[str, int, int]]:
    """Write the array; returns ``(name, first row, rows)`` of each file that could be read."""
    from seqcli.cli.progress import counting, downloads
    from seqcli.data.media_files import media_files
    from seqcli.media.features import extractor
    from seqcli.pipeline.features import features_of, npy_rows

    if output.as_json and output.out == "-":
        raise usage_error("--json and -o -: which of the two goes to stdout?")
    begin = time.perf_counter()
    config = _config(options)
    files = media_files(names, media)
    computes = extractor(config)
    with downloads() as progress:
        computes.prepare(progress)
    written: list[tuple[str, int, int]] = []
    skipped: list[dict[str, str]] = []
    with npy_rows(output.out) as array, counting(media, len(files)) as step:
        features = features_of([path for path, _ in files], computes)
        for (_, name), found in zip(files, features, strict=True):
            step()
            if isinstance(found, UserError):
                if not output.skip_bad:
                    found.hint = found.hint or ("Leave it out, or add --skip-bad." if len(files) > 1 else None)
                    raise found
                console.warn(f"skipped: {found}")
                skipped.append({"file": name, "why": found.message})
                continue
            rows: NDArray[np.float32] = rows_of(found)
            written.append((name, array.shape[0], len(rows)))
            array.add(rows)
        if not written:
            raise data_error(f"none of {plural(len(files), 'file')} could be read")
    for note in computes.notes:
        console.note(note)
    shape = " x ".join(f"{size:,}" for size in array.shape)
    left = f", {len(skipped):,} skipped" if skipped else ""
    out = "stdout" if output.out == "-" else output.out
    console.note(f"{out}: {shape} of {plural(len(written), 'file')}{left}, {config.kind}")
    console.detail(f"{time.perf_counter() - begin:.1f} s")
    if output.as_json:
        features_said = {**config.model_dump(mode="json"), "version": config.version}
        console.emit_json(
            {
                "out": output.out,
                "shape": array.shape,
                "files": len(written),
                "skipped": skipped,
                "features": features_said,
            }
        )
    return written


def _config(options: Mapping[str, Any]) -> FeaturesConfig:
    """The features section that the options stand for.

    Raises:
        UserError: values that it does not take (2).
    """
    from pydantic import ValidationError

    from seqcli.recipe import registry

    try:
        config: FeaturesConfig = registry.config_class("features", options["kind"]).model_validate(
            {name: value for name, value in options.items() if value is not None}
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = "".join(f"--{name}: " for name in first["loc"])
        raise usage_error(f"{option}{first['msg'].removeprefix('Value error, ')}") from error
    return config


def _write_lines(path: str, lines: list[str]) -> None:
    from seqcli.files import atomic_write_text

    atomic_write_text(Path(path), "".join(f"{line}\n" for line in lines))
