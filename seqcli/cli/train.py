"""The verb ``train``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import console, show
from seqcli.cli.options import Device, Json, Runs, SetValue, TakesSeveral
from seqcli.errors import usage_error

if TYPE_CHECKING:
    from pathlib import Path

    from seqcli.pipeline.events import Finished
    from seqcli.recipe.schema import Recipe
    from seqcli.store.runs import Run

EPILOG = """Examples:

\b
  seqcli train ner
  seqcli train ner --data train.conll dev.conll test.conll --name mine
  seqcli train --from ner --data train.conll dev.conll --name mine
  seqcli train ner --plot curve.png
  seqcli train ner-small --seeds 5 --jobs 2"""

KIND = TakesSeveral


def command(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECIPE]",
            help="A recipe of seqcli ('seqcli recipes ls') or a YAML file; with --from the model's own by default.",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="TRAIN [DEV] [TEST]...",
            help="Your own files in place of the recipe's data; without DEV a share of TRAIN is kept for it.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What the model is called (default: as the recipe).")] = (
        None
    ),
    set_: SetValue = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="MODEL", help="Start from a trained model: what it knows, and the weights that fit."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest unfinished training of it.")] = False,
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            help="Train so many versions, with seeds that count up from the recipe's, and say how far their scores differ; "
            "--resume then trains what is missing.",
        ),
    ] = 1,
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Of --seeds: so many trainings at once, each a process with its share of the threads (OMP_NUM_THREADS; "
            "another number of them gives other weights).",
        ),
    ] = 1,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show shapes, parameters, the first batch and the memory it takes; train nothing."
        ),
    ] = False,
    runs: Runs = None,
    device: Device = "auto",
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard files (needs the extra 'tensorboard').")
    ] = False,
    plot: Annotated[
        str | None,
        typer.Option("--plot", metavar="FILE", help="Draw loss and score at the end: .png, .svg or .pdf (matplotlib)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a model from a recipe."""
    from seqcli.store.runs import Store
    from seqcli.training.distributed import World

    if recipe is None and from_ is None:
        raise usage_error(
            "which recipe?",
            hint="It comes before --data, or alone: seqcli train ner. 'seqcli recipes ls' lists ours; --from MODEL takes "
            "that of a trained model.",
        )
    _check(resume=resume, dry_run=dry_run, seeds=seeds, jobs=jobs, plot=plot)
    picture = None
    if plot is not None:
        from seqcli.cli.pictures import check_picture

        picture = check_picture("--plot", plot)
    world = World.of_environment()
    if world.rank:  # the first process speaks for all
        console.settings.quiet, console.settings.verbose = True, False
    again = [*([] if recipe is None else [recipe]), *(["--data", *data] if data else [])]
    again += [*(["--name", name] if name else []), *(word for change in set_ or [] for word in ("--set", change))]
    again += (["--runs", runs] if runs else []) + ([] if device == "auto" else ["--device", device])
    again += ["--plot", plot] if plot else []
    again += (["--seeds", str(seeds)] if seeds > 1 else []) + (["--jobs", str(jobs)] if jobs > 1 else [])
    if seeds > 1 and world.size > 1:
        raise usage_error("--seeds is for one process, and torchrun started several", hint="Use --jobs instead.")
    with world.joined(device):
        store, origin = Store(runs), None
        if from_ is not None:
            origin = store.resolve(from_)
            again += ["--from", from_ if "/" in from_ else str(origin)]
        loaded = _recipe(recipe, data, name, set_ or [], origin)
        if dry_run:
            if world.rank == 0:
                _dry_run(loaded, device, origin, as_json)
            return
        if seeds > 1:
            from seqcli.cli.train_seeds import train_seeds

            train_seeds(
                loaded,
                seeds,
                store,
                source=shlex.join(again),
                jobs=jobs,
                resume=resume,
                device=device,
                origin=origin,
                tensorboard=tensorboard,
                picture=picture,
                as_json=as_json,
            )
            return
        from seqcli.cli.signals import stop_requests
        from seqcli.cli.training_display import open_display
        from seqcli.pipeline.train import train

        finished: Any = None  # the last event, where this process is told of any
        with (
            open_display(tensorboard=tensorboard and world.rank == 0) as display,
            stop_requests(display.say) as should_stop,
        ):
            for finished in train(
                loaded,
                store,
                resume=resume,
                device=device,
                source=shlex.join(again),
                origin=origin,
                should_stop=should_stop,
                progress=display.progress,
                world=world,
            ):
                display.show(finished)
    if finished is None:
        return
    if as_json:
        console.emit_json(finished.report)
    else:
        _show_result(finished, runs)
    if picture is not None:
        draw_curves([Store().resolve(finished.folder)], picture)


def _check(*, resume: bool, dry_run: bool, seeds: int, jobs: int, plot: str | None) -> None:
    """Refuse options that do not go together."""
    if jobs > 1 and seeds == 1:
        raise usage_error("--jobs is of several trainings", hint="Say how many: --seeds 5.")
    nothing = {"so there is nothing to --resume": resume, "with any of the --seeds": seeds > 1}
    nothing["so there is no curve to --plot"] = plot is not None
    for why, is_asked in nothing.items():
        if dry_run and is_asked:
            raise usage_error(f"--dry-run trains nothing, {why}", hint="Leave one of the two out.")


def draw_curves(runs: list[Run], picture: Path) -> None:
    """The curves of trainings that have just ended; models that are fitted in one go have none."""
    from seqcli.cli.pictures import save_picture
    from seqcli.cli.plot import curve_view

    if not all("best_step" in run.report() for run in runs):
        console.warn("there is no curve to draw: the model was counted or fitted in one go, not trained in steps")
        return
    save_picture(curve_view(runs).draw(), picture)
    console.note(f"drawn in {picture}")


def _recipe(
    recipe: str | None, data: list[str] | None, name: str | None, changes: list[str], origin: Run | None
) -> Recipe:
    """The recipe with what the options change of it; what was decided about the data is said."""
    from seqcli.pipeline.origin import recipe_to_train
    from seqcli.pipeline.own_data import own_data
    from seqcli.store.runs import check_name

    if name is not None:
        check_name(name)
        changes = [f'name="{name}"', *changes]
    if data:
        own = own_data(lambda overrides: recipe_to_train(recipe, overrides, origin), data, changes)
        changes = [own.override, *changes]
        for remark in own.remarks:
            console.note(remark)
    return recipe_to_train(recipe, changes, origin)


USES = {
    "tagging": "echo 'some text' | seqcli predict {run}",
    "classification": "echo 'some text' | seqcli predict {run} --scores",
    "translation": "echo 'some text' | seqcli translate {run}",
    "captioning": "seqcli caption {run} photo.jpg",
    "forecasting": "seqcli forecast {run} FILE",
    "imputation": "seqcli impute {run} FILE",
    "language-model": "seqcli sample {run} --temperature 0.8",
    "word-vectors": "seqcli neighbors {run} WORD",
}
"""What to do with a model of each task."""


def _show_result(finished: Finished, runs: str | None) -> None:
    report = finished.report
    split = "test" if "test" in report else "dev"
    if split != "dev" and "dev" in report and "best_step" not in report:  # of steps the table has shown it
        _show_score("dev", report["dev"])
    if split in report and "steps" in report[split]["counts"]:
        from seqcli.cli.series_table import score_lines

        compared = [{"model": one["model"], "score": one[split]} for one in report.get("baselines", ())]
        console.emit_lines(show.wrapped(score_lines(f"{finished.run}", report[split], compared)))
        console.emit()
    elif split in report:
        score = report[split]
        _show_score(split, score)
        for other in score["counts"].get("also", ()):
            _show_score(split, other)
        if "bits_per_character" in (counts := score["counts"]):
            loss, bits = (_number(counts[name], 4) for name in ("loss", "bits_per_character"))
            console.emit(f"{loss} nats a token, {bits} bits a character")
        for entry in report.get("baselines", []):
            console.emit_lines(show.wrapped(_compared(entry, split)))
    took = show.duration(report["minutes"])
    console.emit(f"{finished.run} in {finished.folder}: {took}, {report['parameters']:,} parameters")
    if engine := report.get("engine"):
        console.note(_engine_line(engine))
    use = USES.get(report["task"], "seqcli predict {run}")
    if report.get("input") == "frames":
        use = "seqcli predict {run} FILE --scores"
    where = f" --runs {shlex.quote(runs)}" if runs else ""
    console.note("Use it:  " + use.format(run=finished.run) + where)


def _show_score(split: str, score: dict[str, Any]) -> None:
    console.emit(f"{split} {score['name']} = {_number(score['value'], 2)} ({score['signature']})")


def _engine_line(engine: dict[str, Any]) -> str:
    """What runs the model, how far it is from the network, and what eight bits cost on dev."""
    text = f"Engine: {engine['kind']} {engine['precision']}"
    if engine.get("difference") is not None:
        text += f", at most {engine['difference']:.1e} from the network"
    if engine.get("same_tokens") is not None:
        text += f", {engine['same_tokens']:.1f}% of dev written alike"
    if dev := engine.get("dev"):
        text += f"; dev {dev['score']} {dev['fp32']:.2f} in fp32, {dev['int8']:.2f} in int8"
    return text


def _compared(entry: dict[str, Any], split: str) -> list[str]:
    """A baseline's score, and how the model compares with it."""
    score = entry[split]
    lines = [f"{entry['model']}: {score['name']} = {_number(score['value'], 2)}"]
    return [*lines, *([score["paired"]["says"]] if "paired" in score else [])]


def _number(value: float | None, digits: int) -> str:
    """A number of a report, where None stands for one that is infinite."""
    return "inf" if value is None else f"{value:.{digits}f}"


def _dry_run(recipe: Recipe, device: str, origin: Run | None, as_json: bool) -> None:
    from seqcli.cli.training_display import Display
    from seqcli.pipeline.dry_run import dry_run

    found = dry_run(recipe, device, origin, Display().show)
    if as_json:
        console.emit_json(found)
        return
    unit = found["unit"]
    for name, split in found["splits"].items():
        console.emit(f"{name:<6} {split['examples']:>10,} examples {split['tokens']:>12,} {unit}")
    for name, value in found["summary"].items():
        console.emit(f"{name:<6} {value:>10,}")
    if "layers" not in found:
        console.note("not made by gradients: no layers and no batches to show")
        return
    console.emit()
    rows = [(layer["name"], layer["shape"], f"{layer['parameters']:,}") for layer in found["layers"]]
    rows.append(("total", "", f"{found['parameters']:,}"))
    console.emit_lines(show.table(rows, ("parameter", "shape", "numbers"), right=[2]))
    console.emit()
    for change in found["adapted"]:
        console.emit(f"adapted to little data: {change}")
    batch = found["batch"]
    shapes = ", ".join(f"{name} {shape}" for name, shape in batch["shapes"].items())
    console.emit(f"first batch: {batch['sequences']} sequences, {batch['positions']} {unit}, shapes {shapes}")
    console.emit_lines(f"  {line}" for line in batch["examples"])
    a_target = f"nats a target (uniform: {found['uniform_loss']:.3f})" if unit != "steps" else "a value"
    console.emit(f"loss before training: {found['loss']:.3f} {a_target}")
    largest = found["largest_batch"]
    memory = (
        f"memory: about {found['memory_mb']:,.0f} MB, measured with the largest batch ({largest['sequences']} "
        f"sequences of up to {largest['longest']} {unit}); weights, gradients and optimizer are "
        f"{found['state_mb']:,.0f} MB of it"
    )
    console.emit_lines(show.wrapped([memory]))
