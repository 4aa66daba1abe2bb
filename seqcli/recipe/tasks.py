"""Task sections: what a recipe learns to do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seqcli.recipe.base import Component

Scheme = Literal["io", "iob1", "bio", "bioes", "bilou"]


class TaggingConfig(Component):
    """One tag for each token: parts of speech, named entities."""

    kind: Literal["tagging"] = "tagging"
    scheme: Scheme | None = Field(
        None, description="tag scheme of the data when tags mark spans (scores are then span F1); "
        "null when each tag stands alone (scores are then accuracy)")
    model_scheme: Scheme | None = Field(
        None,
        description="scheme the model learns in; the data is converted to it and predictions back (default: scheme)")
    labels: Literal["all", "binary"] = Field(
        "all", description="binary: every span becomes one and the same label, entity or not")
