"""The program: finds the verb, imports that verb alone, and turns every error into one line and an exit code."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import typer

from seqcli.cli import console, standard_streams
from seqcli.cli.verbs import VERBS
from seqcli.errors import ExitCode, UserError, UserErrors, is_out_of_memory, usage_error
from seqcli.version import __version__

_EVERYWHERE = {"-q": "quiet", "--quiet": "quiet", "-v": "verbose", "--verbose": "verbose", "--debug": "debug"}

_NO_MEMORY = {"train": "Lower training.batch.tokens, or free some memory"}
"""What to do when the memory does not suffice, by verb."""

EPILOG = "Everywhere: -q/--quiet (errors only), -v/--verbose, --debug (shows tracebacks). 'seqcli VERB --help' ends with examples."


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
    standard_streams.open_streams()
    # torch's threads spin while they wait for each other, by default for so long that beside another busy process
    # training takes five times as long as it must; asleep at once they wake too late. This count costs little.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # a tenth of the time to the first answer: the garbage of imports, and the metadata of every installed package,
    # among which pydantic looks for plugins
    gc.set_threshold(20_000, 50, 50)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    verb = next((word for word in arguments if not word.startswith("-")), None)
    try:
        code = run_guarded(lambda: _run(verb, arguments), verb)
        code = run_guarded(lambda: _flush(code))
    except KeyboardInterrupt:  # once more, while the first was being dealt with
        code = ExitCode.INTERRUPTED
    with suppress(OSError):
        standard_streams.flush(sys.stderr)
    sys.exit(code)


def run_guarded(body: Callable[[], int], verb: str | None = None) -> int:
    """Run ``body`` and return its exit code; errors become one line on stderr each, tracebacks only with --debug."""
    try:
        return int(body())
    except UserErrors as error:
        return _show(error, *map(str, error.errors), code=error.code)
    except UserError as error:
        return _show(error, str(error), code=error.code)
    except BrokenPipeError:
        return int(ExitCode.CLOSED_PIPE)
    except KeyboardInterrupt:
        return _show(None, "interrupted", code=ExitCode.INTERRUPTED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _show(error, f"{where}{error.strerror or error}", code=ExitCode.IO)
    except typer.Abort as error:  # what typer makes of an EOFError: at a question, or of a file within
        if isinstance(error.__cause__, EOFError):
            return _show_unexpected(error.__cause__)
        return _show(None, "aborted")
    except Exception as error:
        if is_out_of_memory(error):
            what = _NO_MEMORY.get(
                verb or "", "Give it less at once (shorter lines, smaller files), or free some memory"
            )
            return _show(error, f"out of memory. {what}")
        # what typer raises for a wrong command line has a format_message
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
    streams = sys.stdout, sys.stderr
    try:
        result = build_app(verb)(args=arguments, prog_name="seqcli", standalone_mode=False)
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # which typer takes for itself, and wraps the streams
            sys.stdout, sys.stderr = streams
            raise ended.__context__ from None
        raise
    if result == ExitCode.INTERRUPTED:  # what typer makes of a KeyboardInterrupt
        raise KeyboardInterrupt
    return int(result or 0) if isinstance(result, int) else 0


def _flush(code: int) -> int:
    try:
        standard_streams.flush(sys.stdout)
    except UserError:
        if not code:
            raise
        # else it was said already
    return code


def _show(error: BaseException | None, *messages: str, code: ExitCode = ExitCode.FAILURE) -> int:
    if console.settings.debug and error is not None:
        import traceback

        for line in "".join(traceback.format_exception(error)).splitlines():
            console.say(line)
    for message in messages:
        console.say(f"error: {message}")
    return int(code)


def _show_unexpected(error: Exception) -> int:
    text = " ".join(str(error).split())  # one line, whatever it says
    return _show(error, f"internal error: {type(error).__name__}: {text}. Run again with --debug and report it")


def _show_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "seqcli"
    message = error.format_message() or "nothing to do"
    if type(error).__name__ == "NoArgsIsHelpError":  # a bare 'seqcli data': its message is the help
        for line in message.split("\n"):
            console.say(line)
        return int(ExitCode.USAGE)
    if type(error).__name__ == "NoSuchOption" and error.option_name == "--errors":
        message = "No such option: --errors. Invalid UTF-8 is now --invalid strict|replace"
    message = message.rstrip(".")
    return _show(error, f"{message}{'' if message.endswith('?') else '.'} See '{path} --help'", code=ExitCode.USAGE)


def _take_everywhere_flags(arguments: list[str]) -> list[str]:
    """Take ``-q``, ``-v`` and ``--debug`` out of the line, wherever they stand before a ``--``."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for word in arguments[:end]:
        if word in _EVERYWHERE:
            setattr(console.settings, _EVERYWHERE[word], True)
    return [word for word in arguments[:end] if word not in _EVERYWHERE] + arguments[end:]


def _root() -> None:
    """One command line for sequence models: train, measure, use in a pipe."""


def _unloaded() -> None:
    raise AssertionError("a verb that was not loaded cannot run")
