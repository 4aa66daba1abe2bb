"""Training of a model that is not made by gradients: counts, or another library's trainer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from seqcli.data.arrays import Split
from seqcli.errors import ExitCode, UserError
from seqcli.files import atomic_write_text
from seqcli.pipeline.environment import environment
from seqcli.pipeline.events import Finished, Notice, Prepared
from seqcli.pipeline.measure import measure
from seqcli.pipeline.notices import data_notices
from seqcli.pipeline.prepare import Progress, kept_recipe
from seqcli.pipeline.report import discard, write_report
from seqcli.recipe.dump import dump_recipe
from seqcli.recipe.schema import Recipe
from seqcli.store.runs import Run
from seqcli.tasks.checks import idle_options
from seqcli.training.checkpoint import save_weights


def fit(
    recipe: Recipe,
    task: Any,
    splits: dict[str, Split],
    run: Run,
    should_stop: Callable[[], ExitCode | None],
    progress: Progress | None,
) -> Iterator[Notice | Prepared | Finished]:
    """Fit the model of a `seqcli.tasks.base.FittedTask`, measure it, and leave a finished run.

    There are no steps to save between: what ends early leaves nothing behind.
    """
    began = time.monotonic()
    try:
        torch.manual_seed(recipe.training.seed)
        task.fit(splits["train"])
        data = {name: task.data(split) for name, split in splits.items()}
        atomic_write_text(run.recipe_path, dump_recipe(kept_recipe(recipe)))
        files = task.save(run.path)
        atomic_write_text(
            run.environment_path,
            json.dumps(environment(torch.device("cpu"), "fp32", recipe.training.seed), indent=2) + "\n",
        )
        counts = {
            name: {"examples": len(split), "tokens": int(data[name].lengths.sum())} for name, split in splits.items()
        }
        yield from data_notices(recipe, task, data)
        yield Prepared(recipe, str(run), str(run.path), counts, task.summary(), 0, "cpu", "fp32", 0, 0)

        if idle := idle_options(recipe, task.used):
            named = ", ".join(f"training.{name}" for name in idle)
            yield Notice(f"nothing here is trained in steps, so these have no effect: {named}")

        def told(done: int, total: int) -> None:
            if (code := should_stop()) is not None:
                raise UserError("stopped; a model that is fitted in one go leaves nothing to go on from", code=code)
            if progress is not None:
                progress(f"fitting {recipe.name}", done, total)

        weights = task.fit_weights(data, told)
        save_weights(run.weights_path, weights)
        minutes = (time.monotonic() - began) / 60
        model = task.model_of(weights)
        measured: dict[str, Any] = {
            name: measure(task, model, data[name], torch.device("cpu"))
            for name in ("dev", "test")
            if name in data and hasattr(task, "scorer")
        }
        scores: dict[str, Any] = {name: scorer.score().as_json() for name, scorer in measured.items()}
        baselines = task.baselines(data, measured)
        report = write_report(
            run,
            recipe,
            task,
            scores,
            minutes=minutes,
            files=files,
            more={
                "parameters": sum(weight.numel() for weight in weights.values()),
                "device": "cpu",
                "precision": "fp32",
                **({"baselines": baselines} if baselines else {}),
            },
        )
    except (UserError, KeyboardInterrupt):
        discard(run)
        raise
    yield Finished(str(run), str(run.path), report)
