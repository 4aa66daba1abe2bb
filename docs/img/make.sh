#!/usr/bin/env bash
# Draws the pictures of docs/inside.md, by the commands that the page shows: bash docs/img/make.sh
# Trains what they need in a folder that goes at the end (about a quarter of an hour of one core).
set -euo pipefail
img=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset SEQCLI_RUNS

seqcli recurrence --W "0 1 0; 0 0 1; 1 0 0" --s0 "0 0 1" --V "0 0 1" --steps 9 --plot "$img/pattern.png"

seqcli inspect pos-rnn --graph "$img/pos-rnn.svg" "the dog sees Angela"
seqcli inspect ner --graph "$img/ner.svg" "Angela visited Paris"
seqcli train reverse
seqcli inspect reverse --graph "$img/reverse.svg" "abcd"
seqcli inspect reverse --attention "hgfaec" -o "$img/reverse-attention.png"

seqcli train order-matters
seqcli inspect order-matters --gates "Good movie, not bad at all" -o "$img/order-gates.png"
seqcli inspect order-matters --attribution "Good movie, not bad at all" -o "$img/order-attribution.png"

seqcli train lm-char-tiny --name shakespeare --set model.encoder.dim=192 --set training.max_minutes=4
seqcli inspect shakespeare --gradient --compare -o "$img/gradient.png"
cat > letter.txt <<'TEXT'
Dear Anna,
The boat (the small one, with the torn sail) is sold at last.
Old Peter came on Monday and said "I will not pay for the oars",
and so we kept them. They stand behind the door (my brother
says that they are in his way, but then all things are).
"Is it still cold?" you ask. It is, more than in any year I know.
The river froze in the night, and Thomas walked to the mill and
back again. "Never do that," his mother said, "not while I live."
He laughed (he always laughs) and told her what he saw there:
a lamp in the upper window, and somebody at the wheel.
Now for the house. The roof holds, the walls are dry, and Martin
has the garden in his care (he asks for seeds, and for a spade).
He sends his love and says "tell her that the apples were good".
We ate the last of them on Sunday with Clara and Old Peter.
Bring the blue coat, the two lamps and the letters of my brother
when you come to the harbour on the first day of the next month.
Ask for Simon (not his cousin, who is slow) and give him the note.
"I know the road," he will say, as he did when Father was alive,
and he will take you over the hill before the evening.
If there is snow (there may be, the geese went early), wait at
the inn. Mistress Hale is kind to me, and her rooms are warm.
"Stay as long as you please," she said to us in March, and we
stayed for a week. How good it was to hear you sing again!
Write soon. Your friend, who thinks of you, Marie
TEXT
seqcli inspect shakespeare --neurons letter.txt -o "$img/neurons.png"

seqcli train ner-small --plot "$img/train-curve.png"
seqcli train ner-small --name ner-lstm --set 'model.encoder={kind: lstm, dim: 50, dropout: 0.3}'
seqcli plot ner-small ner-lstm --by epoch -o "$img/curves.png"
seqcli train name-language --set training.epochs=6 --set model.encoder.filters=64
seqcli plot name-language --show confusion -o "$img/confusion.png"
seqcli plot name-language --show histogram -o "$img/histogram.png"
seqcli curve ner-small --sizes 1,10,30,100 --seeds 2 --set training.epochs=6 --set training.min_steps=100 -o "$img/learning.png"
seqcli curve --decompose -o "$img/parts.png"
