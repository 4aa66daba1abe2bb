"""The program: finds the verb, imports that verb alone, and turns every error into one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from seqcli.cli import console
from seqcli.cli.verbs import VERBS
from seqcli.errors import ExitCode, UserError, usage_error
from seqcli.version import __version__

_EVERYWHERE = {"-q": "quiet", "--quiet": "quiet", "-v": "verbose", "--verbose": "verbose", "--debug": "debug"}

_NO_MEMORY = "out of memory. Lower training.batch.tokens, or free some memory"

EPILOG = "Everywhere: -q/--quiet, -v/--verbose, --debug (shows tracebacks). 'seqcli VERB --help' ends with examples."


def build_app(verb: str | None) -> typer.Typer:
    """The command tree with ``verb`` loaded and every other verb as a name with its one line of help.

    Only one verb's module is imported, so that ``--help`` costs no more as the house grows.
    """
    app = typer.Typer(
        name="seqcli",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        epilog=EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback()(_root)
    for name, (module, help_line) in VERBS.items():
        if name != verb:
            app.command(name, help=help_line)(_unloaded)
            continue
        loaded = importlib.import_module(module)
        if isinstance(loaded.command, typer.Typer):
            app.add_typer(loaded.command, name=name, help=help_line)
        else:
            kind = getattr(loaded, "KIND", None)
            app.command(name, cls=kind, epilog=getattr(loaded, "EPILOG", None))(loaded.command)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program and exit with its status."""
    arguments = _take_everywhere_flags(list(sys.argv[1:] if argv is None else argv))
    _prepare_streams()
    # torch's threads spin while they wait for each other, by default for so long that beside another busy process
    # training takes five times as long as it must; asleep at once they wake too late. This count costs little.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    verb = next((word for word in arguments if not word.startswith("-")), None)
    try:
        code = run_guarded(lambda: _run(verb, arguments))
        code = run_guarded(lambda: _flush(code))
    except KeyboardInterrupt:  # once more, while the first was being dealt with
        code = ExitCode.INTERRUPTED
    sys.exit(code)


def run_guarded(body: Callable[[], int]) -> int:
    """Run ``body`` and return its exit code; errors become one line on stderr each, tracebacks only with --debug."""
    try:
        return int(body())
    except UserError as error:
        _show(str(error), error)
        return int(error.code)
    except BrokenPipeError:
        return int(ExitCode.CLOSED_PIPE)
    except KeyboardInterrupt:
        _show("interrupted", None)
        return int(ExitCode.INTERRUPTED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _show(f"{where}{error.strerror or error}", error)
        return int(ExitCode.IO)
    except MemoryError as error:
        _show(_NO_MEMORY, error)
        return int(ExitCode.FAILURE)
    except RuntimeError as error:
        if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
            return _show_unexpected(error)
        _show(_NO_MEMORY, error)  # torch's own kind of MemoryError, on a GPU and on a CPU
        return int(ExitCode.FAILURE)
    except Exception as error:  # what typer raises for a wrong command line has a format_message
        if hasattr(error, "format_message"):
            return _show_usage(error)
        return _show_unexpected(error)


def _run(verb: str | None, arguments: list[str]) -> int:
    if "--version" in arguments[:1]:
        console.emit(f"seqcli {__version__}")
        return 0
    if verb != "train" and "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":
        if os.environ.get("RANK") != "0":
            return int(ExitCode.USAGE)
        raise usage_error("torchrun starts only 'train'", hint="Start one process a part of the lines: docs/scale.md.")
    result = build_app(verb)(args=arguments, prog_name="seqcli", standalone_mode=False)
    if result == ExitCode.INTERRUPTED:  # what typer makes of a KeyboardInterrupt
        raise KeyboardInterrupt
    return int(result or 0) if isinstance(result, int) else 0


def _flush(code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            return int(ExitCode.CLOSED_PIPE)
        # the interpreter would flush the broken stream once more and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code:
            return code  # said already
        raise UserError(f"cannot write to stdout: {error.strerror}", code=ExitCode.IO) from error
    return code


def _show(text: str, error: BaseException | None) -> None:
    if console.settings.debug and error is not None:
        import traceback

        traceback.print_exception(error)
    for line in text.split("\n"):
        print(f"error: {line}", file=sys.stderr, flush=True)


def _show_unexpected(error: Exception) -> int:
    if console.settings.debug:
        raise error
    text = " ".join(str(error).split())  # one line, whatever it says
    _show(f"internal error: {type(error).__name__}: {text}. Run again with --debug and report it", None)
    return int(ExitCode.FAILURE)


def _show_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "seqcli"
    message = error.format_message() or "nothing to do"
    if type(error).__name__ == "NoArgsIsHelpError":  # a bare 'seqcli data': its message is the help
        print(message, file=sys.stderr, flush=True)
        return int(ExitCode.USAGE)
    if type(error).__name__ == "NoSuchOption" and error.option_name == "--errors":
        message = "No such option: --errors. Invalid UTF-8 is now --invalid strict|replace"
    message = message.rstrip(".")
    _show(f"{message}{'' if message.endswith('?') else '.'} See '{path} --help'", None)
    return int(ExitCode.USAGE)


def _take_everywhere_flags(arguments: list[str]) -> list[str]:
    """Take ``-q``, ``-v`` and ``--debug`` out of the line, wherever they stand before a ``--``."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for word in arguments[:end]:
        if word in _EVERYWHERE:
            setattr(console.settings, _EVERYWHERE[word], True)
    return [word for word in arguments[:end] if word not in _EVERYWHERE] + arguments[end:]


def _prepare_streams() -> None:
    """UTF-8 and plain ``\\n`` whatever the locale says; a closed pipe ends the program in silence, as it does cat."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", newline="\n", errors="backslashreplace")  # type: ignore[union-attr]
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def _root() -> None:
    """One command line for sequence models: train, measure, use in a pipe."""


def _unloaded() -> None:
    raise AssertionError("a verb that was not loaded cannot run")
