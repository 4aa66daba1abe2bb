"""The trials of a sweep, in a journal file of Optuna's that several processes on several machines may share.

A trial is claimed under a lock, so that no two processes train the same values; it names its process, which holds a lock
of its own as long as it lives. The trial of a process that has ended, however it ended, is therefore known, and its
values are tried again.
"""

from __future__ import annotations

import math
import secrets
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seqcli.errors import UserError, data_error, reading, usage_error
from seqcli.files import writing
from seqcli.pipeline.search_space import Choices, Space, Values
from seqcli.recipe.dump import recipe_difference
from seqcli.recipe.load import recipe_from_text
from seqcli.store.runs import Run

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

NAME = "seqcli sweep"
"""Of the one study in a file."""

UNPRUNED_TRIALS, UNPRUNED_EVALUATIONS = 4, 2
"""No trial is pruned before so many are complete, nor at its first evaluations."""

DEATHS = 3
"""So many times values are tried whose process ended in the middle; then they count as failed."""

LEAST_FOR_IMPORTANCE = 8
"""Complete trials."""

State = Literal["complete", "pruned", "failed", "stopped", "running"]


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Attributes:
        number: from 1, in the order in which they began.
        state: a ``stopped`` one did not come to its end for a reason that is not its own; its values are tried again.
        score: on dev: the model's where it is complete, else the best so far.
    """

    number: int
    values: Values
    state: State
    score: float | None
    steps: int | None = None
    minutes: float | None = None
    reason: str = ""


class Study:
    """The trials that there are, and those that this process adds."""

    def __init__(self, path: Path, folder: Path, space: Space, *, better: str, seed: int, prune: bool) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        self.optuna, self.path, self.folder, self.space, self.seed = optuna, path, folder, space, seed
        self.direction: Literal["maximize", "minimize"] = "maximize" if better == "higher" else "minimize"
        journal_lock = JournalFileOpenLock(str(path))
        self._claim_lock = JournalFileOpenLock(f"{path}.claim")
        _check_file(path)
        with writing(path), _holding(journal_lock):
            _mend(path)
        try:
            self.storage = JournalStorage(JournalFileBackend(str(path), journal_lock))
            names = optuna.get_all_study_names(self.storage)
        except (ValueError, KeyError, AssertionError) as error:
            raise data_error("the study is damaged", file=path, hint="Name another file with --study.") from error
        if names and NAME not in names:
            raise _no_study(path)
        pruners = optuna.pruners
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=NAME,
            direction=self.direction,
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(),  # never asked: `_proposed` decides
            pruner=pruners.MedianPruner(UNPRUNED_TRIALS, UNPRUNED_EVALUATIONS + 1) if prune else pruners.NopPruner(),
        )
        self.id = self.storage.get_study_id_from_name(NAME)
        self.worker = Run(folder / "workers" / secrets.token_hex(8), space.base.name)

    # -- trials of this process

    def claim(self, total: int) -> Claim | None:
        """The next trial, of ``total`` in the study; None where all are done, or being done."""
        optuna = self.optuna
        with self._alone():
            self._bury()
            trials = self.study.get_trials(deepcopy=False)
            counted = [trial for trial in trials if not trial.user_attrs.get("again")]
            values = self._proposed(trials, counted, total) if len(counted) < total else None
            if values is None:
                return None
            template = optuna.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=values,
                distributions=self._distributions(),
                user_attrs={"worker": self.worker.path.name},
            )
            number = self.storage.create_new_trial(self.id, template)  # one line of the journal: all of it or nothing
            return Claim(self, optuna.trial.Trial(self.study, number), values)

    def _proposed(self, trials: Sequence[FrozenTrial], counted: Sequence[FrozenTrial], total: int) -> Values | None:
        """Values that no trial has: of one that was stopped, the next of a grid that can be searched whole, else by TPE."""
        taken = {_identity(trial.params) for trial in counted}
        for trial in trials:
            if _identity(trial.params) not in taken:
                return dict(trial.params)
        combinations = self.space.combinations
        if combinations is None or combinations > total:
            for attempt in range(20):
                values = self._sampled(trials, self.seed + len(trials) + 1_000_003 * attempt)
                if _identity(values) not in taken:
                    return values
        return next((values for values in self.space.grid() if _identity(values) not in taken), None)

    def _sampled(self, trials: Sequence[FrozenTrial], seed: int) -> Values:
        """What TPE says of the trials so far, in a copy of the study; decimal fractions are cut to four digits."""
        optuna = self.optuna
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        copy = optuna.create_study(direction=self.direction, sampler=sampler)
        copy.add_trials(trials)
        values = copy.ask(self._distributions()).params
        for one in self.space.searched:
            if isinstance(value := values[one.key], float) and not isinstance(one, Choices):
                values[one.key] = min(max(float(f"{value:.4g}"), one.low), one.high)
        return values

    def _distributions(self) -> dict[str, BaseDistribution]:
        of = self.optuna.distributions
        return {
            one.key: of.CategoricalDistribution(one.values)
            if isinstance(one, Choices)
            else of.IntDistribution(int(one.low), int(one.high), log=one.log)
            if one.is_whole
            else of.FloatDistribution(one.low, one.high, log=one.log)
            for one in self.space.searched
        }

    # -- the trials of all

    def trials(self) -> list[Trial]:
        """Those that there are; without those that were stopped and begun anew since."""
        found = self.study.get_trials(deepcopy=False)
        latest = {_identity(trial.params): trial.number for trial in found}
        return [
            self._trial(trial)
            for trial in found
            if not trial.user_attrs.get("again") or latest[_identity(trial.params)] == trial.number
        ]

    def _trial(self, trial: FrozenTrial) -> Trial:
        about = trial.user_attrs
        state: State = "stopped" if about.get("again") else _STATES[trial.state.name]
        best = max if self.direction == "maximize" else min
        score = trial.value if state == "complete" else best(trial.intermediate_values.values(), default=None)
        return Trial(
            trial.number + 1,
            dict(trial.params),
            state,
            score,
            about.get("steps"),
            about.get("minutes"),
            about.get("reason", ""),
        )

    def best(self) -> Trial | None:
        """The complete trial of the best score, the first of equals."""
        complete = [trial for trial in self.trials() if trial.state == "complete"]
        return min(complete, key=self.rank, default=None)

    def rank(self, trial: Trial) -> float:
        """Lower is better; infinite where there is no score."""
        if trial.score is None:
            return math.inf
        return -trial.score if self.direction == "maximize" else trial.score

    def importance(self) -> dict[str, float]:
        """The share of the variance of the dev score that each setting explains, by fANOVA, which needs scikit-learn.

        Empty without it, where there is one setting, or too few trials to say anything.
        """
        complete = sum(trial.state == "complete" for trial in self.trials())
        if len(self.space.searched) == 1 or complete < LEAST_FOR_IMPORTANCE or find_spec("sklearn") is None:
            return {}
        importance = self.optuna.importance
        evaluator = importance.FanovaImportanceEvaluator(seed=self.seed)
        found = importance.get_param_importances(self.study, evaluator=evaluator)
        return {key: float(share) for key, share in found.items()}

    def keep_best(self) -> None:
        """Remove the weights of the complete trials that are not the best."""
        with self._alone():
            best = self.best()
            for trial in self.trials():
                if trial.state == "complete" and trial != best:
                    self.remove(trial.number)

    def trial_folder(self, number: int) -> Path:
        """Where a trial's run lies: never that of another trial, so what is removed is its own."""
        return self.folder / f"trial-{number}"

    def remove(self, number: int) -> None:
        """Remove a trial's run."""
        shutil.rmtree(self.trial_folder(number), ignore_errors=True)

    def _bury(self) -> None:
        """End the trials whose process has ended."""
        for trial in self.study.get_trials(deepcopy=False):
            worker = self.worker.path.with_name(trial.user_attrs.get("worker", "none"))
            if trial.state.name != "RUNNING" or Run(worker, "").in_use:
                continue
            deaths = sum(
                other.user_attrs.get("died") is True and other.params == trial.params
                for other in self.study.get_trials(deepcopy=False)
            )
            trial_id = self.storage.get_trial_id_from_study_id_trial_number(self.id, trial.number)
            claim = Claim(self, self.optuna.trial.Trial(self.study, trial_id), dict(trial.params))
            self.remove(claim.number)
            claim.note(died=True)
            claim.end("stopped" if deaths + 1 < DEATHS else "failed", reason="its process ended")
            shutil.rmtree(worker, ignore_errors=True)

    # -- what it is a study of

    def agree(self, about: dict[str, Any]) -> None:
        """Write down what is searched, or check that the file's study is of the same.

        Args:
            about: ``recipe`` (YAML), ``searched`` and ``data``, texts by name.

        Raises:
            UserError: it is of another recipe, space or data (2).
        """
        with self._alone():
            before = self.study.user_attrs.get("about")
            if before is None:
                self.study.set_user_attr("about", about)
                return
        if differences := _differences(before, about, str(self.path)):
            more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
            raise usage_error(
                f"the study is of another sweep: {'; '.join(differences[:3])}{more}",
                file=self.path,
                hint="Name another file with --study, or take this one away.",
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process claims."""
        with writing(self.path), _holding(self._claim_lock):
            yield


@dataclass(frozen=True)
class Claim:
    """A trial that this process trains."""

    study: Study
    trial: optuna.trial.Trial
    values: Values

    @property
    def number(self) -> int:
        return self.trial.number + 1

    def note(self, **about: Any) -> None:
        """Write down what is known of it."""
        for name, value in about.items():
            self.trial.set_user_attr(name, value)

    def is_hopeless(self, evaluation: int, score: float) -> bool:
        """Report a dev score; true where it is below the median of the complete trials at the same evaluation."""
        if not math.isfinite(score):
            return False
        self.trial.report(score, evaluation)
        return self.trial.should_prune()

    def end(self, state: State, score: float | None = None, **about: Any) -> Trial:
        """Write down how it ended."""
        self.note(**about, **({"again": True} if state == "stopped" else {}))
        ends = self.study.optuna.trial.TrialState
        told = {"complete": ends.COMPLETE, "pruned": ends.PRUNED}.get(state, ends.FAIL)
        return self.study._trial(self.study.study.tell(self.trial, score, state=told))


_STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}


@contextmanager
def open_study(
    path: Path, space: Space, about: dict[str, Any], *, better: str, seed: int, prune: bool = True
) -> Iterator[Study]:
    """The study in a file, made where there is none; the process may claim trials as long as it is open.

    Args:
        about: see `Study.agree`.
        better: ``higher`` or ``lower``, of the score.
        seed: of the values that are proposed, together with a trial's number.

    Raises:
        UserError: a study of something else (2), a file that is no study or is damaged (65), one that cannot be read or
            written (74), no Optuna (2).
    """
    require_optuna()
    folder = study_folder(path)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    study = Study(path, folder, space, better=better, seed=seed, prune=prune)
    study.agree(about)
    with writing(study.worker.path):
        study.worker.path.mkdir(parents=True)
    try:
        with study.worker.lock():
            yield study
    finally:
        shutil.rmtree(study.worker.path, ignore_errors=True)
        for left in (study.worker.path.parent, study.folder):
            with suppress(OSError):  # goes only when it is empty
                left.rmdir()


def require_optuna() -> None:
    """Raises UserError (2) where the package is not installed; silences what it says on its own."""
    if find_spec("optuna") is None:
        raise usage_error("a sweep needs the package 'optuna'", hint="Install it: pip install 'seqcli[sweep]'.")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def study_folder(path: Path) -> Path:
    """Where the trials of a study are trained: beside its file, named like it."""
    return path.with_suffix("") if path.suffix else path.with_name(f"{path.name}.trials")


def _identity(values: Values) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(values.items()))


def _differences(before: dict[str, Any], now: dict[str, Any], file: str) -> list[str]:
    old, new = (recipe_from_text(about["recipe"], name=file).recipe for about in (before, now))
    of_no_matter = ("description", *now["searched"])  # what the file says of a searched key is never used
    return [
        *(
            f"{key}: {before['searched'].get(key, 'not searched')} -> {now['searched'].get(key, 'not searched')}"
            for key in dict.fromkeys([*before["searched"], *now["searched"]])
            if before["searched"].get(key) != now["searched"].get(key)
        ),
        *(
            line
            for line in recipe_difference(old, new)
            if not any(line.startswith((f"{key}:", f"{key}.")) for key in of_no_matter)
        ),
        *(f"the {name} data changed" for name in now["data"] if before["data"].get(name) != now["data"][name]),
    ]


def _check_file(path: Path) -> None:
    """Refuse a file of something else before anything is written to it."""
    if not path.exists():
        return
    with reading(path), path.open("rb") as file:
        beginning = file.read(64)
    if beginning and not beginning.startswith(b'{"op_code":'):
        raise _no_study(path)


def _no_study(path: Path) -> UserError:
    return data_error("not a study of 'seqcli sweep'", file=path, hint="Name another file with --study.")


def _mend(path: Path) -> None:
    """Take away half a line that a kill or a full disk left at the end."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        text = file.read()
        if text and not text.endswith(b"\n"):
            file.truncate(text.rfind(b"\n") + 1)


@contextmanager
def _holding(lock: Any) -> Iterator[None]:
    lock.acquire()
    try:
        yield
    finally:
        with suppress(RuntimeError):  # waited for so long that another process took it away
            lock.release()
