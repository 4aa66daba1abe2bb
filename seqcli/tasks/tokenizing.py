"""What turns the text of examples into tokens in the workers that encode. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seqcli.recipe.base import Component
from seqcli.text.tokenizers import Tokenizer, tokenizer_of


@dataclass(frozen=True)
class Tokenizing:
    """A tokenizer that is built where it is first used, anew in each worker; ``model`` is the file that some need."""

    tokenizer: Component
    model: Path | None

    @cached_property
    def built(self) -> Tokenizer:
        """The tokenizer."""
        return tokenizer_of(self.tokenizer, self.model)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the built tokenizer."""
        return {name: value for name, value in self.__dict__.items() if name != "built"}
