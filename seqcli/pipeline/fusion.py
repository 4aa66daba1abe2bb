"""Several classifiers of the same clips, each by what its own sensor saw: the mean of their probabilities (late fusion).

Shapes: N clips, K labels. Clips are told by their names: the column ``id`` of an index, else the name of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqcli.data.arrays import Columns
from seqcli.data.frame_files import SUFFIXES
from seqcli.data.media_files import is_media
from seqcli.errors import data_error, plural, usage_error
from seqcli.lines import batches, read_lines
from seqcli.pipeline.frames import frame_examples
from seqcli.pipeline.model import Model
from seqcli.tasks.base import Measured, Mistake, PairData
from seqcli.tasks.classification import Classifications, ClassificationTask, Classified

_AT_ONCE = 64


def names_of(places: Sequence[str]) -> list[str]:
    """What the clips at some ``file:line`` are called.

    Raises:
        UserError: an index whose lines have no name, or one name twice (65); a file that cannot be read (74).
    """
    names: dict[str, str] = {}
    indexes: dict[str, list[str]] = {}
    for place in places:
        file, _, line = place.rpartition(":")
        if not file or not line.isdecimal():
            file, line = place, ""
        path = PurePath(file)
        if is_media(path.name) or path.suffix.lower() in SUFFIXES:
            name = f"{path.parent.name}/{path.stem}"
        else:
            if file not in indexes:
                indexes[file] = _names(file)
            name = indexes[file][int(line) - 1]
        if name in names:
            raise data_error(f"the clip '{name}' stands there twice, first at {names[name]}", file=place)
        names[name] = place
    return [*names]


def _names(index: str) -> list[str]:
    """The name in each line of an index."""
    rows = [line.split("\t") for _, line in read_lines(index)]
    head = rows[0] if rows else []
    if "id" in head:
        column = head.index("id")
        return [row[column] if len(row) > column else "" for row in rows]
    if {"start", "length"} <= {*head} or not any(len(row) > 1 for row in rows):
        raise data_error(
            "its lines have no name by which a clip could be told from others",
            file=index,
            hint="Add a column 'id', the same in the index of each sensor.",
        )
    return [PurePath(row[0]).stem for row in rows]


def check(models: Sequence[Model[Any]]) -> None:
    """Refuse what cannot be averaged.

    Raises:
        UserError: no classifiers, of text, of other labels, or of several labels and of one (2).
    """
    first, *others = models
    for model in models:
        task = model.task
        if not isinstance(task, ClassificationTask) or task.source.unit != "frames":
            what = f"a model for {task.kind}" if not isinstance(task, ClassificationTask) else "a classifier of text"
            raise usage_error(f"--with joins classifiers of frames; {model.name} is {what}")
    for other in others:
        here, there = ({*_task(one).target.labels} for one in (first, other))
        if here != there or _task(first).target.multilabel != _task(other).target.multilabel:
            odd = next(iter(sorted(here ^ there)), "")
            raise usage_error(
                f"{other.name} knows other labels than {first.name}" + (f", such as '{odd}'" if odd else "")
            )


def measure_together(
    models: Sequence[Model[Any]], splits: Sequence[Columns], *, mistakes: bool = False
) -> tuple[Measured[Classified], list[Measured[Classified]]]:
    """All models together on the clips of their splits, which must be the same, and each of them alone.

    Raises:
        UserError: a clip that one of them has and another has not, or with another label (65).
    """
    first = _task(models[0])
    data = [_pairs(model, columns) for model, columns in zip(models, splits, strict=True)]
    rows = _matched(models, [[one.columns.place(row) for row in range(len(one.columns))] for one in data])
    golds = [_task(model).gold(one, own) for model, one, own in zip(models, data, rows, strict=True)]
    for model, gold in zip(models[1:], golds[1:], strict=True):
        for number, (here, there) in enumerate(zip(golds[0], gold, strict=True)):
            if here != there:
                place = data[0].columns.place(int(rows[0][number]))
                raise data_error(
                    f"this clip is {first.target.join(here)}, and for {model.name} {first.target.join(there)}",
                    file=place,
                )
    parts = [
        _ordered(models[0], model, _probabilities(model, one)[own])
        for model, one, own in zip(models, data, rows, strict=True)
    ]
    lengths = np.asarray(data[0].lengths)[rows[0]].tolist()
    measured = []
    for probs_NK in (np.mean(parts, axis=0), *parts):
        found = _classified(first, probs_NK, lengths)
        scorer = first.scorer()
        right = np.array(scorer.add(golds[0], found), bool)
        wrong = [
            Mistake(
                data[0].columns.place(int(row)),
                int(row),
                first.source.readable(data[0].columns["source"], row),
                gold,
                one,
            )
            for row, gold, one, is_right in zip(rows[0].tolist(), golds[0], found, right, strict=True)
            if mistakes and not is_right
        ]
        measured.append(Measured(scorer, right, wrong))
    return measured[0], measured[1:]


def predict_together(models: Sequence[Model[Any]], files: Sequence[str], *, max_line: int = 2**26) -> Classifications:
    """What all models together say of the clips in their files, one file each, in the order of the first file.

    Raises:
        UserError: more or fewer files than models (2); clips that are not the same (65); what reading them raises.
    """
    if len(files) != len(models):
        raise usage_error(
            f"{plural(len(models), 'model')} and {plural(len(files), 'file')}",
            hint="Give each model a file of its own sensor, in their order: seqcli predict A a.tsv b.tsv --with B.",
        )
    seen = [_asked(model, file, max_line) for model, file in zip(models, files, strict=True)]
    rows = _matched(models, [places for places, _, _ in seen])
    parts = [
        _ordered(models[0], model, probs_NK[own])
        for model, (_, probs_NK, _), own in zip(models, seen, rows, strict=True)
    ]
    return _classified(_task(models[0]), np.mean(parts, axis=0), seen[0][2])


def _asked(model: Model[Any], file: str, max_line: int) -> tuple[list[str], NDArray[np.float64], list[int]]:
    """``(place of each clip, probabilities [N, K], frames of each)``."""
    places: list[str] = []
    lengths: list[int] = []
    parts: list[NDArray[Any]] = []
    for block in batches(frame_examples(model, file, "strict", max_line), _AT_ONCE):
        found = model.predict_block([one.source for one in block])
        parts.append(np.stack([one.probs_K for one in found]))
        places += [one.at for one in block]
        lengths += [one.length for one in found]
    if not parts:
        raise data_error("no clip in it", file=file)
    return places, np.concatenate(parts).astype(np.float64), lengths


def _matched(models: Sequence[Model[Any]], places: Sequence[Sequence[str]]) -> list[NDArray[np.int64]]:
    """For each model the rows of its clips, in the order of the first model's; one clip each needs no name."""
    if all(len(own) == 1 for own in places):
        return [np.zeros(1, np.int64) for _ in places]
    names = [names_of(own) for own in places]
    rows_of = [{name: row for row, name in enumerate(own)} for own in names]
    for model, own, other, row_of in zip(models[1:], places[1:], names[1:], rows_of[1:], strict=True):
        missing = next((row for row, name in enumerate(names[0]) if name not in row_of), None)
        if missing is not None:
            raise data_error(f"{model.name} has no clip '{names[0][missing]}'", file=places[0][missing])
        extra = next((row for row, name in enumerate(other) if name not in rows_of[0]), None)
        if extra is not None:
            raise data_error(f"{models[0].name} has no clip '{other[extra]}'", file=own[extra])
    return [np.array([row_of[name] for name in names[0]], np.int64) for row_of in rows_of]


def _probabilities(model: Model[Any], data: PairData) -> NDArray[np.float64]:
    """Those of all labels [N, K] for each row of a split."""
    task = _task(model)
    probs_NK = np.zeros((len(data.columns), len(task.target.labels)))
    for rows in data.measuring_order(model.engine.positions):
        for row, one in zip(rows.tolist(), task.ask_batch(model.engine, data.batch(rows)), strict=True):
            probs_NK[row] = one.probs_K
    return probs_NK


def _ordered(first: Model[Any], other: Model[Any], probs_NK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities in the order of the first model's labels."""
    here, there = _task(first).target.labels, _task(other).target.labels
    return probs_NK[:, [there.index(label) for label in here]]


def _classified(task: ClassificationTask, probs_NK: NDArray[np.float64], lengths: Sequence[int]) -> Classifications:
    with np.errstate(divide="ignore"):
        return task.classified({"log_probs_BK": np.log(probs_NK)}, lengths)


def _task(model: Model[Any]) -> ClassificationTask:
    assert isinstance(model.task, ClassificationTask)
    return model.task


def _pairs(model: Model[Any], columns: Columns) -> PairData:
    data = model.task.data(columns)
    assert isinstance(data, PairData)
    return data
