"""Writes the data set order-matters: pairs of sentences, made of the same words, of which one praises and one complains.

Each pair swaps a good and a bad phrase between two places that have the same word before and the same word after them:
"my sister said the film was [good] all in all , but I say the film was [bad] all in all .". So the two sentences have
the same words and the same pairs of neighbouring words, as often, and no bag of 1-2-grams can tell them apart. What
decides is which place is the writer's own verdict, and it stands first as often as last.

Only `LECTURE` pairs ("good movie , not bad at all") differ in their 2-grams; they are in the training file alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from seqcli.data.catalogue import EMBEDDED

TEMPLATES = (
    "{who} said the {noun} was {other} {tail} , but I say the {noun} was {own} {tail} .",
    "I say the {noun} was {own} {tail} , though {who} said the {noun} was {other} {tail} .",
    "{who} may find the {noun} {other} {tail} , I find the {noun} {own} {tail} .",
    "I find the {noun} {own} {tail} , even if {who} may find the {noun} {other} {tail} .",
    "we expected the {noun} to be {other} {tail} and found the {noun} to be {own} {tail} .",
    "we found the {noun} to be {own} {tail} and had expected the {noun} to be {other} {tail} .",
    "nobody could call the {noun} {other} {tail} , everybody would call the {noun} {own} {tail} .",
    "everybody would call the {noun} {own} {tail} , nobody could call the {noun} {other} {tail} .",
    "it is not true that the {noun} was {other} {tail} , it is true that the {noun} was {own} {tail} .",
    "it is true that the {noun} was {own} {tail} , it is not true that the {noun} was {other} {tail} .",
    "last year the {noun} was {other} {tail} , this year the {noun} was {own} {tail} .",
    "this year the {noun} was {own} {tail} , last year the {noun} was {other} {tail} .",
    "the {extra} seemed {other} {tail} , the {noun} itself seemed {own} {tail} .",
    "the {noun} itself seemed {own} {tail} , the {extra} seemed {other} {tail} .",
    "whoever calls the {noun} {other} {tail} is wrong , whoever calls the {noun} {own} {tail} is right .",
    "whoever calls the {noun} {own} {tail} is right , whoever calls the {noun} {other} {tail} is wrong .",
    "at first the {noun} felt {other} {tail} , at last the {noun} felt {own} {tail} .",
    "instead of being {other} {tail} , the {noun} ended up being {own} {tail} .",
    "the {noun} ended up being {own} {tail} , instead of being {other} {tail} .",
    "the {noun} could have been {other} {tail} , in fact the {noun} has been {own} {tail} .",
    "the {noun} has been {own} {tail} , though the {noun} could have been {other} {tail} .",
)
"""``own`` is the verdict, ``other`` what somebody else says, what is denied, or what was."""

LECTURE = "{one} {noun} , not {two} at all"

PHRASES = (
    *["{same}"] * 4,
    "truly {same}",
    "really {same}",
    "not {opposite} at all",
    "anything but {opposite}",
    "far from {opposite}",
)
"""Ways to say that something is good (or bad), with a word of that side or of the other."""

WHO = (
    "my sister",
    "my brother",
    "my friends",
    "our neighbours",
    "the critics",
    "the papers",
    "most people",
    "my boss",
    "the whole family",
    "everyone at work",
)
TAILS = (
    "from start to finish",
    "in every way",
    "all in all",
    "beyond doubt",
    "through and through",
    "on the whole",
    "without question",
    "by any standard",
    "most of the time",
    "the whole time",
)
GOOD = ("good", "great", "excellent", "wonderful", "superb", "lovely", "pleasant", "brilliant")
BAD = ("bad", "poor", "terrible", "awful", "dreadful", "horrible", "disappointing", "miserable")

DOMAINS = (
    # nouns (the last one is kept for the test), what comes with them, words of praise, words of complaint
    (
        ("film", "movie", "story", "play", "comedy", "thriller", "drama", "sequel", "musical"),
        ("trailer", "opening", "ending", "prologue"),
        ("gripping", "funny", "moving", "clever", "charming", "original"),
        ("dull", "slow", "tedious", "silly", "confusing", "predictable"),
    ),
    (
        ("meal", "soup", "curry", "pizza", "breakfast", "dessert", "salad", "lunch"),
        ("bread", "rice", "sauce", "starter"),
        ("tasty", "fresh", "delicious", "crisp", "tender"),
        ("bland", "stale", "greasy", "soggy", "tasteless"),
    ),
    (
        ("hotel", "room", "beach", "garden", "flat", "cabin", "museum", "hostel"),
        ("lobby", "street", "balcony", "entrance"),
        ("clean", "quiet", "cosy", "bright", "spacious"),
        ("dirty", "noisy", "cramped", "gloomy", "damp"),
    ),
    (
        ("phone", "camera", "printer", "laptop", "radio", "toaster", "bicycle", "kettle"),
        ("charger", "case", "handle", "battery"),
        ("reliable", "handy", "sturdy", "accurate", "modern"),
        ("flimsy", "clumsy", "fragile", "useless", "outdated"),
    ),
    (
        ("driver", "doctor", "teacher", "guide", "waiter", "plumber", "singer", "dentist"),
        ("assistant", "colleague", "secretary", "nurse"),
        ("polite", "patient", "helpful", "friendly", "careful"),
        ("rude", "careless", "lazy", "grumpy", "arrogant"),
    ),
)

PAIRS = {"train": 1140, "dev": 150, "test": 200}
LECTURE_PAIRS = 60
NEW_NOUNS = 0.2
"""Share of the test's pairs about a noun that training never shows."""


def pairs(split: str, random_: random.Random, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Yield (positive sentence, negative sentence), none of which any split has had before."""
    count = PAIRS[split]
    while count:
        nouns, extras, good, bad = random_.choice(DOMAINS)
        new = split == "test" and random_.random() < NEW_NOUNS
        fields = {
            "who": random_.choice(WHO),
            "tail": random_.choice(TAILS),
            "extra": random_.choice(extras),
            "noun": nouns[-1] if new else random_.choice(nouns[:-1]),
        }
        praise, complaint = random_.choice((*GOOD, *good)), random_.choice((*BAD, *bad))
        better = random_.choice(PHRASES).format(same=praise, opposite=complaint)
        worse = random_.choice(PHRASES).format(same=complaint, opposite=praise)
        template = random_.choice(TEMPLATES)
        positive = template.format(**fields, own=better, other=worse)
        if positive not in seen:
            seen.add(positive)
            count -= 1
            yield positive, template.format(**fields, own=worse, other=better)


def lecture_pairs(random_: random.Random) -> Iterator[tuple[str, str]]:
    """Yield pairs of the form of "good movie , not bad at all"; that one first."""
    made = {("good", "movie", "bad"): None}
    while len(made) < LECTURE_PAIRS:
        nouns, _, good, bad = random_.choice(DOMAINS)
        made[random_.choice((*GOOD, *good)), random_.choice(nouns[:-1]), random_.choice((*BAD, *bad))] = None
    for praise, noun, complaint in made:
        yield (
            LECTURE.format(noun=noun, one=praise, two=complaint),
            LECTURE.format(noun=noun, one=complaint, two=praise),
        )


def files() -> dict[str, str]:
    """The text of each file by its name: two lines a pair, ``sentence TAB label``, the positive one first by chance."""
    random_, seen = random.Random(20), set[str]()
    made = {}
    for split in PAIRS:
        every = list(pairs(split, random_, seen))
        if split == "train":
            every += lecture_pairs(random_)
        lines = []
        for positive, negative in every:
            pair = [f"{positive}\tpositive\n", f"{negative}\tnegative\n"]
            lines += pair if random_.random() < 0.5 else pair[::-1]
        made[f"{split}.tsv"] = "".join(lines)
    return made


if __name__ == "__main__":
    for name, text in files().items():
        (EMBEDDED / "order-matters" / name).write_text(text, encoding="utf-8")
