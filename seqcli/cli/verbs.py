"""The verbs: name -> (module whose ``command`` it is, one line of help). Frozen in a test; loaded one at a time."""

from __future__ import annotations

VERBS: dict[str, tuple[str, str]] = {
    "start": ("seqcli.cli.start", "Look at your own files and write a recipe that fits them."),
    "train": ("seqcli.cli.train", "Train a model from a recipe."),
    "evaluate": ("seqcli.cli.evaluate", "Measure a trained model on a data set."),
    "predict": ("seqcli.cli.predict", "Run a trained model over lines of input."),
    "translate": ("seqcli.cli.translate", "Translate lines of text."),
    "caption": ("seqcli.cli.caption", "Write captions for images."),
    "transcribe": ("seqcli.cli.transcribe", "Write down what is said in recordings."),
    "forecast": ("seqcli.cli.forecast", "Forecast the next values of series."),
    "sample": ("seqcli.cli.sample", "Sample text from a language model."),
    "score": ("seqcli.cli.score", "Log-probability of each line by a language model."),
    "complete": ("seqcli.cli.complete", "List the most probable next words after a text."),
    "neighbors": ("seqcli.cli.neighbors", "The words nearest to a word."),
    "analogy": ("seqcli.cli.analogy", "Complete an analogy: man is to woman as king is to ?"),
    "vectors": ("seqcli.cli.vectors", "Write the word vectors of a model to a file."),
    "models": ("seqcli.cli.models", "List, show, export, copy, remove, pack and unpack models."),
    "recipes": ("seqcli.cli.recipes", "List, show, copy and validate recipes."),
    "components": ("seqcli.cli.components", "List every component kind with its options."),
    "data": ("seqcli.cli.data", "List, fetch, describe and check data sets."),
    "features": ("seqcli.cli.features", "Compute what models read of photographs, recordings and clips."),
    "tokenize": ("seqcli.cli.tokenize", "Cut lines of text into tokens."),
    "detokenize": ("seqcli.cli.detokenize", "Put tokens back together into text."),
    "vocab": ("seqcli.cli.vocab", "Build, show and use vocabularies."),
    "bleu": ("seqcli.cli.bleu", "BLEU of a translation against references."),
    "chrf": ("seqcli.cli.chrf", "chrF of a translation against references."),
    "ter": ("seqcli.cli.ter", "Translation edit rate against references."),
    "wer": ("seqcli.cli.wer", "Word (or character) error rate of a transcript."),
    "spans": ("seqcli.cli.spans", "Strict span precision, recall and F1 of two CoNLL files."),
    "accuracy": ("seqcli.cli.accuracy", "Accuracy, macro F1 and confusion of two files of labels."),
}
