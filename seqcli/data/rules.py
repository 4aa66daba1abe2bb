"""What a recipe has to keep to for its data to be found."""

from __future__ import annotations

from seqcli.data.catalogue import data_sets, known_names
from seqcli.recipe.rule import Rule

KNOWN_CORPUS = Rule(
    "data.corpus",
    lambda recipe: recipe.data.corpus not in (None, *data_sets()),
    lambda recipe: f"no data set is called '{recipe.data.corpus}'",
    lambda recipe: known_names(recipe.data.corpus),
)
"""For a recipe that is to be trained: a model whose data set is not in the catalogue any more is as good as ever."""
