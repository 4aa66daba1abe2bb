"""What carried the decision of a classifier."""

from __future__ import annotations

from typing import Any, NamedTuple

from seqcli.fields.text import TextField
from seqcli.pipeline.model import Model
from seqcli.tasks.classification import ClassificationTask, Classified, LabelCounts


class Explained(NamedTuple):
    """One sequence, classified, and what carried its most probable label: ``shares`` [T] belong to ``positions``.

    Positions past the model's ``max_length`` are not among them.
    """

    classified: Classified
    positions: list[str]
    shares: list[float]


def explain(model: Model[Classified], item: Any) -> Explained:
    """Classify a line of text, a list of tokens or an array of frames, and say what carried the decision."""
    task = model.task
    assert isinstance(task, ClassificationTask)
    raw = task.source.read(item, "")
    (seen,) = task.pieces(raw)
    side = task.source.side([seen])
    (classified,) = task.classified(model.engine.outputs(side), [len(raw)])
    label = int(classified.probs_K.argmax())
    if isinstance(model.engine, LabelCounts):
        shares = model.engine.model.contributions(side.arrays["values"])[:, label].tolist()
    else:
        from seqcli.inspect.attribution import attribution

        shares = attribution(model.network, side, label, exclusive=not task.target.multilabel).tolist()
    positions = list(seen) if isinstance(task.source, TextField) else [str(frame) for frame in range(len(seen))]
    return Explained(classified, positions, shares)
