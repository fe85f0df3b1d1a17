"""Does the order of the outputs sway the judge?"""

from __future__ import annotations

from llmbar.terms.term import Term

LLMBAR = "Zeng et al. 2024 (LLMBar)"
SHI = "Shi et al. 2024 (Judging the Judges)"

POSITION = (
    Term(
        key="agreement",
        name="agreement",
        means="Share of pairs with the same verdict in both orders.",
        formula="Agr = P(v_F = v_T)",
        reading=(
            "Consistent is not right: the baseline “longer” has 100. Two unreadable replies count as agreement here, "
            "as in LLMBar's tables."
        ),
        source=LLMBAR,
        aliases=("Agr", "Agr.", "official agreement", "swap agreement"),
    ),
    Term(
        key="agreement_strict",
        name="strict agreement",
        means="Share of pairs with the same readable verdict in both orders.",
        formula="Agr_strict = P(v_F = v_T, readable)",
        reading="Where it lies below agreement, silence was counted as consistency.",
        aliases=("Agr_strict",),
    ),
    Term(
        key="conflicts",
        name="conflicts",
        means="Pairs on which the two orders conflict: what primacy rests on.",
        formula="P + R, those that favour the first-shown and the second-shown output",
        reading=(
            "Compare with the flip rate of repeats before calling them position bias: at temperature 0, too, some "
            "percent of verdicts change from one run to the next."
        ),
        source=SHI,
        aliases=("conflict", "conflict rate", "conflict_rate"),
    ),
    Term(
        key="primacy",
        name="primacy rate",
        means=(
            "Of the pairs on which the two orders conflict, the share where the first-shown output won; 50 is unbiased."
        ),
        formula="P/(P + R); with ties, first/first, first/tie and tie/first count as P",
        reading=(
            "Above 50 the judge leans to what it reads first, below to what it reads last. With few conflicts it "
            "wavers: see its p-value."
        ),
        source=SHI,
        aliases=("recency", "primacy bias", "position bias"),
    ),
    Term(
        key="primacy_p",
        name="p-value of primacy",
        means="Exact two-sided binomial test of the conflicts that favour the first-shown output against one half.",
        formula="P ~ Binomial(P + R, ½)",
        reading="Small: the conflicts have a direction. Large: too few conflicts to tell, or none.",
        aliases=("binomial test", "exact binomial"),
    ),
    Term(
        key="position_consistency",
        name="position consistency",
        means="Share of consistent pairs among those with a verdict in both orders.",
        formula="(n_valid − P − R)/n_valid",
        reading="Unlike agreement it leaves unreadable replies out. GPT-4 was found to have .82 on MT-Bench.",
        source=SHI,
        aliases=("PC", "consistency"),
    ),
    Term(
        key="preference_fairness",
        name="preference fairness",
        means="Direction and size of the position bias over all pairs.",
        formula="PF = (R − P)/n",
        reading=(
            "0 is fair, −1 always the first-shown, +1 always the second-shown. Small where conflicts are rare, however "
            "one-sided they are."
        ),
        source=SHI + ", whose longer formula simplifies to this",
        aliases=("PF", "fairness"),
    ),
    Term(
        key="first_rate",
        name="first-shown rate",
        means="Share of preferences, over both orders, for the first-shown output.",
        formula="P(prefers the first-shown)",
        reading="50 for a judge without position bias, whatever its accuracy.",
        aliases=("P(first)",),
    ),
    Term(
        key="repetition_stability",
        name="repetition stability",
        means="How far repeats of the very same question agree: the share that follows the commonest reply.",
        formula="RS = mean_j max_k count_jk / n_j; unreadable is a category of its own",
        reading="What lies below 1 is noise, and no bias. GPT-4 at temperature 0 had .984 over three runs of LLMBar.",
        source=SHI,
        aliases=("RS", "stability", "repeats", "identical"),
    ),
    Term(
        key="flip_rate",
        name="flip rate",
        means="The chance that two repeats of the same question differ.",
        formula="mean_j [1 − Σ_k count_jk(count_jk − 1)/(n_j(n_j − 1))]",
        reading=(
            "The noise floor for conflicts between orders: 2 to 4 percent for the judges of LLMBar at temperature 0."
        ),
        aliases=("rerun flip rate",),
    ),
)
