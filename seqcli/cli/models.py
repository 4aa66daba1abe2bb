"""The verb ``models``: what lies in the store."""

from __future__ import annotations

import calendar
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from seqcli.cli import compare, console, show
from seqcli.cli.options import Json, Model, Runs, examples, one_of, verb_of_verbs
from seqcli.errors import UserError, UserErrors, data_error, usage_error
from seqcli.metrics.metric import metric_of
from seqcli.recipe.registry import kinds, knows
from seqcli.store.runs import Run, Store, check_removable, remove


def _examples(*lines: str) -> str:
    return examples(*(f"seqcli models {line}" for line in lines))


_TIME = "%Y-%m-%dT%H:%M:%SZ"

command = verb_of_verbs("seqcli models ls", "seqcli models pack ner@2 -o ner.tar.gz")


SORTS = ("name", "score", "size", "date", "minutes")


@command.command("ls", epilog=_examples("ls", "ls --task tagging --sort score", "ls --json | jq -r '.[].model'"))
def list_models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only the versions of this name.")] = None,
    task: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only models for this kind of task, such as tagging.")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            metavar="|".join(SORTS),
            parser=one_of("--sort", SORTS),
            help="By name, best score first (each score for itself), largest, newest or longest training first.",
        ),
    ] = "name",
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """List the models: task, state, score, size and age."""
    if task is not None and not knows("task", task):
        raise usage_error(f"--task: unknown value '{task}'", hint=f"Known: {', '.join(kinds('task'))}.")
    store = Store(runs)
    rows = [_summary(run) for run in (store.runs(_warn) if name is None else store.versions(name))]
    if task is not None:
        rows = [row for row in rows if row["task"] == task]
    if sort != "name":
        rows.sort(key=_ORDERS[sort])
    if as_json:
        console.emit_json(rows)
        return
    if not rows:
        what = ("" if name is None else f" named '{name}'") + ("" if task is None else f" for {task}")
        console.note(f"no models{what} in {store.root}")
        return
    table = [
        (
            row["model"],
            row["task"] or "-",
            row["state"],
            _score_text(row["score"]),
            show.size(row["bytes"]),
            show.age(row["modified"]),
            *([] if sort != "minutes" else ["-" if row["minutes"] is None else f"{row['minutes']:.2f}"]),
        )
        for row in rows
    ]
    header = ("MODEL", "TASK", "STATE", "SCORE", "SIZE", "AGE", *(["MINUTES"] if sort == "minutes" else []))
    console.emit_lines(show.table(table, header, right=(4, 6)))


def _by_score(row: dict[str, Any]) -> tuple[Any, ...]:
    """Models of one score together, the best first; those without a score last."""
    score = row["score"]
    if score is None:
        return True, "", 0.0
    metric = metric_of(score["name"])
    return False, score["name"], score["value"] if metric and metric.better == "lower" else -score["value"]


_ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "score": _by_score,
    "size": lambda row: -row["bytes"],
    "date": lambda row: -_seconds(row["modified"]),
    "minutes": lambda row: -(row["minutes"] or 0),
}


@command.command("show", epilog=_examples("show ner", "show ner@2 --json"))
def show_model(model: Model, runs: Runs = None, as_json: Json = False) -> None:
    """Show one model: recipe, scores, files, environment."""
    run = Store(runs).resolve(model, finished=False)
    summary = _summary(run)
    files = _files(run)
    recipe, environment, report = _recipe(run), run.environment(), run.report()
    if as_json:
        console.emit_json({**summary, "recipe": recipe, "report": report, "files": files, "environment": environment})
        return
    head = f"{run}  {summary['task'] or '-'}, {summary['state']}, {show.size(summary['bytes'])}, {run.path}"
    console.emit_lines(show.wrapped([head]))
    _section("recipe", _recipe_rows(recipe))
    _section(
        "scores",
        [
            (f"{split} {score['name']}", _number(score["value"]), score["signature"] or "")
            for split in ("dev", "test")
            if (score := _score(report, split))
        ],
    )
    _section("engine", _engine_rows(report.get("engine")))
    _section("mixture", _mixture_rows(report.get("beside")))
    _section(
        "files",
        [(file["name"], show.size(file["bytes"]), file["sha256"][:12] if file["sha256"] else "-") for file in files],
    )
    _section(
        "environment",
        [
            (key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
            for key, value in environment.items()
        ],
    )


command.command("compare", epilog=compare.EPILOG)(compare.command)


@command.command("metrics", epilog=_examples("metrics ner", "metrics ner@2 --csv > curve.csv"))
def metrics(
    model: Model,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, with all that was measured.")] = False,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Show what was measured while a model was trained, a row an evaluation."""
    from seqcli.cli.metrics_table import csv_text, table, values
    from seqcli.pipeline.curves import read_curve

    if as_csv and as_json:
        raise usage_error("--csv and --json are two forms of the same", hint="Leave one of the two out.")
    curve = read_curve(Store(runs).resolve(model, finished=False))
    if as_json:
        console.emit_json(values(curve))
    elif as_csv:
        console.write(csv_text(curve))
    else:
        console.emit_lines(table(curve))


@command.command("verify", epilog=_examples("verify", "verify ner pos@1 --json"))
def verify(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="NAME (all its versions), NAME@VERSION or a run folder; none: all."),
    ] = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Check every file of the models against its checksum; exits 65 when one is damaged or missing."""
    store = Store(runs)
    named = [store.versions(model) or [store.resolve(model, finished=False)] for model in models or ()]
    faults = {run: run.faults() for run in chain.from_iterable(named or [store.runs()])}
    rows: list[dict[str, Any]] = [
        {
            "model": str(run),
            "path": str(run.path),
            "state": _state(run, found),
            "bytes": _bytes(run.path),
            "faults": [{"file": fault.file, "message": fault.message} for fault in found],
        }
        for run, found in faults.items()
    ]
    if as_json:
        console.emit_json(rows)
    elif rows:
        table = [(row["model"], row["state"], show.size(row["bytes"]), len(row["faults"]) or "-") for row in rows]
        console.emit_lines(show.table(table, ("MODEL", "STATE", "SIZE", "FAULTS"), right=(2, 3)))
    else:
        console.note(f"no models in {store.root}")
    if found := [fault for one in faults.values() for fault in one]:
        raise UserErrors(found)


@command.command("export", epilog=_examples("export ner", "export ner@2 --fp32"))
def export(
    model: Model,
    int8: Annotated[
        bool | None,
        typer.Option(
            "--int8/--fp32",
            help="Weights in 8 bits, or as they are (default: int8 for taggers, classifiers and translators that lose "
            "next to nothing on dev by it).",
        ),
    ] = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Make what prediction runs on again, from the weights; prints its file."""
    from seqcli.cli.training_display import open_display
    from seqcli.pipeline.export import export_run

    run = Store(runs).resolve(model)
    with open_display() as display:
        done = export_run(run, "auto" if int8 is None else "int8" if int8 else "fp32", display.progress)
    if done.unmeasured is not None:
        console.warn(f"not compared with the network on data: {done.unmeasured}")
    if as_json:
        console.emit_json({"model": str(run), "file": str(done.file), "bytes": done.bytes, "engine": done.report})
        return
    console.emit(str(done.file))
    told = "; ".join(f"{name} {value}" for name, value in _engine_rows(done.report))
    console.note(f"{run}: {told}; {show.size(done.bytes)}")


@command.command("rm", epilog=_examples("rm ner@1", "rm ner@1 ner@3 --yes", "rm --stopped"))
def rm(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="A version of a model each: NAME, NAME@VERSION or a run folder."),
    ] = None,
    stopped: Annotated[
        bool,
        typer.Option("--stopped", help="All trainings that did not come to their end, and that nobody goes on with."),
    ] = False,
    runs: Runs = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove versions of models, after asking; all are looked at before the first goes."""
    if stopped == bool(models):
        raise usage_error("which models?", hint="Name versions such as ner@1, or say --stopped: one of the two.")
    store = Store(runs)
    if stopped:
        found = [
            run for run in store.runs(_warn) if run.recipe_path.is_file() and _state(run, run.faults()) == "stopped"
        ]
    else:
        found = _removable(store, models or [])
    whats = {run: _what(run) for run in found}
    if not whats:
        console.note(f"no stopped trainings in {store.root}")
        return
    what = next(iter(whats.values())) if len(whats) == 1 else f"{len(whats)} models"
    if not yes:
        if not sys.stdin.isatty():
            named = what if len(whats) == 1 else f"{what} ({', '.join(map(str, whats))})"
            raise usage_error(f"nobody to ask whether to remove {named}", hint="Say --yes.")
        if len(whats) > 1:
            for line in whats.values():
                console.say(line)
        if not typer.confirm(f"Remove {what}?", err=True):
            console.note("kept")
            return
    for run, line in whats.items():
        remove(run)
        console.note(f"removed {line}")


def _removable(store: Store, models: Sequence[str]) -> list[Run]:
    """The runs of these names, each once.

    Raises:
        UserErrors: all that cannot be removed.
    """
    found: dict[Path, Run] = {}
    errors: list[UserError] = []
    for model in models:
        try:
            run = store.resolve(model, finished=False)
            check_removable(run)
        except UserError as error:
            errors.append(error)
        else:
            found[run.path.resolve()] = run
    if errors:
        raise UserErrors(errors)
    return [*found.values()]


def _what(run: Run) -> str:
    summary = _summary(run)
    return f"{run} ({summary['state']}, {show.size(summary['bytes'])}, {run.path})"


@command.command("cp", epilog=_examples("cp ner news-tagger", "cp ner@1 ner"))
def cp(
    model: Model,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The copy becomes its next version.")],
    runs: Runs = None,
) -> None:
    """Copy a finished model; prints the name of the copy."""
    from seqcli.store.archive import copy

    store = Store(runs)
    console.emit(str(copy(store.resolve(model), store, name)))


@command.command("pack", epilog=_examples("pack ner", "pack ner@2 -o ner.tar.gz"))
def pack(
    model: Model,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The archive (default: NAME-VERSION.tar.gz here)."),
    ] = None,
    runs: Runs = None,
) -> None:
    """Pack a finished model into one portable file."""
    from seqcli.store import archive

    run = Store(runs).resolve(model)
    out = output or Path(f"{run.name}-{run.version}.tar.gz" if run.version else f"{run.name}.tar.gz")
    if out.exists():
        raise usage_error("there already, so it stays", file=out, hint="Name another file with -o, or remove it.")
    packed = archive.pack(run, out)
    console.emit(str(out))
    console.note(f"{run}: {len(packed.files)} files, {show.size(out.stat().st_size)}")


@command.command("unpack", epilog=_examples("unpack ner-2.tar.gz", "unpack ner-2.tar.gz --name colleague"))
def unpack(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="An archive that 'seqcli models pack' made.")],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name to give it (default: the one it was packed under)."),
    ] = None,
    max_size: Annotated[int, typer.Option(min=1, metavar="BYTES", help="Refuse what unpacks to more.")] = 4 * 2**30,
    runs: Runs = None,
) -> None:
    """Unpack a model, checked byte for byte; prints its name."""
    from seqcli.store import archive as archives

    console.emit(str(archives.unpack(archive, Store(runs), name, max_bytes=max_size)))


def _warn(error: UserError) -> None:
    console.warn(str(error))


def _summary(run: Run) -> dict[str, Any]:
    """One row of the list, as JSON."""
    faults = run.faults(size_only=True)
    for fault in faults:
        console.warn(str(fault))
    try:
        report = run.report()
    except UserError:  # one of the faults
        report = {}
    task = report.get("task") or _task_of_recipe(run)
    return {
        "model": str(run),
        "name": run.name,
        "version": run.version,
        "path": str(run.path),
        "task": task if isinstance(task, str) else None,
        "state": _state(run, faults),
        "score": _best(report),
        "minutes": minutes if isinstance(minutes := report.get("minutes"), int | float) else None,
        "bytes": _bytes(run.path),
        "modified": _modified(run),
    }


def _task_of_recipe(run: Run) -> Any:
    """The kind of task of a training that has no report yet."""
    try:
        return _part(_recipe(run), "task").get("kind")
    except (OSError, UserError):
        return None


def _state(run: Run, faults: Sequence[UserError]) -> str:
    return "damaged" if faults else "finished" if run.finished else "training" if run.in_use else "stopped"


def _best(report: dict[str, Any]) -> dict[str, Any] | None:
    """The score that speaks for the model: that of the test set, else of dev, with its signature."""
    return _score(report, "test") or _score(report, "dev")


def _score(report: dict[str, Any], split: str) -> dict[str, Any] | None:
    score = report.get(split)
    if not isinstance(score, dict) or not isinstance(score.get("value"), int | float):
        return None
    return {"split": split, **{key: score.get(key) for key in ("name", "value", "signature")}}


def _files(run: Run) -> list[dict[str, Any]]:
    sealed = run.verify().files if run.finished else {}
    return [
        {
            "name": path.name,
            "bytes": path.lstat().st_size,
            "sha256": sealed[path.name].sha256 if path.name in sealed else None,
        }
        for path in sorted(run.path.iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]


def _recipe(run: Run) -> dict[str, Any]:
    """The recipe as plain data, for looking at only: a downloaded one may be of another version."""
    import yaml

    if not run.recipe_path.is_file():
        return {}
    text = run.recipe_path.read_bytes()[: 2**20]
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise data_error("an alias, which a filled-in recipe has no use for", file=run.recipe_path)
        recipe = json.loads(json.dumps(yaml.safe_load(text), default=str, allow_nan=False))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise data_error(f"not a recipe: {' '.join(str(error).split())}", file=run.recipe_path) from error
    if not isinstance(recipe, dict):
        raise data_error("not a recipe: no mapping", file=run.recipe_path)
    return recipe


def _recipe_rows(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """The choices that tell one recipe from another: each component's kind and its plain settings."""
    source, model, training, data = (_part(recipe, name) for name in ("source", "model", "training", "data"))
    parts = {
        "description": recipe.get("description"),
        "task": recipe.get("task"),
        "data": data.get("corpus") or data.get("train"),
        "source": source,
        "tokenizer": source.get("tokenizer"),
        "target": recipe.get("target"),
        "model": model,
        **{part: model.get(part) for part in ("embedder", "encoder", "pooling", "head")},
        "seed": training.get("seed"),
    }
    if model.get("kind", "network") == "network":
        parts |= {"optimizer": training.get("optimizer"), "schedule": training.get("schedule")}
    return [(name, _component(value)) for name, value in parts.items() if value not in (None, "", {})]


def _engine_rows(engine: object) -> list[tuple[str, str]]:
    """What runs the network, how far its outputs are from the network's, and what each precision scores on dev."""
    if not isinstance(engine, dict):
        return []
    rows = [("kind", str(engine.get("kind"))), ("precision", str(engine.get("precision")))]
    if isinstance(difference := engine.get("difference"), float):
        rows.append(("difference", f"{difference:.2g}"))
    if isinstance(same := engine.get("same_tokens"), float):
        rows.append(("same tokens", f"{same:.1f}%"))
    dev = _part(engine, "dev")
    return [
        *rows,
        *(
            (f"{precision} dev {dev.get('score')}", _number(dev[precision]))
            for precision in ("fp32", "int8")
            if precision in dev
        ),
    ]


def _mixture_rows(beside: object) -> list[tuple[str, str]]:
    """The network and what is beside it: how much each counts, and how good each is alone."""
    rows = []
    for one in beside if isinstance(beside, list) else ():
        alone = f", dev loss alone {one['dev_loss']:.4f}" if "dev_loss" in one else ""
        rows.append((str(one["model"]), f"share {one['share']:.2f}{alone}"))
    return rows


def _part(recipe: dict[str, Any], name: str) -> dict[str, Any]:
    value = recipe.get(name)
    return value if isinstance(value, dict) else {}


def _component(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    settings = [
        key if setting is True else f"{key} {setting}"
        for key, setting in value.items()
        if key != "kind" and isinstance(setting, int | float | str) and setting is not False
    ]
    return ", ".join([str(value.get("kind", "-")), *settings])


def _section(title: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        lines = show.table(rows, right=(1,) if title in ("scores", "files") else (), indent="  ")
        console.emit_lines(["", title, *lines])


def _bytes(folder: Path) -> int:
    """Bytes of everything in a folder; links count as themselves."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # a checkpoint of a training that goes on
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def _modified(run: Run) -> str:
    """When the run was finished, or last touched: UTC, ISO 8601."""
    path = run.report_path if run.report_path.is_file() else run.path
    return time.strftime(_TIME, time.gmtime(path.stat().st_mtime))


def _seconds(modified: str) -> int:
    return calendar.timegm(time.strptime(modified, _TIME))


def _score_text(score: dict[str, Any] | None) -> str:
    return f"{score['split']} {score['name']} {_number(score['value'])}" if score else "-"


def _number(value: float) -> str:
    return format(value, ".4g") if isinstance(value, float) else str(value)
