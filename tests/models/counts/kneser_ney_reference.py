"""Interpolated modified Kneser-Ney with dictionaries, straight from Chen and Goodman (1998), section 3: slow, plain.

Shares no code and no arrays with `seqcli.models.counts`; n-grams are tuples of ids.
"""

from __future__ import annotations

from collections import Counter, defaultdict


class Reference:
    def __init__(self, sequences, *, order, size, start, kept_rows, thresholds):
        self.order, self.size, self.start = order, size, start
        seen, before, opening = Counter(), defaultdict(set), Counter()
        for sequence in sequences:
            text = [start, *sequence]
            for end in range(1, len(text)):
                for begin in range(max(0, end - order + 1), end + 1):
                    gram = tuple(text[begin : end + 1])
                    seen[gram] += 1
                    if begin:
                        before[gram].add(text[begin - 1])
                    else:
                        opening[gram] += 1
        # N1+(. g), and the plain count of what can have nothing before it
        self.a = {g: seen[g] if len(g) == order else len(before[g]) + opening[g] for g in seen}
        self.d = {k: self.discounts([a for g, a in self.a.items() if len(g) == k]) for k in range(1, order + 1)}
        self.kept = {g for g in seen if seen[g] > thresholds[len(g) - 1] or (len(g) == 1 and g[0] in kept_rows)}
        self.after = defaultdict(list)
        for gram in seen:
            self.after[gram[:-1]].append(gram)

    @staticmethod
    def discounts(adjusted):
        n = [adjusted.count(i) for i in range(5)]
        if all(n[1:]):
            y = n[1] / (n[1] + 2 * n[2])
            d = [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
            if all(0 < x <= i for i, x in enumerate(d, 1)):
                return d
        return [0.5, 1.0, 1.5]

    def off(self, gram):
        return self.d[len(gram)][min(self.a[gram], 3) - 1] if gram in self.kept else self.a[gram]

    def p(self, token, context):
        """p(token | context), the context cut to what the order can see."""
        context = tuple(context)[len(context) - self.order + 1 :] if len(context) >= self.order else tuple(context)
        below = self.p(token, context[1:]) if context else 1 / self.size
        followers = self.after[context]
        if not followers:
            return below
        total = sum(self.a[g] for g in followers)
        gram = (*context, token)
        own = self.a[gram] - self.off(gram) if gram in self.kept else 0.0
        return own / total + sum(self.off(g) for g in followers) / total * below
