"""The pages tell the truth: commands parse, what can be run offline prints what the page says, links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from tiny import run_inside

from seqcli.cli.app import build_app
from seqcli.cli.verbs import VERBS
from seqcli.data.catalogue import data_set
from seqcli.errors import ExitCode
from seqcli.recipe.load import recipe_from_text

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md"))
)
EVERYWHERE = {"-q", "--quiet", "-v", "--verbose", "--debug"}

# Verbs whose blocks are run: no model, no network, no second of waiting.
OFFLINE = {
    "start",
    "recipes",
    "components",
    "data",
    "tokenize",
    "detokenize",
    "vocab",
    "bleu",
    "chrf",
    "ter",
    "wer",
    "spans",
    "accuracy",
    "neighbors",
    "analogy",
    "recurrence",
    "cat",
    "echo",
    "printf",
    "head",
}
# Pages whose blocks are run, in order, in one folder.
RUN = ["README.md", "docs/own-data.md", "docs/recipes.md", "docs/tagging.md", "docs/text.md", "docs/embeddings.md"]
# Pages all of whose blocks are run, trainings too.
TRAINED = ["README.md", "docs/own-data.md"]
# But for these, which set the program up.
SET_UP = {"make", "source"}


def blocks(page: str) -> list[list[str]]:
    """The lines of every ``console`` block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [block.splitlines() for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]


def commands(lines: list[str]) -> list[str]:
    return [line[2:] for line in lines if line.startswith("$ ")]


def programs(line: str) -> list[list[str]]:
    """The words of each program of a shell line, redirections and assignments before it left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>()")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    redirected = False
    for word, following in pairwise([*lexer, ""]):
        if set(word) <= set("|;&") and word:
            found.append([])
            redirected = False
        elif set(word) <= set("<>") or (word == "2" and following.startswith(">")):
            redirected = True
        elif not redirected and (found[-1] or not re.fullmatch(r"[A-Z_]+=.*", word)):
            found[-1].append(word)
    return [words for words in found if words]


def seqcli_lines(page: str) -> list[list[str]]:
    return [
        words[1:]
        for lines in blocks(page)
        for line in commands(lines)
        for words in programs(line)
        if words[0] == "seqcli"
    ]


def parse(words: list[str]) -> None:
    """Parse a command line as the program does, and run nothing."""
    words = [word for word in words if word not in EVERYWHERE]
    command = typer.main.get_command(build_app(words[0]))
    context = command.make_context("seqcli", list(words))
    rest = list(words)
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, list(rest), parent=context)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_is_one_the_program_takes(page: str) -> None:
    for words in seqcli_lines(page):
        if words[0].startswith("-"):
            continue
        assert words[0] in VERBS, f"{page}: seqcli {' '.join(words)}"
        try:
            parse(words)
        except Exception as error:
            pytest.fail(f"{page}: seqcli {' '.join(words)}: {error!r}")
    text = (ROOT / page).read_text(encoding="utf-8")
    assert {name for name in re.findall(r"`seqcli ([a-z][a-z-]*)", text)} <= set(VERBS)


def test_a_wrong_command_line_would_be_noticed() -> None:
    for words in (["train", "ner", "--sett", "a=b"], ["data", "lst"], ["vocab", "build", "a.txt"]):
        with pytest.raises(Exception, match=r"sett|lst|out"):
            parse(words)


@pytest.mark.parametrize("page", PAGES)
def test_every_recipe_is_one_the_program_takes(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for recipe in re.findall(r"^```yaml\n(name: .*?)^```", text, re.DOTALL | re.MULTILINE):
        recipe_from_text(recipe, name=page)


@pytest.mark.skipif(os.name != "posix", reason="the pages are written for a POSIX shell")
@pytest.mark.parametrize("page", RUN)
def test_the_page_shows_what_the_commands_print(page: str, tmp_path: Path) -> None:
    files = _files(page)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    shown = [lines for lines in blocks(page) if (_runs if page in TRAINED else _runs_offline)(lines)]
    assert shown
    marks = [f"== {number} ==" for number in range(len(shown))]
    shell = f'seqcli() {{ "{sys.executable}" -m seqcli "$@"; }}\n' + "".join(
        f"echo '{mark}'\n" + "".join(f"{_say(line)}\n{line}\n" for line in commands(lines))
        for mark, lines in zip(marks, shown, strict=True)
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEQCLI_")}
    done = subprocess.run(
        ["bash", "-c", shell],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "SEQCLI_CACHE": str(tmp_path / "cache")},
    )
    printed: list[list[str]] = []
    for line in done.stdout.decode().splitlines():
        if line in marks:
            printed.append([])
        else:
            printed[-1].append(line)
    for expected, found in zip(shown, printed, strict=True):
        # the models of the README are large enough to differ a little from processor to processor
        shape = _rough if page == "README.md" else str.rstrip
        _compare(*([shape(line) for line in lines if line.strip()] for lines in (expected, found)))


def _python_blocks(page: str) -> list[tuple[str, str | None]]:
    """Each ``python`` block, and the ``text`` block right behind it: what it prints."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", text, re.DOTALL | re.MULTILINE)
    return [(code, shown or None) for code, shown in found]


def test_the_blocks_of_the_page_about_python_run(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other, with a tiny model in the place of ner."""
    assert run_inside("models", "cp", "tiny", "ner").code == 0
    assert run_inside("models", "rm", "tiny", "--yes").code == 0
    names: dict[str, object] = {}
    blocks = _python_blocks("docs/python.md")
    assert any(shown for _, shown in blocks)
    for code, shown in blocks:
        exec(compile(code, "docs/python.md", "exec"), names)
        printed = capsys.readouterr().out
        assert printed
        if shown is not None:
            assert printed == shown


STOPS = re.compile(r"^ *\d+\. `([\w/.]+:[\w.]+)`", re.MULTILINE)
TRACE = """
import sys, threading
met = {{}}
def meet(frame, event, _):
    if event == "call" and (place := frame.f_code.co_filename).startswith({package!r}):
        met.setdefault(place.removeprefix({package!r}) + ":" + frame.f_code.co_qualname)
from seqcli.cli.app import main
threading.setprofile(meet)
sys.setprofile(meet)
try:
    main({arguments!r})
finally:
    sys.setprofile(None)
    open("met.txt", "w").write("\\n".join(met))
"""


@pytest.mark.parametrize(
    ("heading", "arguments"), [("Training", ["train", "tiny.yaml"]), ("Prediction", ["predict", "tiny"])]
)
def test_the_walk_is_the_way_a_sentence_goes(heading: str, arguments: list[str], trained: Path) -> None:
    """CONTRIBUTING's list of functions, in the order in which they are first called."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    stops = STOPS.findall(text.split(f"### {heading}\n")[1].split("\n#")[0])
    assert 10 < len(stops) < 20
    program = TRACE.format(package=f"{ROOT / 'seqcli'}{os.sep}", arguments=arguments)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SEQCLI_CACHE": str(trained / "cache")}
    subprocess.run(
        [sys.executable, "-c", program], input=b"Anna met Ravi\n", check=True, capture_output=True, env=environment
    )
    met = Path("met.txt").read_text().split("\n")
    assert [stop for stop in stops if stop not in met] == []
    assert sorted(stops, key=met.index) == stops


def _say(line: str) -> str:
    """Show a command, as a terminal does, and leave $? as it was."""
    return f"status=$?; printf '%s\\n' {shlex.quote('$ ' + line)}; (exit $status)"


def _files(page: str) -> dict[str, str]:
    """The files that a page shows with ``cat``, and the wrong recipe of docs/recipes.md."""
    files = {}
    for lines in blocks(page):
        shown = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        for begin, end in pairwise([*shown, len(lines)]):
            if name := re.fullmatch(r"\$ cat (\S+)", lines[begin]):
                files[name[1]] = "".join(line + "\n" for line in lines[begin + 1 : end])
    if page == "docs/recipes.md":
        files["bad.yaml"] = (
            (ROOT / "recipes" / "ner.yaml")
            .read_text(encoding="utf-8")
            .replace("{corpus: mini-ner}", "{corpus: mini-ner, format: conl}")
            .replace("{kind: lstm, dim:", "{kind: lstm, dimm:")
            .replace("epochs: 30", "epochs: ten")
            .replace("patience: 6\n", "patience: 6\n  epochs: 5\n")
        )
    return files


def _rough(line: str) -> str:
    """A line without what another processor may round otherwise: numbers, the best step, tags."""
    if line.startswith("$ "):
        return line
    line = re.sub(r"\d[\d,.]*(e[-+]\d+)?", "0", line.removesuffix(" *best")).replace(": 0 min, ", ": 0 s, ")
    return " ".join(re.sub(r"/[A-Z]+(-[A-Z]+)?(?= |$)", "/TAG", line).split())


def _runs(lines: list[str]) -> bool:
    return not any(words[0] in SET_UP for line in commands(lines) for words in programs(line))


def _runs_offline(lines: list[str]) -> bool:
    every = [words for line in commands(lines) for words in programs(line)]
    ours = [words[1:] for words in every if words[0] == "seqcli"]
    verbs = {words[0] for words in (*ours, *(words for words in every if words[0] != "seqcli"))}
    needs_model = any(words[0] in {"neighbors", "analogy"} and "--vectors" not in words for words in ours)
    return (
        bool(ours)
        and verbs <= OFFLINE
        and not needs_model
        and not any(words[:2] in (["data", "get"], ["recipes", "schema"]) or "wnut17" in words for words in ours)
    )


def _compare(expected: list[str], found: list[str]) -> None:
    """Equal, where a line ``...`` of the page stands for any lines."""
    if "..." not in expected:
        assert found == expected
        return
    pattern = "\n".join(r"(?:.*\n)*?.*" if line == "..." else re.escape(line) for line in expected)
    assert re.fullmatch(pattern, "\n".join(found)), "\n".join(found)


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in _anchors(path), f"{page}: {target}"


def _anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def _manual() -> str:
    return "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES if page != "CHANGELOG.md")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example(verb: str) -> None:
    assert any(words[:1] == [verb] for page in PAGES for words in seqcli_lines(page))


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml")))
def test_every_recipe_is_named(recipe: str) -> None:
    assert f"`{recipe}`" in _manual()


def test_the_readme_lists_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(row) for row in rows] == sorted(ExitCode)


def test_the_catalogue_tells_the_size_of_the_corpus_that_comes_with_the_package() -> None:
    folder = ROOT / "seqcli" / "data" / "embedded" / "mini-ner"
    lines = [line for path in folder.glob("*.conll") for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    tokens = sum(map(bool, lines))
    assert data_set("mini-ner").size == f"{len(lines) - tokens:,} sentences, {tokens:,} tokens"
