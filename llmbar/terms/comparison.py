"""Is one judge better than another?"""

from __future__ import annotations

from llmbar.terms.term import Term

COMPARISON = (
    Term(
        key="difference",
        name="difference",
        means="Accuracy of one judge less that of another, on the same pairs.",
        formula="mean(s_iA − s_iB)",
        reading=(
            "What the pairs have in common cancels: the interval is narrower than the two accuracies' own suggest. "
            "Where it holds 0, the difference is unresolved."
        ),
        aliases=("paired difference", "against", "against_judge", "against_strategy", "against_accuracy"),
    ),
    Term(
        key="p",
        name="p-value",
        means="How often chance alone would give a difference at least this large, if there were none.",
        reading=(
            "Small speaks against chance. It is not the probability that the judges are equal, nor a size: see the "
            "difference and its interval."
        ),
        source="Fisher 1925",
        aliases=("p value", "significance"),
    ),
    Term(
        key="sign_flip",
        name="sign-flip permutation test",
        means=(
            "A test of the difference in accuracy: under no difference, which judge is which is a coin flip per pair."
        ),
        formula="p = (1 + #{|d*| ≥ |d|})/(B + 1) over B random flips of the signs of s_iA − s_iB",
        reading="As any p-value; it assumes nothing of the distribution.",
        source="Fisher 1935; Phipson & Smyth 2010 for the ones",
        aliases=("sign flip", "permutation test", "permutation"),
    ),
    Term(
        key="mcnemar",
        name="McNemar test",
        means="An exact test of whether two judges differ on how many pairs they get right, in one order or in both.",
        formula="b ~ Binomial(b + c, ½), b and c the pairs that only one of them gets right",
        reading="Pairs that both get right, or wrong, say nothing. 59 against 121 has p = 4·10⁻⁶.",
        source="McNemar 1947",
        aliases=("McNemar", "gained", "lost", "mcnemar_p"),
    ),
    Term(
        key="holm",
        name="Holm's correction",
        means="p-values made larger, for having looked at many comparisons at once.",
        formula="p₍ᵢ₎ → max_{j ≤ i} min(1, (m − j + 1)·p₍ⱼ₎), in rising order of m comparisons",
        reading="Below .05 after it: among all comparisons shown, the chance of a single false one is below 5 %.",
        source="Holm 1979",
        aliases=("Holm", "p_holm", "adjusted p", "multiple comparisons"),
    ),
    Term(
        key="unresolved",
        name="unresolved",
        means="The pairs cannot tell whether the judges differ.",
        reading=(
            "Not the same as equal: a difference below the minimal detectable one stays unseen most of the time. More "
            "pairs resolve it."
        ),
        aliases=("not significant",),
    ),
    Term(
        key="minimal_detectable_effect",
        name="minimal detectable effect",
        means="The smallest true difference in accuracy that so many pairs would show four times out of five.",
        formula="MDE = (1.96 + 0.84)·sd/√n = 2.80·sd/√n, sd that of s_iA − s_iB",
        reading=(
            "3.6 points for two strategies of GPT-4 on all 419 pairs of LLMBar, 11 on GPTOut's 47. A claim below it "
            "needs more pairs."
        ),
        source="Cohen 1988",
        aliases=("MDE", "minimal detectable difference", "detectable"),
    ),
    Term(
        key="power",
        name="power",
        means="The chance that a true difference of some size turns out significant.",
        formula="for McNemar: n = (1.96·√ψ + 0.84·√(ψ − d²))²/d², ψ the share of pairs on which the judges differ",
        reading="80 % is customary: one in five real differences is then still missed.",
        source="Cohen 1988; Connor 1987 for McNemar",
        aliases=("sample size", "n for a difference"),
    ),
    Term(
        key="rank_range",
        name="rank range",
        means="The ranks that a row takes in the middle 95 % of bootstrap samples.",
        reading="2–5 means: it may be second, it may be fifth. Rows whose ranges overlap widely are not ordered.",
        source="Goldstein & Spiegelhalter 1996",
        aliases=("rank_low", "rank_high"),
    ),
)
