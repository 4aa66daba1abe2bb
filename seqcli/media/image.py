"""Photographs: any file that Pillow reads as 224 x 224 pixels of red, green and blue, and what the encoder sees in it.

Shapes: P places, D = 1,280 channels of the encoder, K values that they are projected on.
"""

from __future__ import annotations

import io
import shutil
import warnings
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqcli.data.example import MediaFile
from seqcli.data.fetch.obtain import Progress
from seqcli.errors import UserError, data_error, reading
from seqcli.files import sha256_file, user_path
from seqcli.lines import source_name
from seqcli.media import encoder
from seqcli.media.features import Extractor, beginning, needed
from seqcli.recipe.features import EfficientNetLite0Config

MAX_PIXELS = 2**27
"""Most pixels that are decoded: 134 million, 400 MB. A jpg is decoded smaller where it is larger than needed."""

_TURNS = {
    **{2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM"},
    **{5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"},
}
"""What brings a picture upright, by the EXIF's number."""


def read_image(file: MediaFile | bytes) -> NDArray[np.uint8]:
    """A picture as [224, 224, 3]: turned as its EXIF says, over white where it is transparent, squeezed to a square.

    One that has this size already comes as it is. Of an animation the first picture counts.

    Raises:
        UserError: no such file, no picture, a broken one, one of too many pixels (65); an unreadable file (74); Pillow is
            not installed (2).
    """
    needed("PIL", "pillow", "vision")
    from PIL import Image, UnidentifiedImageError

    name = "<stdin>" if isinstance(file, bytes) else source_name(file.path)
    with reading(name):
        if isinstance(file, MediaFile) and not file.path.is_file():
            raise data_error("is no plain file" if file.path.exists() else "there is no such file", file=name)
        with io.BytesIO(file) if isinstance(file, bytes) else file.path.open("rb") as handle:
            start = handle.read(16)
            handle.seek(0)
            if not start:
                raise data_error("the file is empty", file=name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of many pixels, which are counted here, and of odd metadata
                try:
                    return _squared(Image.open(handle))
                except UserError as error:
                    error.file = name
                    raise
                except Image.DecompressionBombError as error:
                    raise data_error(f"too many pixels: {error}", file=name) from error
                except UnidentifiedImageError as error:
                    raise data_error(f"is no image that can be read: {beginning(start)}", file=name) from error
                except MemoryError:
                    raise
                except Exception as error:  # a damaged file makes a decoder raise almost anything
                    why = str(error).partition(" (")[0]
                    raise data_error(f"is a broken image: {why}", file=name) from error


def _squared(picture: Any) -> NDArray[np.uint8]:
    from PIL import ExifTags, Image

    size = (encoder.SIDE, encoder.SIDE)
    picture.draft("RGB", (2 * encoder.SIDE, 2 * encoder.SIDE))  # of a jpg: not much more than is needed
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise data_error(f"{width:,} x {height:,} pixels; at most {MAX_PIXELS:,} are decoded", hint="Make it smaller.")
    turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    if picture.mode.startswith(("I", "F")):
        picture = _eight_bits(picture)
    elif picture.mode in ("LA", "PA", "La", "RGBa") or picture.info.get("transparency") is not None:
        picture = picture.convert("RGBA")
    if picture.mode == "RGBA":
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)  # weighs colours by their alpha
        picture = Image.alpha_composite(Image.new("RGBA", size, "white"), picture)
    picture = picture.convert("RGB") if picture.mode != "RGB" else picture
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if turn is not None:  # of what is a square by now
        picture = picture.transpose(Image.Transpose[turn])
    return np.asarray(picture, np.uint8)


def _eight_bits(picture: Any) -> Any:
    """A grey picture of 16 bits (Pillow keeps it as it is, and cuts at 255 when asked for 8)."""
    from PIL import Image

    values = np.asarray(picture)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 2**16 - 1:
        raise data_error("its pixels are no numbers of 8 or 16 bits", hint="Save it as png or jpg.")
    return Image.fromarray((values // 257).astype(np.uint8))


PROJECTION_FILE = "projection.npz"
"""What the file of a projection is called in a run."""


class Projection(NamedTuple):
    """Channels [D] -> fewer values [K]: less their mean, on some directions, divided by a scale."""

    mean_D: NDArray[np.float32]
    basis_DK: NDArray[np.float32]
    scale_K: NDArray[np.float32]

    def of(self, places_PD: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((places_PD - self.mean_D) @ self.basis_DK / self.scale_K, np.float32)


def read_projection(path: Path) -> Projection:
    """The projection in a ``.npz``: arrays ``mean`` [D], ``basis`` [D, K] and, where it is not 1, ``scale`` [K].

    Raises:
        UserError: it holds no such arrays of numbers (65); it cannot be read (74).
    """
    with reading(path):
        try:
            with np.load(path, allow_pickle=False) as archive:
                mean, basis = (np.asarray(archive[name], np.float32) for name in ("mean", "basis"))
                scale = np.asarray(archive["scale"], np.float32) if "scale" in archive else np.ones(1, np.float32)
        except OSError:
            raise
        except Exception as error:  # a damaged file makes numpy raise almost anything
            raise data_error(f"holds no projection: {error}", file=path) from error
    shapes = [list(one.shape) for one in (mean, basis, scale)]
    if basis.ndim != 2 or mean.shape != basis.shape[:1] or scale.shape not in ((1,), basis.shape[1:]):
        raise data_error(
            "holds no projection: mean is {}, basis {}, scale {}, not [D], [D, N] and [N]".format(*shapes), file=path
        )
    if not all(np.isfinite(one).all() for one in (mean, basis, scale)) or not scale.all():
        raise data_error("holds no projection: a value is no number, or a scale is 0", file=path)
    return Projection(mean, basis, scale)


class EfficientNetLite0(Extractor):
    config: EfficientNetLite0Config

    def __init__(self, config: EfficientNetLite0Config) -> None:
        super().__init__(config)
        self.file = None if config.projection is None else user_path(config.projection)

    @cached_property
    def projection(self) -> Projection | None:
        return None if self.file is None else read_projection(self.file)

    def prepare(self, progress: Progress | None = None) -> None:
        encoder.graph_path(progress)

    def compute(self, file: MediaFile) -> NDArray[np.float32]:
        projection = self.projection
        places_PD = encoder.encode(read_image(file)[None])[0]
        if projection is None:
            return places_PD
        if len(projection.mean_D) != places_PD.shape[1]:
            raise data_error(
                f"projects {len(projection.mean_D):,} channels, and the encoder has {places_PD.shape[1]:,}",
                file=self.file,
            )
        return projection.of(places_PD)

    def key(self) -> list[Any]:
        """With what is in the file of the projection, wherever it lies."""
        values = self.config.model_dump(exclude={"projection"})
        if self.file is not None:
            with reading(self.file):
                values["projection"] = sha256_file(self.file)
        return [values, self.config.version]

    def save(self, folder: Path) -> list[str]:
        if self.file is None:
            return []
        with suppress(shutil.SameFileError), reading(self.file):
            shutil.copyfile(self.file, folder / PROJECTION_FILE)
        return [PROJECTION_FILE]
