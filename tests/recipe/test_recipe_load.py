"""The loader: golden messages, --set, origins, names and paths, confinement."""

import math
from pathlib import Path

import pytest

from seqcli.errors import ExitCode, UserError, UserErrors
from seqcli.recipe import folder
from seqcli.recipe.folder import find_recipe, recipe_names
from seqcli.recipe.load import load_recipe, recipe_from_text

GOOD = """\
name: r
task: {kind: tagging}
data: {corpus: mini-ner}
source: {kind: text, tokenizer: {kind: words}}
model:
  embedder: {kind: tokens, dim: 10}
  encoder:
    kind: lstm
    dim: 20
  head: {kind: softmax}
training:
  epochs: 3
"""


def load(text=GOOD, *overrides, **options):
    return recipe_from_text(text, name="bad.yaml", overrides=overrides, **options)


def errors(text=GOOD, *overrides):
    with pytest.raises(UserErrors) as caught:
        load(text, *overrides)
    assert caught.value.code == ExitCode.USAGE
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    dim: 20", "    dimm: 20", "bad.yaml:9:5: model.encoder.dimm: unknown key. Did you mean 'dim'?"),
        ("training:", "trainig:", "bad.yaml:11:1: trainig: unknown key. Did you mean 'training'?"),
        (
            "  epochs: 3",
            "  zzz: 3",
            "bad.yaml:12:3: training.zzz: unknown key. Known here: seed, epochs, max_steps, "
            "min_steps, max_minutes, batch, accumulate, optimizer, schedule, clip_norm, ema, average, average_of, "
            "precision, evaluate_every, patience, patience_steps, select_by, keep_checkpoints.",
        ),
        ("kind: lstm", "kind: lsmt", "bad.yaml:8:11: model.encoder: unknown encoder 'lsmt'. Did you mean 'lstm'?"),
        (
            "{kind: softmax}",
            "{kind: 3}",
            "bad.yaml:10:16: model.head: unknown head '3'. Known: softmax, crf, sigmoid, adaptive, ctc, direct, shifted, segments, stepwise, fill",
        ),
        (
            "{kind: softmax}",
            "{}",
            "bad.yaml:10:3: model.head: 'kind' is missing; one of softmax, crf, sigmoid, adaptive, ctc, direct, shifted, segments, stepwise, fill",
        ),
        (
            "{kind: softmax}",
            "softmax",
            "bad.yaml:10:9: model.head: expected a section with a 'kind', found the text 'softmax'",
        ),
        (
            "  head: {kind: softmax}\n",
            "  head: {kind: adaptive, cutoffs: [20, 10]}\n",
            "bad.yaml:10:3: model.head: cutoffs must rise from one to the next, the first at least 1",
        ),
        ("data: {corpus: mini-ner}\n", "", "bad.yaml:1:1: data: missing (the examples)"),
        ("epochs: 3", "epochs: ten", "bad.yaml:12:11: training.epochs: expected a whole number, found the text 'ten'"),
        (
            "epochs: 3",
            "epochs: '3'",
            "bad.yaml:12:11: training.epochs: expected a whole number, found the text '3'. Take the quotes off.",
        ),
        ("epochs: 3", "epochs: 3.0", "bad.yaml:12:11: training.epochs: expected a whole number, found 3.0. Write 3."),
        ("epochs: 3", "epochs: 1.5", "bad.yaml:12:11: training.epochs: expected a whole number, found 1.5"),
        (
            "epochs: 3",
            "epochs: true",
            "bad.yaml:12:11: training.epochs: expected a whole number, found true (a boolean)",
        ),
        ("epochs: 3", "epochs: 0", "bad.yaml:12:11: training.epochs: expected at least 1, found 0"),
        ("epochs: 3", "epochs:", "bad.yaml:12:10: training.epochs: expected a whole number, found nothing (null)"),
        ("epochs: 3", "epochs: [1, 2]", "bad.yaml:12:11: training.epochs: expected a whole number, found a list of 2"),
        ("epochs: 3", "batch: 5", "bad.yaml:12:10: training.batch: expected a section (key: value), found 5"),
        ("epochs: 3", "ema: true", "bad.yaml:12:8: training.ema: expected a number, found true (a boolean)"),
        ("epochs: 3", "clip_norm: .inf", "bad.yaml:12:14: training.clip_norm: expected a finite number, found .inf"),
        (
            "epochs: 3",
            "precision: fp16",
            "bad.yaml:12:14: training.precision: expected one of auto, fp32, bf16, "
            "found the text 'fp16'. Did you mean 'bf16'?",
        ),
        (
            "epochs: 3",
            "optimizer: {kind: adam, betas: [0.9]}",
            "bad.yaml:12:34: training.optimizer.betas: the list has too few items",
        ),
        (
            "epochs: 3",
            "optimizer: {kind: adam, betas: [0.9, x]}",
            "bad.yaml:12:40: training.optimizer.betas.1: expected a number, found the text 'x'",
        ),
        ("name: r", "name: no", 'bad.yaml:1:7: name: expected text, found no (a boolean). For the text, write "no".'),
        ("name: r", "name: 12", 'bad.yaml:1:7: name: expected text, found 12. For the text, write "12".'),
        (
            "name: r",
            "name: My Model",
            "bad.yaml:1:7: name: expected lower-case letters, digits, '.', '_' and '-', "
            "a letter or digit first, found the text 'My Model'",
        ),
        (
            "corpus: mini-ner",
            "train: 5",
            'bad.yaml:3:15: data.train: expected text or a list, found 5. For the text, write "5".',
        ),
        (
            "corpus: mini-ner",
            "train: [a, 5]",
            'bad.yaml:3:19: data.train.1: expected text, found 5. For the text, write "5".',
        ),
        (
            "corpus: mini-ner",
            "columns: {token: 0.5}",
            'bad.yaml:3:25: data.columns.token: expected a whole number or text, found 0.5. For the text, write "0.5".',
        ),
        (
            "source: {kind: text,",
            "source: {kind: txt,",
            "bad.yaml:4:16: source: unknown source 'txt'. Did you mean 'text'?",
        ),
        (
            "source: {kind: text,",
            "source: {missing: mask,",
            "bad.yaml:4:10: source.missing: unknown key. Did you mean 'data.missing'?",
        ),
        (
            "source: {kind: text",
            "target: {scheme: bio}\nsource: {kind: text",
            "bad.yaml:4:1: target: 'kind' is missing; one of tags, labels, text, series",
        ),
        (
            "model:\n",
            "model:\n  kind: netwrok\n",
            "bad.yaml:6:9: model: unknown model 'netwrok'. Did you mean 'network'?",
        ),
        (
            "kind: lstm\n    dim: 20",
            "kind: transformer\n    dim: 10",
            "bad.yaml:7:3: model.encoder: dim (10) is not a multiple of heads (4)",
        ),
        (
            "model:\n",
            "model:\n  kind: encoder-decoder\n  decoder: {kind: transformer, dim: 10}\n",
            "bad.yaml:7:3: model.decoder: dim (10) is not a multiple of heads (4)",
        ),
        (
            "model:\n",
            "model:\n  kind: encoder-decoder\n  decoder: {kind: gru, attention: none, input_feeding: true}\n",
            "bad.yaml:7:3: model.decoder: input_feeding needs an attention",
        ),
    ],
)
def test_one_error(old, new, expected):
    assert old in GOOD
    assert errors(GOOD.replace(old, new)) == [expected]


def test_every_error_at_once_in_the_order_of_the_file():
    text = GOOD.replace("kind: words", "kind: wrods").replace("dim: 20", "dim: -1\n    dim: 2")
    text = text.replace("epochs", "epoch")
    assert errors(text + "patience: &x 3\n", "data.corpos=x", "training.seed=x") == [
        "bad.yaml:4:40: source.tokenizer: unknown tokenizer 'wrods'. Did you mean 'words'?",
        "bad.yaml:9:10: model.encoder.dim: expected at least 1, found -1",
        "bad.yaml:10:5: duplicate key 'dim', first given in line 9. Keep one of the two.",
        "bad.yaml:13:3: training.epoch: unknown key. Did you mean 'epochs'?",
        "bad.yaml:14:11: anchor '&x': recipes have no anchors and aliases. Write the value out.",
        "--set data.corpos=x: data.corpos: unknown key. Did you mean 'corpus'?",
        "--set training.seed=x: training.seed: expected a whole number, found the text 'x'",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "bad.yaml: the recipe is empty. 'seqcli recipes cp ner my.yaml' gives one to start from."),
        (
            "# only a remark\n\n",
            "bad.yaml: the recipe is empty. 'seqcli recipes cp ner my.yaml' gives one to start from.",
        ),
        ("- a\n- b\n", "bad.yaml:1:1: expected a mapping (name: ..., task: ...), found a list"),
        ("\nhello\n", "bad.yaml:2:1: expected a mapping (name: ..., task: ...), found a single value"),
    ],
)
def test_a_file_that_is_no_recipe(text, expected):
    assert errors(text) == [expected]


def test_values_that_are_fine():
    text = GOOD.replace(
        "epochs: 3", "optimizer: {kind: adamw, lr: 1e-3, betas: [0, 0.5]}\n  clip_norm: 1\n  seed: 1_000"
    )
    training = load(text.replace("name: r", 'name: "12"\ndescription: 12:30')).recipe.training
    assert training.optimizer.lr == 0.001
    assert training.optimizer.betas == (0.0, 0.5)
    assert (training.clip_norm, type(training.clip_norm)) == (1.0, float)
    assert training.seed == 1000
    assert load(GOOD.replace("name: r", "name: r\ndescription: 12:30")).recipe.description == "12:30"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.encoder.dimm=5", "model.encoder.dimm: unknown key. Did you mean 'dim'?"),
        ("training.lr=1", "training.lr: unknown key. Did you mean 'training.optimizer.lr'?"),
        ("clip_norm=1", "clip_norm: unknown key. Did you mean 'training.clip_norm'?"),
        ("modle.encoder.dim=5", "modle: unknown key. Did you mean 'model'?"),
        ("training.epochs=x", "training.epochs: expected a whole number, found the text 'x'"),
        ("training.epochs", "expected a.b=value, such as training.optimizer.lr=1e-3"),
        ("training..epochs=3", "expected a.b=value, such as training.optimizer.lr=1e-3"),
        ("training.epochs=", "nothing stands after the '='. For no value at all, write training.epochs=null."),
        ("training.epochs=# x", "nothing stands after the '='"),
        (
            "training.epochs=[1",
            "not valid YAML: did not find expected ',' or ']'. Is the bracket of line 1, column 1 closed?",
        ),
        ("name.x=1", "name is a value, not a section. Set it as a whole."),
        ("data.train=\udcff", "invalid UTF-8"),
        (
            "model.encoder={kind: gru, peepholes: true}",
            "model.encoder.peepholes: unknown key. Known here: kind, dim, layers, sizes, bidirectional, residual, layer_norm, "
            "dropout, locked_dropout.",
        ),
    ],
)
def test_set_that_is_wrong(override, expected):
    assert errors(GOOD, override) == [f"--set {override}: {expected}"]


def test_set_goes_through_the_same_rules():
    loaded = load(
        GOOD,
        "training.optimizer={kind: sgd, lr: 1e-1}",
        "training.schedule.warmup=7",
        "source.vocabulary.max_size=50",
        "data.train=[a.conll, b.conll]",
        "model.encoder.dim=64",
    )
    recipe = loaded.recipe
    assert (recipe.training.optimizer.kind, recipe.training.optimizer.lr) == ("sgd", 0.1)
    assert (recipe.training.schedule.kind, recipe.training.schedule.warmup) == ("constant", 7)
    assert recipe.source.vocabulary.max_size == 50
    assert recipe.data.train == ["a.conll", "b.conll"]
    assert recipe.model.encoder.dim == 64


def test_another_kind_drops_nothing_in_silence():
    text = GOOD.replace("    dim: 20", "    dim: 20\n    peepholes: true")
    assert errors(text, "model.encoder.kind=gru") == [
        "bad.yaml:10:5: model.encoder.peepholes: unknown key for the kind 'gru' that --set model.encoder.kind=gru "
        "asks for. Set the whole section: --set 'model.encoder={kind: gru, ...}'."
    ]
    assert load(text, "model.encoder={kind: gru, dim: 9}").recipe.model.encoder.dim == 9


def test_origins():
    origins = load(GOOD, "model.encoder.dim=64", "training.schedule.warmup=7").origins
    assert origins["name"] == "file"
    assert origins["model.encoder.kind"] == "file"
    assert origins["model.encoder.dim"] == "--set"
    assert origins["model.encoder.layers"] == "default"
    assert origins["training.schedule.kind"] == "default"
    assert origins["training.schedule.warmup"] == "--set"
    assert set(origins.values()) == {"file", "--set", "default"}


OLD = """\
name: r
task: {kind: tagging, scheme: bio, labels: binary}
data: {corpus: mini-ner}
text: {tokenizer: {kind: words}}
model: {encoder: {kind: lstm}}
"""
BEFORE = "this is how recipes were written before: "
NOW = ". 'seqcli recipes show NAME' prints a recipe as it is written now."


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        (
            OLD,
            [],
            f"bad.yaml:2:23: {BEFORE}'task.scheme' is now target.scheme (kind: tags); 'task.labels' is now "
            f"target.labels; 'text' is now source (kind: text){NOW}",
        ),
        (
            GOOD,
            ["text.vocabulary.min_count=2"],
            f"--set text.vocabulary.min_count=2: {BEFORE}'text' is now source (kind: text){NOW}",
        ),
        (
            GOOD.replace("kind: lstm\n    dim: 20", "kind: ngram\n    order: 3"),
            ["task.scheme=bio"],
            f"bad.yaml:8:5: {BEFORE}'task.scheme' is now target.scheme (kind: tags); 'model.encoder.kind: ngram' is now "
            f"a model of its own, model: {{kind: ngram, ...}}{NOW}",
        ),
        (
            "name: r\ntask: {kind: embedding, window: 3}\ndata: {corpus: sotu}\nmodel: {embedder: {kind: tokens}}\n",
            [],
            f"bad.yaml:2:8: {BEFORE}'task.kind: embedding' is now word-vectors; 'task.window' is now model.window{NOW}",
        ),
        (
            GOOD.replace("{kind: tokens, dim: 10}", "{kind: frames, missing: mask, scaling: none}"),
            [],
            f"bad.yaml:6:28: {BEFORE}'model.embedder.missing' is now source.missing (kind: frames); "
            f"'model.embedder.scaling' is now source.scaling{NOW}",
        ),
    ],
)
def test_what_has_moved_is_told_in_one_line(text, overrides, expected):
    assert errors(text, *overrides) == [expected]


def test_an_old_recipe_that_is_no_yaml_either():
    assert errors(OLD + "data: {}\n") == [
        "bad.yaml:6:1: duplicate key 'data', first given in line 3. Keep one of the two.",
        f"bad.yaml:2:23: {BEFORE}'task.scheme' is now target.scheme (kind: tags); 'task.labels' is now target.labels; "
        f"'text' is now source (kind: text){NOW}",
    ]


@pytest.mark.parametrize(
    ("task", "target"),
    [
        ("tagging", "tags"),
        ("classification", "labels"),
        ("translation", "text"),
        ("language-model", None),
        ("word-vectors", None),
    ],
)
def test_a_task_has_its_target(task, target):
    text = f"name: r\ntask: {{kind: {task}}}\ndata: {{corpus: x}}\n" + PARTS[task]
    loaded = load(text)
    assert (loaded.recipe.target and loaded.recipe.target.kind) == target
    assert load(text + "target: null\n").recipe == loaded.recipe
    assert set(value for path, value in loaded.origins.items() if path.startswith("target")) == {"default"}


PARTS = {
    "tagging": "model: {embedder: {kind: tokens}, encoder: {kind: bag}, head: {kind: softmax}}\n",
    "classification": "model: {kind: bag-of-words}\n",
    "translation": (
        "model: {kind: encoder-decoder, embedder: {kind: tokens, dim: 8}, encoder: {kind: gru}, decoder: {kind: gru}, "
        "head: {kind: softmax}}\n"
    ),
    "language-model": "model: {kind: ngram}\n",
    "word-vectors": "model: {kind: skip-gram}\n",
}


def test_what_is_not_said_has_the_kind_by_default():
    loaded = load(
        GOOD.replace("source: {kind: text, ", "source: {"), "target.scheme=bio", "source.vocabulary={min_count: 2}"
    )
    assert (loaded.recipe.source.kind, loaded.recipe.source.tokenizer.kind) == ("text", "words")
    assert (loaded.recipe.target.kind, loaded.recipe.target.scheme) == ("tags", "bio")
    assert loaded.recipe.model.kind == "network"
    kinds = {name: loaded.origins[f"{name}.kind"] for name in ("source", "target", "model")}
    assert kinds == {"source": "default", "target": "default", "model": "default"}
    without = GOOD.replace("source: {kind: text, tokenizer: {kind: words}}\n", "")
    assert load(without).recipe.source.tokenizer.kind == "whitespace"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            GOOD.replace("source: {kind: text, tokenizer: {kind: words}}", "source: {kind: frames}"),
            "bad.yaml:4:1: source: the task tagging does not read frames. It reads text.",
        ),
        (
            GOOD + "target: {kind: labels, separator: ','}\n",
            "bad.yaml:13:1: target: the task tagging has no target of kind labels. Set target: {kind: tags}.",
        ),
        (
            GOOD + "target: {kind: tags, labels: binary}\n",
            "bad.yaml:13:30: target.labels: binary needs target.scheme, the scheme of the data. Without a scheme tags are "
            "labels of single tokens, not of spans.",
        ),
        (
            GOOD.replace("  head: {kind: softmax}\n", ""),
            "bad.yaml:5:1: model.head: is missing; the task tagging needs it. 'seqcli components' lists the kinds of head.",
        ),
        (
            GOOD + "  select_by: acuracy\n",
            "bad.yaml:13:14: training.select_by: there is no dev score 'acuracy'. Did you mean 'accuracy'?",
        ),
        (
            GOOD.replace("tagging", "language-model"),
            "bad.yaml:7:3: model.encoder.bidirectional: a language model reads forwards only, or it would see the token "
            "it should predict. Set bidirectional: false.",
        ),
        (
            GOOD.replace("tagging", "classification"),
            "bad.yaml:5:1: model.pooling: is missing; the task classification needs it. 'seqcli components' lists the "
            "kinds of pooling.",
        ),
        (
            GOOD.replace("tagging", "word-vectors").replace("training:\n  epochs: 3\n", ""),
            "bad.yaml:5:1: model.kind: network makes no word vectors. model: {kind: skip-gram, dim: 100}, or cbow.",
        ),
        (
            "name: r\ntask: {kind: classification}\ndata: {corpus: x}\ntarget: {kind: tags}\nmodel: {kind: majority}\n",
            "bad.yaml:4:1: target: the task classification has no target of kind tags. Set target: {kind: labels}.",
        ),
    ],
)
def test_rules_of_a_task_are_told_where_they_are_broken(text, expected):
    assert errors(text) == [expected]


def test_rules_are_told_together_and_of_set_too():
    assert errors(GOOD, "model.pooling={kind: max}", "target.model_scheme=bioes") == [
        "--set model.pooling={kind: max}: model.pooling: the task tagging has none. Leave it out.",
        "--set target.model_scheme=bioes: target.model_scheme: needs target.scheme, the scheme of the data. Without a "
        "scheme tags are labels of single tokens, not of spans.",
    ]


def test_thousands_of_errors_are_told_in_short():
    unknown = errors(GOOD + "".join(f"  key{number}: 1\n" for number in range(20_000)))
    assert len(unknown) == 101
    assert unknown[0].startswith("bad.yaml:13:3: training.key0: unknown key.")
    assert unknown[-1] == "bad.yaml: 19,900 more errors like these"
    assert len(errors(GOOD + "  seed: 1\n" * 20_000)) == 100


def test_recipe_is_frozen():
    recipe = load().recipe
    with pytest.raises(ValueError, match="frozen"):
        recipe.training.epochs = 5


def test_our_recipes_load_by_name_and_path():
    assert "ner" in recipe_names()
    for name in recipe_names():
        loaded = load_recipe(name)
        assert loaded.recipe.name == name
        assert load_recipe(str(loaded.path)) == load_recipe(loaded.path) == loaded


def test_recipes_lie_in_the_package_or_next_to_it(tmp_path, monkeypatch):
    package = tmp_path / "seqcli"
    package.mkdir()
    monkeypatch.setattr(folder, "_PACKAGE", package)
    assert folder.recipe_names() == []
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "a.yaml").write_text(GOOD)
    assert (folder.recipe_folder(), folder.recipe_names()) == (tmp_path / "recipes", ["a"])
    (package / "recipes").mkdir()
    (package / "recipes" / "b.yaml").write_text(GOOD)
    assert (folder.recipe_folder(), folder.recipe_names()) == (package / "recipes", ["b"])
    assert load_recipe("b").recipe.name == "r"


def test_names_and_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^no recipe is called 'nre'\. Did you mean 'ner'\?") as caught:
        load_recipe("nre")
    assert caught.value.code == ExitCode.USAGE
    with pytest.raises(UserError) as caught:
        load_recipe("recipes/ner.yaml")
    assert str(caught.value) == "recipes/ner.yaml: no such file. The recipe that comes with seqcli is called 'ner'."
    with pytest.raises(UserError) as caught:
        load_recipe("other.yaml")
    assert str(caught.value) == "other.yaml: cannot read: No such file or directory"
    assert caught.value.code == ExitCode.IO
    (tmp_path / "mine").write_text(GOOD)
    assert load_recipe("mine").recipe.name == "r"
    with pytest.raises(UserError, match="no such file"):
        find_recipe(Path("ner"))  # a Path is a path


def test_bytes_of_a_file(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_recipe(path).recipe == load().recipe
    path.write_bytes(GOOD.encode() + b"# caf\xe9\n")
    with pytest.raises(UserError) as caught:
        load_recipe(path)
    assert str(caught.value) == f"{path}:13: invalid UTF-8 at byte 6 of the line (0xe9). Save the recipe as UTF-8."
    assert caught.value.code == ExitCode.DATA
    path.write_bytes(b"# x\n" * 2**18 + b"#")
    with pytest.raises(UserError, match="larger than 1,048,576 bytes"):
        load_recipe(path)


@pytest.mark.parametrize(
    "value",
    ["../train.conll", "a/../../b", "/etc/passwd", "~/x", "'C:\\x'", "'..\\x'", "'\\\\server\\x'", "link/x.conll"],
)
def test_a_downloaded_recipe_stays_in_its_folder(tmp_path, value):
    (tmp_path / "model").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.conll").touch()
    (tmp_path / "model" / "link").symlink_to(tmp_path / "elsewhere")
    text = GOOD.replace("{corpus: mini-ner}", f"{{train: [inside.conll, {value}]}}")
    with pytest.raises(UserErrors) as caught:
        load(text, confine_to=tmp_path / "model")
    shown = value.strip("'")
    assert caught.value.code == ExitCode.DATA
    assert str(caught.value) == (
        f"bad.yaml:3:30: data.train.1: a path out of the model's folder ('{shown}'). "
        "The recipe of a model may name only files inside it."
    )
    assert load(text).recipe.data.train == ["inside.conll", shown]


def test_what_a_downloaded_recipe_may_say(tmp_path):
    text = GOOD.replace("{corpus: mini-ner}", "{train: sub/a..b.conll, separator: /}")
    loaded = load("description: /etc is only mentioned\n" + text, "data.test=/data/mine.conll", confine_to=tmp_path)
    assert loaded.recipe.data.test == "/data/mine.conll"
    assert math.isclose(loaded.recipe.training.clip_norm, 5.0)
