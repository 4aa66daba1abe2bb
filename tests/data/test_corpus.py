import pytest

from seqcli.data import catalogue
from seqcli.data.chunks import chunks
from seqcli.data.corpus import open_corpus
from seqcli.errors import UserError
from seqcli.recipe.data import DataConfig


def numbered(tmp_path, count, name="train.conll"):
    path = tmp_path / name
    path.write_text("".join(f"w{number} O\n\n" for number in range(count)))
    return str(path)


def failure(**fields):
    def read_all():
        corpus = open_corpus(DataConfig(**fields))
        for split in corpus.splits:
            list(corpus.examples(split))

    with pytest.raises(UserError) as caught:
        read_all()
    return caught.value


def test_the_embedded_corpus_needs_nothing():
    corpus = open_corpus(DataConfig(corpus="mini-ner"))
    assert corpus.splits == ("train", "dev", "test")
    assert catalogue.data_set("mini-ner").scheme == "bio"
    assert corpus.reading("train").format == "conll"
    assert len(next(corpus.examples("train")).source) > 0


def test_a_file_wins_over_the_catalogue(tmp_path):
    corpus = open_corpus(DataConfig(corpus="mini-ner", test=numbered(tmp_path, 2, "mine.txt")))
    assert [example.source for example in corpus.examples("test")] == [["w0"], ["w1"]]
    assert corpus.files("train")[0].parent.name == "mini-ner"
    assert corpus.reading("test").format == "conll"


def test_several_files_make_one_split(tmp_path):
    first, second = numbered(tmp_path, 2), numbered(tmp_path, 1, "more.conll")
    corpus = open_corpus(DataConfig(train=[first, second]))
    assert [example.at for example in corpus.examples("train")] == [f"{first}:1", f"{first}:3", f"{second}:1"]


def test_dev_share_divides_the_training_files_the_same_way_in_parts(tmp_path):
    path = numbered(tmp_path, 1000)
    corpus = open_corpus(DataConfig(train=path, dev_share=0.2))
    train, dev = ([example.source[0] for example in corpus.examples(split)] for split in ("train", "dev"))
    assert corpus.splits == ("train", "dev")
    assert sorted(train + dev) == sorted(f"w{number}" for number in range(1000))
    assert 150 < len(dev) < 250
    assert dev[:3] == ["w1", "w8", "w9"]  # the same on every machine
    parts = [example.source[0] for part in chunks(path, "conll", 500) for example in corpus.part_examples("dev", part)]
    assert parts == dev
    assert open_corpus(DataConfig(train=path, dev=path, dev_share=0.2)).dev_share is None


def test_the_fingerprint_knows_bytes_and_options(tmp_path):
    def fingerprint(split="train", **fields):
        return open_corpus(DataConfig(**fields)).fingerprint(split)

    path = numbered(tmp_path, 3)
    before = fingerprint(train=path)
    assert before == fingerprint(train=path, format="conll")  # what was guessed and what was said are the same
    assert before != fingerprint(train=path, columns={"token": 1, "tag": 0})
    assert fingerprint(train=path, dev_share=0.5) not in (before, fingerprint("dev", train=path, dev_share=0.5))
    copy = numbered(tmp_path, 3, "copy.conll")
    assert before == fingerprint(train=copy)
    numbered(tmp_path, 4)
    assert before != fingerprint(train=path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the train file is empty"),
        ("\n \n\t\n", "no example: the file is empty or has only blank lines"),
        ("a O\n\nb\n", "1 column where the file's first line has 2"),
    ],
)
def test_bad_files_end_in_65(tmp_path, content, message):
    path = tmp_path / "x.conll"
    path.write_text(content)
    error = failure(train=str(path))
    assert (error.file, error.code) == (str(path), 65)
    assert message in error.message


def test_missing_files_say_what_was_looked_for(tmp_path):
    numbered(tmp_path, 1)
    error = failure(train=str(tmp_path / "trian.conll"))
    assert (error.code, error.message, error.hint) == (
        74,
        f"there is no such train file (looked in {tmp_path})",
        "Did you mean 'train.conll'?",
    )
    assert str(failure(train=str(tmp_path), format="conll")) == f"{tmp_path}: is a folder, not the train file"
    assert str(failure(train=str(tmp_path))) == (  # a folder may hold frames
        f"{tmp_path}: no sequences (.csv, .npy): expected a folder for each label, with such files in it"
    )
    assert failure(train=str(tmp_path / "no" / "x.conll")).hint == f"The folder '{tmp_path / 'no'}' does not exist."


def test_nothing_to_train_on_and_an_unknown_data_set(tmp_path):
    assert failure().code == 2
    assert str(failure(corpus="minner")) == "no data set is called 'minner'. Did you mean 'mini-ner'?"
    assert failure(train=numbered(tmp_path, 2), dev_share=0.000001).message == (
        "dev_share 1e-06 leaves no example for dev"
    )


def test_once_all_is_chosen_the_development_split_trains_too(tmp_path):
    for name, text in (("train", "a"), ("dev", "b"), ("test", "c")):
        (tmp_path / name).write_text(f"{text}\n")
    files = {name: str(tmp_path / name) for name in ("train", "dev", "test")}
    config = DataConfig(**files, format="lines", train_on_dev=True)
    corpus = open_corpus(config)
    assert corpus.splits == ("train", "test")
    assert [one.source for one in corpus.examples("train")] == ["a", "b"]
    assert open_corpus(config, splits=("train",)).fingerprint("train") == corpus.fingerprint("train")
    assert corpus.fingerprint("train") != open_corpus(DataConfig(**files, format="lines")).fingerprint("train")
    assert open_corpus(config, splits=("dev", "test")).splits == ("test",)
    shared = open_corpus(DataConfig(train=files["train"], format="lines", train_on_dev=True, dev_share=0.5))
    assert shared.splits == ("train",)
    (tmp_path / "dev.conll").write_text("a O\n")
    with pytest.raises(UserError, match=r"data\.train_on_dev: the train and dev files are not read alike"):
        open_corpus(DataConfig(train=files["train"], dev=str(tmp_path / "dev.conll"), train_on_dev=True))


def test_splits_that_are_not_wanted_are_not_looked_for(tmp_path):
    corpus = open_corpus(DataConfig(test=numbered(tmp_path, 1), train="missing"), splits=("test",))
    assert corpus.splits == ("test",)
    with pytest.raises(UserError, match="the corpus has no train split"):
        list(corpus.examples("train"))


@pytest.mark.parametrize("entry", catalogue.data_sets().values(), ids=lambda entry: entry.name)
def test_every_entry_of_the_catalogue_is_whole(entry):
    assert all([entry.description, entry.task, entry.licence, entry.citation, entry.size])
    assert bool(entry.sources) == bool(entry.embedded or entry.fetched_names())
    assert set(entry.splits) in ({"train", "dev", "test"}, {"train", "dev"}, {"train", "test"}, {"train"}, {"test"})
    for name in [*entry.file_names(), *entry.fetched_names()]:
        if entry.made is not None and name == entry.images:
            continue  # pictures drawn of fonts: their bytes are those of the drawing library's version
        assert entry.embedded or (len(entry.file(name).sha256) == 64 and entry.file(name).bytes > 0)
    assert entry.made is None or set(entry.made.makes()) <= set(entry.file_names())
    for source in entry.sources:
        if "members" in source:
            assert set(source["members"]) == set(entry.fetched_names())
            assert len(source["sha256"]) == 64


@pytest.mark.parametrize(
    ("name", "sentences", "tokens"),
    [
        ("wnut17", [3394, 1009, 1287], [62730, 15733, 23394]),
        ("ud-english-ewt", [12544, 2001, 2077], [204577, 25147, 25094]),
    ],
)
@pytest.mark.mirror
def test_the_real_sets_have_their_published_sizes(name, sentences, tokens, mirror):
    corpus = open_corpus(DataConfig(corpus=name))
    counts = []
    for split in corpus.splits:
        lengths = [len(example.source) for example in corpus.examples(split)]
        counts.append((len(lengths), sum(lengths)))
    assert counts == list(zip(sentences, tokens, strict=True))


@pytest.mark.mirror
def test_a_hash_sign_is_a_token_in_tweets(mirror):
    corpus = open_corpus(DataConfig(corpus="wnut17"))
    tokens = [token for split in corpus.splits for example in corpus.examples(split) for token in example.source]
    assert tokens.count("#") == 271


def test_a_running_text_gives_its_end_for_development(tmp_path):
    """Also in parts, and from each of its files; blank lines are lines of it."""
    lines = [f"line {number % 7}" if number % 3 else "" for number in range(200)]
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("".join(line + "\n" for line in lines))
    paths = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    corpus = open_corpus(DataConfig(train=paths, format="lines", blank_lines="keep", dev_share=0.1))
    whole = {split: [(one.at, one.source) for one in corpus.examples(split)] for split in ("train", "dev")}
    assert [source for _, source in whole["dev"]] == 2 * lines[180:]
    assert [source for _, source in whole["train"]] == 2 * lines[:180]
    for split, examples in whole.items():
        parts = [part for path in paths for part in chunks(path, "lines", size=300)]
        assert len(parts) > 4
        again = [(one.at, one.source) for part in parts for one in corpus.part_examples(split, part)]
        assert again == examples
