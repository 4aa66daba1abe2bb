"""Whether a media file can be read from its beginning to its end, whatever features a recipe makes of it."""

from __future__ import annotations

from seqcli.data.example import MediaFile
from seqcli.data.media_files import SUFFIXES, is_media
from seqcli.media.features import named_at
from seqcli.recipe.features import Media


def check_media(file: MediaFile, at: str, media: Media | None = None) -> None:
    """Decode a file and keep nothing of it.

    Args:
        at: where it is named.
        media: what it is; None goes by its name, and takes one that says nothing for a recording.

    Raises:
        UserError: as `Extractor.read`.
    """
    with named_at(file, at):
        match media or media_of(file):
            case "image":
                from seqcli.media.image import read_image

                read_image(file)
            case "video":
                from seqcli.media.video import read_video

                for _ in read_video(file, 1.0, 8, 8):
                    pass
            case _:
                from seqcli.media.audio import read_blocks

                for _ in read_blocks(file, None):
                    pass


def media_of(file: MediaFile) -> Media:
    """What a file is by its name."""
    return next((media for media, suffixes in SUFFIXES.items() if is_media(file.path.name, suffixes)), "audio")
