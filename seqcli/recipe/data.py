"""The data section: which corpus, in which format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from seqcli.recipe.base import Config
from seqcli.recipe.registry import FORMATS

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[*FORMATS]
Paths = str | list[str] | None


class DataConfig(Config):
    """Where the examples come from: a data set of the catalogue, or files. A file wins over the catalogue's split."""

    corpus: str | None = Field(None, description="name of a data set in the catalogue ('seqcli data ls')")
    train: Paths = Field(
        None,
        description="training file or files (.gz is read too), relative to the recipe's folder (given with --set or --data: "
        "to where seqcli runs); parallel text as one path, 'train.{en,de}', the source's name first; or a folder in the "
        "csv-folders or media-folders format",
    )
    dev: Paths = Field(None, description="development file or files, for early stopping and choosing the best step")
    test: Paths = Field(None, description="test file or files, measured once at the end")
    format: Format | None = Field(None, description="format of the files (default: the catalogue's, or by file name)")
    columns: dict[str, int | str] | None = Field(
        None,
        description="column of each field: a number from 0 (negative from the end) or a name "
        "(csv, tsv: of the header; conllu: form, lemma, upos, xpos, ...; jsonl: key), such as {token: 0, tag: -1} or "
        "{text: review, label: stars} (default of csv, tsv, jsonl: what the file's first rows show); of ts only {target: -1}: the "
        "last part of a line is the label also where no header says so",
    )
    separator: str | None = Field(
        None,
        description="between token and tag in the inline format (default: /); between the columns of csv (default: comma, "
        "semicolon, tab or bar, whichever the file has)",
    )
    blank_lines: Literal["skip", "keep"] | None = Field(
        None,
        description="blank lines of the lines format: skip, or keep each as an empty example, as a running text "
        "has them (default: the catalogue's, else skip)",
    )
    record_start: str | None = Field(
        None,
        min_length=1,
        description="what the first line of each record begins with in the records format, such as "
        "'X:' in ABC files; lines outside a record are left out (default: the catalogue's, else none: a record is what "
        "stands between blank lines)",
    )
    images: str | None = Field(
        None,
        description="of captions: the folder of the images (default: that of the file that names them), or a .npy of "
        "stored features whose rows are named, a line each, in X.txt or names.txt beside it",
    )
    captions: str | None = Field(
        None, description="a file of captions; those of a split are then lists of images, a name a line"
    )
    dev_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the training examples kept for development where there is no dev file, chosen by their "
        "text; with blank_lines: keep the end of the text",
    )
    train_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the training examples that is trained on, chosen by their text; with blank_lines: keep the "
        "beginning of the text",
    )
    train_draw: int = Field(0, ge=0, le=2**31 - 1, description="another number chooses other examples for train_share")
    train_steps: int | None = Field(
        None,
        ge=1,
        description="of series: the first steps of each are for training; null: all that come before those of dev and test",
    )
    dev_steps: int | None = Field(
        None,
        ge=1,
        description="of series: so many steps, those behind the ones for training, are predicted for development, where "
        "there is no dev file",
    )
    test_steps: int | None = Field(
        None,
        ge=1,
        description="of series: so many steps, those behind the ones of dev, are predicted for the test, where there is no "
        "test file",
    )
    missing: list[float] = Field(
        [], description="of series: numbers that stand for a missing value, such as -200, beside an empty cell and NaN"
    )
    frequency: str | None = Field(
        None,
        description="of series: what lies between two steps, such as '1 hour', '1 month' or '1 business day' (default: what the "
        "times show)",
    )
    gaps: Literal["refuse", "fill", "ignore"] = Field(
        "refuse",
        description="steps in time that a series leaves out: an error; rows of missing values; or none are seen, each row is "
        "the step behind the one before, as of days on which a market is open",
    )
    train_on_dev: bool = Field(
        False,
        description="train on the development examples too, once all is chosen: nothing stops the training early then, and "
        "the last step is kept",
    )
    max_line: int = Field(64 * 2**20, ge=1, le=2**40, description="longest line accepted, in bytes")
    max_length: int = Field(
        1000,
        ge=1,
        description="longest sequence in one piece, in tokens; a longer one is cut into pieces, and that is said (a "
        "model that is counted, such as bag-of-words or ngram, reads it whole)",
    )
