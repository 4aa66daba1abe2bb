"""How the text of a recording is searched for: options of ``transcribe`` and ``evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli.options import Running
from seqcli.errors import usage_error

if TYPE_CHECKING:
    from seqcli.tasks.transcription import Decoding, TranscriptionTask


@dataclass(frozen=True, kw_only=True)
class Searching:
    """How the text is searched for: with the recipe's beam, or a language model and a lexicon beside the network."""

    beam: Annotated[
        int | None,
        typer.Option(
            help="Speech: texts followed side by side; 1 takes the likeliest path (default: the recipe's; with --lm or "
            "--lexicon 16).",
            min=1,
            show_default=False,
        ),
    ] = None
    lm: Annotated[
        str | None,
        typer.Option("--lm", metavar="MODEL", help="Speech: a trained language model of words or of the same units."),
    ] = None
    lm_weight: Annotated[
        float, typer.Option("--lm-weight", help="Speech: what ln p of the language model counts.", min=0)
    ] = 0.5
    word_bonus: Annotated[
        float, typer.Option("--word-bonus", help="Speech: added for each token of the language model.")
    ] = 0.0
    lexicon: Annotated[
        str | None, typer.Option("--lexicon", metavar="FILE", help="Speech: the only words there are.")
    ] = None
    ctc_weight: Annotated[
        float | None,
        typer.Option(
            "--ctc-weight",
            help="Speech, of a decoder with CTC beside it: what CTC counts in the search, 0 to 1 (default: the recipe's).",
            min=0,
            max=1,
            show_default=False,
        ),
    ] = None

    def decoding(self, task: TranscriptionTask, running: Running) -> Decoding:
        """What was asked for, of a loaded task.

        Raises:
            UserError: a weight for a model that has not both CTC and a decoder, a language model of other units (2).
        """
        from seqcli.pipeline.language import load_language_model
        from seqcli.pipeline.transcribe import fusion_of
        from seqcli.store.runs import Store
        from seqcli.tasks.transcription import Decoding

        if self.ctc_weight is not None and not (task.generates and task.has_ctc):
            raise usage_error(
                "--ctc-weight weighs CTC against a decoder, and the model has not both",
                hint="Leave it out, or train one with model.kind: encoder-decoder and task.ctc_weight above 0.",
            )
        language = None
        if self.lm is not None:
            run = Store(running.runs).resolve(self.lm, task_kinds=("language-model",))
            language = load_language_model(run)
        fusion = fusion_of(task, language, weight=self.lm_weight, bonus=self.word_bonus, lexicon=self.lexicon)
        beam = self.beam or (task.config.beam if fusion is None else max(16, task.config.beam))
        return Decoding(beam, fusion, ctc=task.decoding.ctc if self.ctc_weight is None else self.ctc_weight)

    def set_up(self, task: TranscriptionTask, running: Running) -> None:
        """Let a loaded task search so."""
        task.decoding = self.decoding(task, running)

    @property
    def is_asked(self) -> bool:
        asked = (self.beam, self.lm, self.lexicon, self.ctc_weight)
        return any(one is not None for one in asked)
