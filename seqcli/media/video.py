"""Clips: frames at a chosen rate by PyAV, as small grey pictures or through the image encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.example import MediaFile
from seqcli.data.fetch.obtain import Progress
from seqcli.errors import data_error, reading
from seqcli.lines import source_name
from seqcli.media import encoder
from seqcli.media.features import Extractor, beginning, needed
from seqcli.recipe.features import EncodedFramesConfig, GreyFramesConfig

_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def read_video(file: MediaFile, fps: float, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures [height, width, 3] of red, green and blue, ``fps`` a second, each the frame that is shown at its time.

    A clip has at least one. Pictures are turned as the clip says and squeezed to the size asked for.

    Raises:
        UserError: no such file, no clip, one without a frame or broken, a part that it does not have (65); an unreadable
            file (74); PyAV is not installed (2).
    """
    av = needed("av", "av", "vision")
    name = source_name(file.path)
    with reading(name):
        if not file.path.is_file():
            raise data_error("is no plain file" if file.path.exists() else "there is no such file", file=name)
        with file.path.open("rb") as handle:
            start = handle.read(16)
        if not start:
            raise data_error("the file is empty", file=name)
        shown = 0
        try:
            with av.open(str(file.path), metadata_errors="ignore") as container:
                if not container.streams.video:
                    raise data_error("has no video in it", file=name)
                frames = container.decode(container.streams.video[0])
                for frame in _at_rate(frames, fps, file.start or 0.0, file.end):
                    shown += 1
                    yield _pixels(frame, height, width)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError) and (error.errno or 0) > 0:
                raise
            what = f"is broken after {shown} frames" if shown else f"is no clip that can be read; {beginning(start)}"
            raise data_error(f"{what} ({error.strerror})", file=name) from error
        if not shown:
            part = "" if file.start is None and file.end is None else " in the part that is asked for"
            raise data_error(f"a clip without a single frame{part}", file=name)


def _at_rate(frames: Iterable[Any], fps: float, start: float, end: float | None) -> Iterator[Any]:
    """The frame that is shown at ``start``, ``start`` + 1 / ``fps``, ... up to the last one, or to before ``end``.

    Time begins with the first frame.
    """
    count, begin, last = 0, None, None
    for number, frame in enumerate(frames):
        time = frame.time if frame.time is not None else number / 25
        begin = time if begin is None else begin
        while last is not None and start + count / fps < time - begin - 1e-6:
            if end is not None and start + count / fps >= end:
                return
            yield last
            count += 1
        last = frame
    if last is not None and begin is not None:
        shown_at = (last.time if last.time is not None else begin) - begin
        while start + count / fps <= shown_at + 1e-6 and (end is None or start + count / fps < end):
            yield last
            count += 1


def _pixels(frame: Any, height: int, width: int) -> NDArray[np.uint8]:
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    if turns % 2:
        height, width = width, height
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    return np.ascontiguousarray(np.rot90(pixels, turns))


class GreyFrames(Extractor):
    config: GreyFramesConfig

    def compute(self, file: MediaFile) -> NDArray[np.float32]:
        config = self.config
        pictures = read_video(file, config.fps, config.height, config.width)
        return np.stack([(pixels @ _GREY).ravel() / np.float32(255) for pixels in pictures])


class EncodedFrames(Extractor):
    config: EncodedFramesConfig

    def prepare(self, progress: Progress | None = None) -> None:
        encoder.graph_path(progress)

    def compute(self, file: MediaFile) -> NDArray[np.float32]:
        pictures = read_video(file, self.config.fps, encoder.SIDE, encoder.SIDE)
        return np.stack([encoder.encode(pixels[None])[0].mean(0) for pixels in pictures])  # several at once are slower
