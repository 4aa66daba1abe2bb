"""What a sequence is made of, for tasks that take text or frames: from encoded fields to the inputs of an embedder.

Shapes: B sequences, T positions, D channels of a frame.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqcli.data.arrays import Field, Split
from seqcli.errors import usage_error
from seqcli.models.embedders import InputSizes
from seqcli.recipe.embedders import FramesConfig, TokensConfig
from seqcli.recipe.schema import Recipe
from seqcli.tasks.checks import require_text
from seqcli.tasks.labelled import (
    FRAMES_FILE,
    LabelledFrames,
    LabelledText,
    check_channels,
    read_channels,
    write_channels,
)
from seqcli.tasks.tokens import TokenEncoder, TokenInputs, load_vectors

_AT_ONCE = 2**18


class TextSource:
    """Tokens of a text."""

    field = "token"
    unit = "tokens"

    def __init__(self, recipe: Recipe) -> None:
        require_text(recipe)
        assert recipe.text is not None
        self.text = recipe.text
        self.max_length = recipe.data.max_length
        embedder = recipe.model.embedder
        self.embedder = embedder if isinstance(embedder, TokensConfig) else TokensConfig.model_validate({})
        self.encoder: TokenEncoder
        self.tokenizer_model: Path | None = None

    def pieces(self, separator: str | None) -> LabelledText:
        """Turns an example into its tokens and labels."""
        return LabelledText(self.text.tokenizer, self.tokenizer_model, separator, self.max_length)

    def fit(self, train: Split) -> None:
        """The vocabulary of the training split."""
        self.encoder = TokenEncoder.fit(self.text, self.embedder, train.fields["token"])

    def save(self, folder: Path) -> list[str]:
        """The vocabularies, and the tokenizer's model where there is one."""
        names = self.encoder.save(folder)
        if self.tokenizer_model is None:
            return names
        shutil.copyfile(self.tokenizer_model, folder / "tokenizer.model")
        return [*names, "tokenizer.model"]

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.encoder = TokenEncoder.load(self.text, self.embedder, folder)
        model = folder / "tokenizer.model"
        self.tokenizer_model = model if model.exists() else None

    def sizes(self) -> InputSizes:
        """What the embedder must know."""
        return self.encoder.sizes()

    def initialise(self, embedder: nn.Module) -> None:
        """Copy pretrained vectors in where the recipe names some."""
        if self.embedder.vectors is not None:
            table = cast(nn.Embedding, embedder.words).weight
            load_vectors(self.embedder, self.encoder, table)
            table.requires_grad_(not self.embedder.vectors.freeze)

    def inputs(self, split: Split) -> TokenInputs:
        """The inputs of a split."""
        return TokenInputs(self.encoder, split.fields["token"])

    def readable(self, split: Split, row: int, *, known: bool = False) -> str:
        """The tokens of an example; with ``known`` as the model sees them."""
        tokens = split.fields["token"]
        words = [tokens.symbols[token] for token in tokens.sequence(row)]
        if known:
            vocabulary = self.encoder.features.words
            words = vocabulary.decode(self.encoder.types(words).words.tolist())
        return " ".join(words)

    def summary(self) -> dict[str, Any]:
        """Words in the vocabulary."""
        return {"words": len(self.encoder.features.words)}


class FrameSource:
    """Frames of real numbers; the mean and the deviation of each channel come from the training split."""

    field = "frames"
    unit = "frames"

    def __init__(self, recipe: Recipe) -> None:
        if recipe.text is not None:
            raise usage_error(
                "text: this recipe reads frames, and frames have no tokens", hint="Take the section text out."
            )
        self.config = recipe.model.embedder
        self.missing = getattr(recipe.model.embedder or recipe.model.encoder, "missing", "refuse") == "mask"
        self.max_length = recipe.data.max_length
        self.channels = 0
        self.scaling: tuple[Tensor, Tensor] | None = None

    def pieces(self, separator: str | None) -> LabelledFrames:
        """Turns an example into its frames and labels."""
        return LabelledFrames(self.missing, separator, self.max_length)

    def fit(self, train: Split) -> None:
        """Channels and scaling of the training split."""
        field = train.fields["frames"]
        self.channels = FrameInputs(field).channels
        if isinstance(self.config, FramesConfig) and self.config.scaling == "standard":
            self.scaling = scaling_of(field)

    def save(self, folder: Path) -> list[str]:
        """``frames.json``: the number of channels; the scaling is part of the model."""
        write_channels(folder, self.channels)
        return [FRAMES_FILE]

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.channels = read_channels(folder)

    def sizes(self) -> InputSizes:
        """What the embedder must know."""
        return InputSizes(frame_dim=self.channels)

    def initialise(self, embedder: nn.Module) -> None:
        """Put the scaling in."""
        if self.scaling is not None:
            embedder.scale_by(*self.scaling)  # type: ignore[operator]

    def inputs(self, split: Split) -> FrameInputs:
        """The inputs of a split.

        Raises:
            UserError: frames of another number of channels than the model's (65).
        """
        inputs = FrameInputs(split.fields["frames"])
        check_channels(inputs.channels, self.channels, ", ".join(split.files))
        return inputs

    def readable(self, split: Split, row: int, *, known: bool = False) -> str:
        """How many frames of how many channels."""
        return f"{split.fields['frames'].lengths_of(np.array([row]))[0]} frames of {self.channels} channels"

    def summary(self) -> dict[str, Any]:
        """Channels of a frame."""
        return {"channels": self.channels}


class FrameInputs:
    """The frames of a split."""

    def __init__(self, frames: Field) -> None:
        self.frames = frames

    @property
    def channels(self) -> int:
        """Values a frame."""
        return int(np.asarray(self.frames.values[:1]).shape[1])

    def inputs(self, rows: NDArray[np.int64]) -> tuple[dict[str, Tensor], NDArray[np.int64]]:
        """``(inputs, lengths [B])`` of the examples in these rows."""
        lengths = self.frames.lengths_of(rows)
        return {"frames_BTD": pad_frames([self.frames.sequence(int(row)) for row in rows])}, lengths


def pad_frames(sequences: list[NDArray[np.float32]]) -> Tensor:
    """Sequences [T, D] -> [B, T, D], right-padded with zeros."""
    longest = max(1, *(len(frames) for frames in sequences))
    padded = np.zeros((len(sequences), longest, sequences[0].shape[1]), np.float32)
    for row, frames in enumerate(sequences):
        padded[row, : len(frames)] = frames
    return torch.from_numpy(padded)


def scaling_of(frames: Field) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [D] of each channel over all frames; a channel that never changes has deviation 1."""
    total = len(frames.values)
    count = sums = squares = np.zeros(1)
    shift = np.nan_to_num(np.asarray(frames.values[:1], np.float64)).reshape(-1) if total else np.zeros(1)
    for start in range(0, total, _AT_ONCE):
        values = np.asarray(frames.values[start : start + _AT_ONCE], np.float64) - shift
        count = count + (~np.isnan(values)).sum(0)
        sums = sums + np.nansum(values, axis=0)
        squares = squares + np.nansum(values**2, axis=0)
    count = np.maximum(count, 1)
    mean = sums / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    deviation[deviation <= 1e-7 * np.abs(mean + shift)] = 1  # what is left is rounding; 0 is not above 0 either
    return (torch.from_numpy((mean + shift).astype(np.float32)), torch.from_numpy(deviation.astype(np.float32)))


Source = TextSource | FrameSource
