"""A user's own files in place of a recipe's data: which file is which split, and how much is kept for development."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from seqcli.data.corpus import SPLITS, open_corpus
from seqcli.errors import UserError, usage_error
from seqcli.recipe.data import DataConfig
from seqcli.recipe.dump import format_value
from seqcli.recipe.schema import Recipe
from seqcli.tasks.base import new_task

ONLY_DEV = "no test file: the score at the end is that of dev, which also chose the best step, so it is a little kind"

_NAMED = {
    "dev": re.compile(r"(?<![a-z])(dev|devel|val|valid|validation|testa)(?![a-z])"),
    "test": re.compile(r"(?<![a-z])(test|testb|eval)(?![a-z])"),
}
_SHARES = ((500, 0.2), (20_000, 0.1))
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class OwnData:
    """``override``: the ``data`` section, as ``--set`` takes it; ``remarks``: what was decided, a line each."""

    override: str
    remarks: list[str]


def own_data(load: Callable[[Sequence[str]], Recipe], files: Sequence[str], overrides: Sequence[str]) -> OwnData:
    """The data section that puts files in place of those of a recipe.

    Args:
        load: gives the recipe with overrides.

    Raises:
        UserError: more than three files (2); what ``load`` raises.
    """
    section = settings_for_other_files(load(overrides).data)
    splits = splits_of(files)
    section |= splits
    remarks = [f"data: {', '.join(f'{name} {file}' for name, file in splits.items())}"]
    if "dev" not in splits:
        changed = load([data_override(section), *overrides])
        task = new_task(changed)
        if task.has_series:
            steps = _steps(changed, "test" not in splits)
            if steps:
                shares = " and ".join(f"{count:,} steps for {name.partition('_')[0]}" for name, count in steps.items())
                remarks.append(f"of the end of each series {shares} (data.dev_steps, data.test_steps)")
            return OwnData(data_override(section | steps), remarks)
        if changed.data.dev is None and changed.data.dev_share is None:
            corpus = open_corpus(changed.data, splits=("train",), plain=task.plain_text)
            try:
                count = sum(1 for _ in islice(corpus.examples("train"), _SHARES[-1][0]))
            except UserError:  # the training says it better
                count = _SHARES[0][0]
            section["dev_share"] = share = dev_share(count)
            remarks.append(f"no dev file: {share:.0%} of {splits['train']} is kept for development (data.dev_share)")
    if "test" not in splits:
        remarks.append(ONLY_DEV)
    return OwnData(data_override(section), remarks)


def _steps(recipe: Recipe, with_test: bool) -> dict[str, int]:
    """How many steps at the end of each series are kept, a tenth of the shortest, where nobody says; at least those of one
    example."""
    data = recipe.data
    if data.dev is not None or data.dev_steps is not None or data.train_steps is not None:
        return {}
    corpus = open_corpus(data, splits=("train",), series=True)
    try:
        length = min(len(example.source) for example in islice(corpus.examples("train"), _SHARES[-1][0]))
    except UserError:  # the training says it better
        return {}
    count = max(dict(recipe.task).get("steps", 1), length // 10)
    return {"dev_steps": count, **({"test_steps": count} if with_test else {})}


def settings_for_other_files(data: DataConfig) -> dict[str, object]:
    """What a recipe says of its data that holds for other files too.

    What it says of its own files (format, columns) does; what it says of a data set of the catalogue goes with that.
    Limits of length stay.
    """
    kept = ("max_length", "max_line") if data.corpus else type(data).model_fields
    return {
        name: value
        for name, value in data
        if name in kept and name in data.model_fields_set and name not in (*SPLITS, "dev_share")
    }


def data_override(section: dict[str, object]) -> str:
    """The section as ``--set`` takes it."""
    return f"data={format_value(section)}"


def splits_of(files: Sequence[str]) -> dict[str, str]:
    """Which split each of one to three files is: train, dev, test in this order, unless names say otherwise.

    Raises:
        UserError: more than three files (2).
    """
    if len(files) > len(SPLITS):
        raise usage_error(
            f"{len(files)} files where there are at most three: train, dev, test",
            hint=f"Several files of one split: --set 'data.train=[{files[0]}, {files[1]}]'.",
        )
    named = [split for file in files[1:] for split in SPLITS[1:] if _NAMED[split].search(Path(file).name.lower())]
    rest = named if len(named) == len({*named}) == len(files) - 1 else SPLITS[1:]
    return {"train": files[0], **dict(zip(rest, files[1:], strict=False))}


def dev_share(examples: int) -> float:
    """The share of so many training examples that is kept for development where there is no dev file."""
    return next((share for most, share in _SHARES if examples < most), _LEAST_SHARE)
