"""How certain an answer is, in words: the only copy of the words and of their bounds.

The bounds hold for whole per cents, as they are shown, so that one figure never has two words.
"""

from collections.abc import Mapping

from audiollm.labels import Language, capital

# From the least to the most. The IPCC's scale of likelihood (Mastrandrea et al. 2010), so that a
# word means what it does elsewhere; the per cent stand beside it, as words alone are misread
# (Budescu et al. 2009). An answer with less than the first is wrong more often than right.
WORDS: dict[Language, tuple[str, ...]] = {
    "en": ("uncertain", "more likely than not", "likely", "very likely"),
    "zh": ("不确定", "把握过半", "把握较大", "把握很大"),
}
LEAST = (50, 66, 90)  # per cent, of every word but the first
# A smaller lead over the second does not separate the two: three times the 5 per cent by which
# the probabilities err (ECE).
LEAD = 15


def percents(share: float) -> int:
    """A share in [0, 1] in whole per cents."""
    return round(100 * share)


def level(probabilities: Mapping[str, float]) -> int:
    """0 uncertain, 1 more likely than not, 2 likely, 3 very likely: index in `WORDS`."""
    best, second, *_ = [*sorted(map(percents, probabilities.values()), reverse=True), 0, 0]
    if best - second < LEAD:
        return 0
    return sum(best >= least for least in LEAST)


def word(level: int, language: Language) -> str:
    """With a capital first letter, as a sentence or a caption begins."""
    return capital(WORDS[language][level])
