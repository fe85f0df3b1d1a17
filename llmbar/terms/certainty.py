"""How sure is a number?"""

from __future__ import annotations

from llmbar.terms.term import Term

CERTAINTY = (
    Term(
        key="interval",
        name="95 % interval",
        means=(
            "95 % interval of a number, in a leaderboard of its headline accuracy; columns in _low and _high hold its "
            "ends, those in _interval its method."
        ),
        formula="cluster bootstrap over instructions, stratified by subset; Wilson's where nothing varies",
        reading=(
            "The values that these pairs do not rule out: over many samples of pairs, 95 % of such intervals hold the "
            "true value. Two overlapping intervals do not make two judges equal: compare them on the same pairs."
        ),
        source="Efron 1987; Field & Welsh 2007",
        aliases=("confidence interval", "CI", "low", "high", "95 % CI"),
    ),
    Term(
        key="wilson",
        name="Wilson interval",
        means="A 95 % interval for a share of independent trials, such as accuracy in one order.",
        formula="(p + z²/2n ± z·√(p(1 − p)/n + z²/4n²))/(1 + z²/n)",
        reading="It never leaves 0 to 100 and has some width even where all trials agree: 0 of 20 gives 0 to 16 %.",
        source="Wilson 1927",
        aliases=("Wilson", "score interval"),
    ),
    Term(
        key="cluster_bootstrap",
        name="cluster bootstrap",
        means=(
            "Intervals from samples, drawn with replacement, of whole clusters: a pair's verdicts in both orders, its "
            "repeats, and pairs of the same instruction stay together."
        ),
        reading="They hang together; drawn singly, they would make intervals look narrower than they are.",
        source="Field & Welsh 2007",
        aliases=("bootstrap", "resamples", "cluster", "stratified"),
    ),
    Term(
        key="bca",
        name="BCa interval",
        means="A bootstrap interval that is corrected for bias and for skewness.",
        formula=(
            "quantiles Φ(z₀ + w/(1 − a·w)) of the resamples, w = z₀ ± r, with bias z₀, acceleration a, and r ≈ 1.96"
        ),
        reading="As any interval; near 0 and 100 it is rightly lopsided.",
        source="Efron 1987; Hesterberg 2015 for r",
        aliases=("BCa", "bias-corrected and accelerated", "percentile interval"),
    ),
    Term(
        key="design_effect",
        name="design effect",
        means="By how much the variance of accuracy exceeds that of 2n independent verdicts.",
        formula="deff = Var(s)/(p(1 − p)/2); n_eff = 2n/deff",
        reading="1.3 to 1.7 on LLMBar: two orders of a pair are worth little more than one.",
        source="Kish 1965",
        aliases=("deff", "n_eff", "effective sample size"),
    ),
    Term(
        key="clustered_errors",
        name="clustered standard errors",
        means="Standard errors of the bias regression that allow for what the two orders of a pair have in common.",
        formula="sandwich estimator by pair, times G/(G − 1)·(n − 1)/(n − k)",
        reading="The se column; estimate ± 1.96·se is the interval.",
        source="Liang & Zeger 1986",
        aliases=("se", "standard error", "cluster-robust"),
    ),
)
