"""Runs: one training each, in a folder ``<root>/<name>/<version>/`` that is enough on its own.

``ner`` means the newest finished version, ``ner@2`` a version, and a path works too. A number is taken by making its
folder, which only one process can do, so versions never overwrite each other.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqcli.errors import UserError, cannot_read, data_error, did_you_mean, io_error, reading, usage_error
from seqcli.files import atomic_write, cannot_write, fsync_folder, writing
from seqcli.store.manifest import MANIFEST, FileRecord, Manifest, read_manifest, write_manifest

FORMAT = "seqcli model 2"
ENGINE_FILE, DECODER_FILE = "engine.onnx", "decoder.onnx"
"""What runs a network: all of it or, of an encoder-decoder, what reads the source, and beside it what writes the target."""
CT2_FILE, CT2_ABOUT = "engine.ct2.bin", "engine.ct2.json"
"""The same for CTranslate2: a model, and what must be known of it."""
BESIDE_FILE = "beside.safetensors"
"""Models fitted in one go that a network has beside it, and what each counts."""
ENGINE_FILES = (ENGINE_FILE, DECODER_FILE, CT2_FILE, CT2_ABOUT)
_OLD_FORMATS = ("seqcli model 1",)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_VERSION = re.compile(r"[1-9]\d{0,8}")
_LOCK = ".lock"
_STAGE = ".half-"
_STALE_SECONDS = 24 * 3600
_RECIPE_FOR = {"language-model": "lm-char", "word-vectors": "embedding"}
_MAX_REPORT = 16 * 2**20


class _Inside:
    """The path of a file or folder inside a run's folder."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, run: Run, owner: type[Run]) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class Run:
    """One training, in its folder.

    Attributes:
        path: the folder.
        name: name of the model (that of its recipe).
        version: its number, or None for a folder that does not lie in a store.
    """

    path: Path
    name: str
    version: int | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else str(self.path)

    recipe_path = _Inside("recipe.yaml")
    vocabulary_path = _Inside("vocabulary.txt")
    weights_path = _Inside("model.safetensors")
    engine_path = _Inside(ENGINE_FILE)
    decoder_path = _Inside(DECODER_FILE)
    beside_path = _Inside(BESIDE_FILE)
    metrics_path = _Inside("metrics.jsonl")
    report_path = _Inside("report.json")
    environment_path = _Inside("environment.json")
    checkpoints = _Inside("checkpoints")

    @property
    def arguments(self) -> str:
        """What follows ``seqcli train`` for this training, quoted for a shell: its own recipe, and the store."""
        root = str(self.path.parent.parent)
        return shlex.join([str(self.recipe_path), *([] if root == "runs" else ["--runs", root])])

    @property
    def finished(self) -> bool:
        """True when the training came to its end: the report is there and the files are sealed."""
        return self.report_path.is_file() and (self.path / MANIFEST).is_file()

    @property
    def missing(self) -> Path | None:
        """The file whose loss alone makes a finished run look unfinished: a training writes both last of all."""
        if self.finished or self.checkpoints.is_dir() or self.in_use:  # with checkpoints a training can go on
            return None
        manifest = self.path / MANIFEST
        if self.report_path.is_file():
            return manifest
        return self.report_path if manifest.is_file() else None

    def report(self) -> dict[str, Any]:
        """The report, or an empty one before the training is finished.

        Raises:
            UserError: it is damaged (65) or cannot be read (74).
        """
        return _read_json(self.report_path, "report")

    def environment(self) -> dict[str, Any]:
        """What the training runs with, or an empty one before it began; errors as those of `report`."""
        return _read_json(self.environment_path, "environment")

    def inside(self, name: str) -> Path:
        """The path of a file that the run's own recipe names.

        Raises:
            UserError: it lies outside the folder, by an absolute path, ``..`` or a link (65); it is not opened.
        """
        path = self.path / name
        if Path(name).is_absolute() or not path.resolve().is_relative_to(self.path.resolve()):
            raise data_error(f"names '{name}', which lies outside the model's own folder", file=self.recipe_path)
        return path

    def seal(self, files: Iterable[str | Path]) -> None:
        """Write the manifest of the files that prediction needs; the last thing a training does.

        Raises:
            UserError: a file is missing or the manifest cannot be written (74).
        """
        names = sorted({Path(name).name for name in files})
        try:
            records = {name: FileRecord.of_file(self.path / name) for name in names}
        except OSError as error:
            raise cannot_read(error.filename or self.path, error) from error
        write_manifest(self.path, Manifest(records, {"format": FORMAT}))

    def replace(self, files: Mapping[str, bytes], without: Collection[str] = ()) -> None:
        """Put files of a finished run in place of others and seal it again; others of ``without`` leave it.

        Wherever this is interrupted the run verifies: until the end these files are out of the seal.

        Raises:
            UserError: a file of the run is missing or damaged (65), or one cannot be written (74).
        """
        names = set(self.verify().files) - {*without}
        self.seal(names - files.keys())
        for name, data in files.items():
            with atomic_write(self.path / name) as handle:
                handle.write(data)
        self.seal(names | files.keys())
        for name in {*without} - files.keys():
            (self.path / name).unlink(missing_ok=True)

    def verify(self) -> Manifest:
        """Compare every file of the manifest with its size and SHA-256 (10 MB take about 10 ms).

        Raises:
            UserError: a file is missing or damaged, and which (65), a model of another version of seqcli (65), or a
                file that cannot be read (74).
        """
        manifest = self._own_manifest()
        for name, record in manifest.files.items():
            record.check(self.path / name)
        return manifest

    def faults(self, *, size_only: bool = False) -> list[UserError]:
        """All that is damaged or missing of a run that came to its end; with ``size_only`` no file is read."""
        if self.missing is not None:
            return [_gone(self, self.missing)]
        if not self.finished:
            return []
        try:
            self.report()
            manifest = read_manifest(self.path) if size_only else self._own_manifest()
        except UserError as error:
            return [error]
        found = []
        for name, record in manifest.files.items():
            try:
                record.check(self.path / name, size_only=size_only)
            except UserError as error:
                found.append(error)
        return found

    def _own_manifest(self) -> Manifest:
        manifest = read_manifest(self.path)
        if manifest.about.get("format") in _OLD_FORMATS:
            raise data_error(
                "the model was trained by an older seqcli, and this one cannot read it",
                file=self.path,
                hint="Train it again.",
            )
        if manifest.about.get("format") != FORMAT:
            raise data_error("not a model of this version of seqcli", file=self.path / MANIFEST)
        return manifest

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for one process; the system lets go of it when the process ends, however it ends.

        Raises:
            UserError: another process holds it, and which (2); the folder cannot be written (74).
        """
        try:
            import fcntl
        except ImportError:  # no flock on this system: two trainings are not kept apart
            yield
            return
        path = self.path / _LOCK
        with writing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            for wait in (0.02, 0.05, 0.1, None):  # `in_use` holds it for an instant
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if wait is None:
                        raise usage_error(
                            f"{self} is in use by process {_holder(descriptor)}",
                            hint="Wait for it or stop it; a new training gets a version of its own.",
                        ) from error
                    time.sleep(wait)
                except OSError as error:
                    raise cannot_write(path, error) from error
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            yield
        finally:
            os.close(descriptor)

    @property
    def in_use(self) -> bool:
        """True while another process holds the run."""
        try:
            import fcntl

            descriptor = os.open(self.path / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except (ImportError, OSError):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except OSError:
            return True
        finally:
            os.close(descriptor)


class Store:
    """The folder that holds the runs.

    Args:
        root: the folder; by default the one that ``SEQCLI_RUNS`` names, else ``runs``.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root or os.environ.get("SEQCLI_RUNS") or "runs")

    def create(self, name: str) -> Run:
        """Make the folder of the next version of ``name``.

        Raises:
            UserError: a name that cannot be one (2), or the folder cannot be made (74).
        """
        check_name(name)
        folder = self.root / name
        with writing(folder):
            version = max(self._versions(name), default=0)
            while True:
                version += 1
                with suppress(FileExistsError):  # another process was faster
                    _make_inside(folder, str(version))
                    return Run(folder / str(version), name, version)

    @contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """A hidden folder to build a run of ``name`` in; what is not adopted by the end is removed.

        Raises:
            UserError: the folder cannot be made (74).
        """
        folder = self.root / name
        stage = folder / f"{_STAGE}{os.getpid()}-{secrets.token_hex(4)}"
        with writing(folder):
            _make_inside(folder, stage.name)
            for left in folder.glob(f"{_STAGE}*"):
                with suppress(FileNotFoundError):  # another process is done with it
                    if time.time() - left.stat().st_mtime > _STALE_SECONDS:  # its process was killed long ago
                        shutil.rmtree(left, ignore_errors=True)
        try:
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            with suppress(OSError):  # goes only when it is empty
                folder.rmdir()

    def adopt(self, stage: Path, name: str) -> Run:
        """Make a folder from `staging` the next version of ``name``, all at once.

        Raises:
            UserError: it cannot be renamed (74).
        """
        run = self.create(name)
        with writing(run.path):
            fsync_folder(stage)
            os.rename(stage, run.path)  # over the empty folder that reserved the number
            fsync_folder(run.path.parent)
        return run

    def runs(self, unreadable: Callable[[UserError], object] = lambda error: None) -> list[Run]:
        """Every run of the store, by name and version; ``unreadable`` is told of a name whose folder cannot be read."""
        runs: list[Run] = []
        for name in sorted(path.name for path in _children(self.root) if _NAME.fullmatch(path.name)):
            try:
                runs += self.versions(name)
            except UserError as error:
                unreadable(error)
        return runs

    def versions(self, name: str) -> list[Run]:
        """The runs of one name, oldest first."""
        return [Run(self.root / name / str(version), name, version) for version in self._versions(name)]

    def newest_unfinished(self, name: str) -> Run | None:
        """The newest version of ``name`` whose training began and did not come to its end, or None."""
        begun = (run for run in reversed(self.versions(name)) if run.recipe_path.is_file())
        return next((run for run in begun if not run.finished and run.missing is None), None)

    def resolve(self, ref: str | None, *, task_kinds: Collection[str] | None = None, finished: bool = True) -> Run:
        """The run that ``ref`` means.

        Args:
            ref: ``ner`` (its newest finished version, else its newest), ``ner@2``, the path of a run's folder, or None
                for the model finished last.
            task_kinds: the task kinds that will do; others are passed over, or refused when ``ref`` names one.
            finished: refuse a run whose training has not come to its end.

        Raises:
            UserError: there is none, or its task cannot do the verb (2); a folder that is no run, or a finished run
                whose report or manifest is gone (65); a folder that is missing (74).
        """
        if ref is None:
            return self._newest(task_kinds)
        run = self._named(ref) if not _looks_like_path(ref) else self._at(Path(ref))
        if finished and not run.finished and run.in_use:
            raise usage_error(f"{run} is still being trained", hint="Wait until it is finished.")
        if finished and run.missing is not None:
            raise _gone(run, run.missing)
        if finished and not run.finished:
            raise usage_error(
                f"the training of {run} is not finished", hint=f"Go on with it: seqcli train {run.arguments} --resume"
            )
        if task_kinds is not None and (task := run.report().get("task")) not in task_kinds:
            able = ", ".join(str(run) for run in self._able(task_kinds))
            raise usage_error(
                f"{run} is a model for {task}; this needs one for {_either(task_kinds)}",
                hint=f"Known: {able}." if able else _train_one(task_kinds),
            )
        return run

    def _able(self, task_kinds: Collection[str]) -> list[Run]:
        """The newest finished run of each name whose task is one of these."""
        newest = {run.name: run for run in self.runs() if run.finished}
        return [run for run in newest.values() if run.report().get("task") in task_kinds]

    def newest_first(self) -> list[Run]:
        """The finished runs, the one finished last in front."""
        done = [run for run in self.runs() if run.finished]
        return sorted(done, key=lambda run: run.report_path.stat().st_mtime_ns, reverse=True)

    def knows(self, ref: str) -> bool:
        """Whether ``ref`` is the name of a model, with a version or without, or the folder of a run."""
        name = ref.partition("@")[0]
        if not _looks_like_path(ref) and _NAME.fullmatch(name) and self._versions(name):
            return True
        return (Path(ref) / "recipe.yaml").is_file()

    def _newest(self, task_kinds: Collection[str] | None) -> Run:
        for run in self.newest_first():
            if task_kinds is None or run.report().get("task") in task_kinds:
                return run
        wanted = f" for {_either(task_kinds)}" if task_kinds is not None else ""
        raise usage_error(f"no trained model{wanted} in {self.root}", hint=_train_one(task_kinds or ()))

    def _named(self, ref: str) -> Run:
        name, at, version = ref.partition("@")
        runs = self.versions(name) if _NAME.fullmatch(name) else []
        if not runs:
            if not at and (Path(ref) / "recipe.yaml").is_file():
                return self._at(Path(ref))
            raise self._unknown(name)
        if at:
            for run in runs:
                if str(run.version) == version:
                    return run
            have = ", ".join(str(run) for run in runs)
            raise usage_error(f"no version '{version}' of '{name}' in {self.root}", hint=f"Known: {have}.")
        return next((run for run in reversed(runs) if run.finished), runs[-1])

    def _unknown(self, name: str) -> UserError:
        names = sorted({run.name for run in self.runs()})
        hint = did_you_mean(name, names)
        if not hint:
            hint = f"Known: {', '.join(names)}." if names else f"Train one: seqcli train {name}"
        return usage_error(f"no model '{name}' in {self.root}", hint=hint)

    def _at(self, path: Path) -> Run:
        if not path.is_dir():
            raise io_error("no such folder", file=path)
        if not (path / "recipe.yaml").is_file():
            raise data_error("not a model: there is no recipe.yaml in it", file=path)
        full = path.resolve()
        if _VERSION.fullmatch(full.name) and _NAME.fullmatch(full.parent.name):
            return Run(path, full.parent.name, int(full.name))
        return Run(path, full.name)

    def _versions(self, name: str) -> list[int]:
        folders = [
            path.name for path in _children(self.root / name, (FileNotFoundError, NotADirectoryError)) if path.is_dir()
        ]
        return sorted(int(name) for name in folders if _VERSION.fullmatch(name))


def _children(folder: Path, nothing: tuple[type[OSError], ...] = (FileNotFoundError,)) -> list[Path]:
    """What lies in a folder; an error that means ``nothing`` does."""
    with reading(folder):
        try:
            return list(folder.iterdir())
        except nothing:
            return []


def _make_inside(folder: Path, name: str) -> None:
    """Make a folder in another, which another process may remove as empty at any time."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (folder / name).mkdir()
            return


def _read_json(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a file of a run; an empty one where there is no file."""
    if path.exists() and not path.is_file():  # a pipe would never end
        raise data_error(f"damaged {what}: not a file", file=path)
    try:
        with path.open("rb") as handle:
            value = json.loads(handle.read(_MAX_REPORT))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise cannot_read(path, error) from error
    except (ValueError, RecursionError) as error:
        raise data_error(f"damaged {what}: {error}", file=path) from error
    if not isinstance(value, dict):
        raise data_error(f"damaged {what}: not a mapping", file=path)
    return value


def report_text(report: Mapping[str, Any]) -> str:
    """A report as it lies in a run."""
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def check_name(name: str) -> None:
    """Raise a UserError (2) for a name that cannot be a model's."""
    if not _NAME.fullmatch(name) or len(name) > 100:
        raise usage_error(
            f"'{name}' cannot be the name of a model",
            hint="Small letters, digits, '.', '_' and '-', with a letter or digit first.",
        )


def check_removable(run: Run) -> None:
    """Raise a UserError for what `remove` would not remove: no run's folder (65), or one that is in use (2)."""
    begun = run.recipe_path.is_file() or (run.version and {path.name for path in run.path.iterdir()} <= {_LOCK})
    if run.path.is_symlink() or not begun:
        raise data_error("not the folder of a model, so it stays", file=run.path)
    if run.in_use:
        with run.lock():  # which says by whom
            pass


def remove(run: Run) -> None:
    """Remove a run's folder and all in it; links are removed, never followed.

    Raises:
        UserError: it is no run's folder (65), in use (2) or cannot be removed (74).
    """
    check_removable(run)
    with run.lock():
        gone = run.path.with_name(f".gone-{run.path.name}.{os.getpid()}")
        try:
            os.rename(run.path, gone)
            shutil.rmtree(gone)
        except OSError as error:
            raise io_error(f"cannot remove: {error.strerror or error}", file=run.path) from error
        if run.version:
            with suppress(OSError):  # goes only when it is empty
                run.path.parent.rmdir()


def _gone(run: Run, file: Path) -> UserError:
    return data_error(
        f"missing, although the training of {run} came to its end",
        file=file,
        hint=f"Copy it back from where you have it, or train again: seqcli train {run.name}",
    )


def _holder(descriptor: int) -> str:
    return os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"


def _looks_like_path(ref: str) -> bool:
    return "/" in ref or os.sep in ref or ref in (".", "..")


def _train_one(task_kinds: Collection[str]) -> str:
    recipes = (_RECIPE_FOR[kind] for kind in sorted(task_kinds) if kind in _RECIPE_FOR)
    return f"Train one: seqcli train {next(recipes, 'ner')}"


def _either(kinds: Collection[str]) -> str:
    *others, last = sorted(kinds)
    return f"{', '.join(others)} or {last}" if others else last
