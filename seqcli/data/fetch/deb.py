"""Files of Debian packages, fetched by the user's own apt into a temporary folder; nothing is installed, nobody is root.

apt checks a package against the signed list of its archive. Which revision it gets does not matter: what is made of the
files has a checksum in the catalogue.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from seqcli.data.fetch.download import FetchFailed

_SECONDS = 900


@contextmanager
def unpacked_packages(packages: Mapping[str, str], folder: Path) -> Iterator[list[Path]]:
    """The files of packages (name to version, ``*`` for any ending) as tar archives, for as long as the block runs.

    Raises:
        FetchFailed: there is no apt here, or it cannot get a package of this version.
    """
    names = " and ".join(packages)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix="apt-") as place:
        wanted = [f"{name}={version}" for name, version in packages.items()]
        _run(["apt-get", "--quiet", "download", *wanted], Path(place), names)
        archives = []
        for package in sorted(Path(place).glob("*.deb")):
            archives.append(package.with_suffix(".tar"))
            with archives[-1].open("wb") as tar:
                _run(["dpkg-deb", "--fsys-tarfile", f"./{package.name}"], Path(place), names, tar)
        yield archives


def _run(command: list[str], place: Path, names: str, out: object = subprocess.DEVNULL) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise FetchFailed(f"deb packages {names} (there is no {command[0]} here)")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=out,  # type: ignore[call-overload]
            stderr=subprocess.PIPE,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchFailed(f"deb packages {names} ({command[0]}: {error})") from error
    if done.returncode:
        said = [line for line in done.stderr.decode("utf-8", "replace").split("\n") if line.startswith("E: ")]
        reason = said[0].removeprefix("E: ") if said else f"exit code {done.returncode}"
        raise FetchFailed(f"deb packages {names} ({command[0]}: {reason})")
