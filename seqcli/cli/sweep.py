"""The verb ``sweep``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.options import Device, Json, SetValue
from seqcli.errors import ExitCode, UserError, plural, usage_error

if TYPE_CHECKING:
    from seqcli.pipeline.search_space import Space
    from seqcli.pipeline.study import Trial
    from seqcli.pipeline.sweep import Swept

EPILOG = """Examples:

\b
  seqcli sweep ner-small --set 'model.encoder.dim=25|50|100' --trials 3
  seqcli sweep my.yaml --set 'training.optimizer.lr=1e-4..1e-2' --minutes 30"""


def command(
    *,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe of seqcli or a YAML file.")],
    set_: SetValue = None,
    trials: Annotated[
        int, typer.Option(min=1, max=100_000, help="Trainings in the study, those of earlier calls counted.")
    ] = 20,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="After which no trial begins, and the one that runs is stopped.")
    ] = None,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune/--no-prune", help="Stop a trial early that is worse on dev than half of the others were."
        ),
    ] = True,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Keeps the trials; the same command goes on with it, and several processes may share it "
            "(default: sweeps/NAME.journal).",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="The best recipe (default: beside the study, .best.yaml)."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the weights of every complete trial, not of the best alone.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be searched; train nothing.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train with many values of some settings, and choose by the dev score.

    Of --set KEY=A|B|C every value is tried, of --set KEY=LOW..HIGH numbers between: by their logarithm where HIGH is 100
    times LOW or more, or where 'log' follows (1..64 log; 'linear': not so). KEY=VALUE changes the recipe for all trials.
    """
    from seqcli.cli.signals import stop_requests
    from seqcli.cli.training_display import Watch, open_display
    from seqcli.pipeline.search_space import read_space
    from seqcli.pipeline.study import require_optuna
    from seqcli.pipeline.sweep import check_sweep, sweep
    from seqcli.store.runs import Store

    if minutes is not None and not minutes > 0:
        raise usage_error(f"--minutes: no trial can be trained in {minutes:g} minutes")
    space = read_space(recipe, set_ or [])
    path = Path(study) if study else Store().root.parent / "sweeps" / f"{space.base.name}.journal"
    if path.is_dir():
        raise usage_error("a folder, and a study is a file", file=path, hint="Such as sweeps/my.journal.")
    if dry_run:
        with open_display() as display:
            check_sweep(space, path, display.progress)
        _show_space(space, trials, as_json=as_json)
        return
    require_optuna()
    best_file = _best_file(output, path, space)
    with open_display() as display, stop_requests(display.say) as should_stop:
        swept = sweep(
            space,
            path,
            trials,
            minutes=minutes,
            prune=prune,
            keep=keep,
            device=device,
            should_stop=should_stop,
            progress=display.progress,
            say=display.say,
            show=lambda trial: display.say(_said(trial, space)),
            event=Watch(display).see,
        )
    if swept.best is not None:
        _write_best(swept, best_file)
    if as_json:
        console.emit_json(_values(swept, path, best_file))
    elif swept.trials:
        _show(swept, best_file)
    _end(swept, trials)


def _best_file(output: str | None, path: Path, space: Space) -> Path:
    """Where the best recipe goes, which is known to be a place for it before anything is trained."""
    if output is None:
        return path.with_suffix(".best.yaml")
    file = Path(output)
    if file.resolve() in (path.resolve(), space.path.resolve()):
        raise usage_error("the sweep itself reads this file", file=file, hint="Name another with -o.")
    if not file.parent.is_dir():
        raise usage_error(f"there is no folder {file.parent}", file=file, hint="Make it, or name another with -o.")
    return file


def _show_space(space: Space, trials: int, *, as_json: bool) -> None:
    if as_json:
        searched = {one.key: str(one) for one in space.searched}
        console.emit_json({"searched": searched, "combinations": space.combinations, "trials": trials})
        return
    console.emit_lines(show.table([(one.key, str(one)) for one in space.searched], ("setting", "values")))
    if (count := space.combinations) is None:
        console.emit(f"{plural(trials, 'trial')}, proposed by TPE")
    elif count <= trials:
        console.emit(f"{plural(count, 'combination')}, each once")
    else:
        console.emit(f"{plural(count, 'combination')}, of which {plural(trials, 'trial')}, proposed by TPE")


def _score(space: Space) -> str:
    """What tables call the score that decides."""
    from seqcli.metrics.metric import METRICS
    from seqcli.tasks.base import new_task

    return METRICS[new_task(space.base).select_by].title


def _names(space: Space) -> dict[str, str]:
    """The shortest end of each searched key that no other has: ``lr``, ``encoder.dim`` beside ``embedder.dim``."""
    parts = {one.key: one.key.split(".") for one in space.searched}
    names: dict[str, str] = {}
    for key, own in parts.items():
        length = 1
        while length < len(own) and sum(other[-length:] == own[-length:] for other in parts.values()) > 1:
            length += 1
        names[key] = ".".join(own[-length:])
    return names


def _cell(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:#.4g}".rstrip(".")


def _settings(trial: Trial, names: dict[str, str]) -> str:
    return ", ".join(f"{name} {_cell(trial.values[key])}" for key, name in names.items())


def _said(trial: Trial, space: Space) -> str:
    """One line of a trial that is over."""
    parts = [_settings(trial, _names(space))]
    if trial.score is not None:
        parts.append(f"dev {_score(space)} {_number(trial.score)}")
    if trial.state != "complete":
        step = f" at step {trial.steps:,}" if trial.state == "pruned" else ""
        parts.append(f"{trial.state}{step}{f': {trial.reason}' if trial.reason else ''}")
    return f"trial {trial.number}: {', '.join(parts)}, {60 * (trial.minutes or 0):.0f} s"


def _show(swept: Swept, best_file: Path) -> None:
    space = swept.space
    names = _names(space)
    header = ("TRIAL", *names.values(), f"DEV {_score(space)}", "STEPS", "MINUTES", "STATE")
    rows = [
        (
            trial.number,
            *(_cell(trial.values[key]) for key in names),
            _number(trial.score),
            "" if trial.steps is None else f"{trial.steps:,}",
            "" if trial.minutes is None else f"{trial.minutes:.2f}",
            trial.state,
        )
        for trial in swept.trials
    ]
    console.emit_lines(show.table(rows, header, right=[0, *range(len(names) + 1, len(names) + 4)]))
    console.emit_lines(show.wrapped(_reasons(swept.trials)))
    if swept.importance:
        shares = ", ".join(f"{names[key]} {share:.2f}" for key, share in swept.importance.items())
        console.emit(f"what decides (fANOVA, shares of the variance): {shares}")
    if swept.best is None:
        return
    console.emit(f"best: trial {swept.best.number}, {_settings(swept.best, {key: key for key in names})}")
    console.emit(f"written to {best_file}")
    console.emit_lines(show.wrapped([swept.says]))
    console.note(f"Use it:  seqcli train {shlex.quote(str(best_file))}")
    if swept.run is not None:
        runs = shlex.quote(str(swept.run.path.parent.parent))
        console.note(f"its weights: {swept.run} --runs {runs}")


def _reasons(trials: Iterable[Trial]) -> list[str]:
    """Why trials have no end of their own, each reason once."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.reason:
            found.setdefault(f"{trial.state}: {trial.reason}", []).append(trial)
    return [
        f"{'trial' if len(some) == 1 else 'trials'} {', '.join(str(one.number) for one in some)} {reason}"
        for reason, some in found.items()
    ]


def _values(swept: Swept, path: Path, best_file: Path) -> dict[str, Any]:
    best = swept.best
    return {
        "study": str(path),
        "recipe": swept.space.base.name,
        "score": swept.score,
        "searched": {one.key: str(one) for one in swept.space.searched},
        "combinations": swept.space.combinations,
        "complete": swept.stopped is None and not swept.late,
        "trials": [asdict(trial) for trial in swept.trials],
        "importance": swept.importance,
        "best": best
        and {**asdict(best), "recipe": str(best_file), "run": None if swept.run is None else str(swept.run.path)},
        "says": swept.says,
    }


def _write_best(swept: Swept, file: Path) -> None:
    """The recipe with the settings of the best trial, its paths seen from where it lies."""
    from seqcli.files import atomic_write_text
    from seqcli.recipe.dump import dump_recipe
    from seqcli.recipe.paths import move_paths, seen_from

    assert swept.best is not None
    recipe = swept.space.recipe(swept.best.values)
    recipe = move_paths(recipe, lambda path: seen_from(path, file.parent))
    text = dump_recipe(recipe, {one.key: f"of {one}" for one in swept.space.searched})
    atomic_write_text(file, f"# {swept.says}\n{text}")


def _end(swept: Swept, trials: int) -> None:
    """Exit as the sweep ended."""
    states = [trial.state for trial in swept.trials]
    if swept.stopped is not None:
        done = len(states) - states.count("stopped") - states.count("running")
        raise UserError(
            f"stopped after {done} of {plural(trials, 'trial')}", hint="The same command goes on.", code=swept.stopped
        )
    if "running" in states:
        console.note(f"{plural(states.count('running'), 'trial')} of other processes not over yet")
    if swept.best is None:
        raise UserError(
            "no trial came to its end" + (" in the time there was" if swept.late else ""), code=ExitCode.FAILURE
        )
