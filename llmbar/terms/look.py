"""Do length, look or author sway the judge?"""

from __future__ import annotations

from llmbar.terms.term import Term

REGRESSION = "logit P(first) = β₀ + β_g·g + β_ℓ·ln(L_first/L_second), g = ±½"

LOOK = (
    Term(
        key="longer_rate",
        name="longer-preference",
        means="Share of preferences that went to the longer output.",
        formula="P(prefers the longer), over pairs of unequal length (in characters)",
        reading=(
            "Compare with the share of pairs whose gold output is the longer one, not with 50: on LLMBar's adversarial "
            "subsets a perfect judge has 12 to 45."
        ),
        source="Dubois et al. 2024 (AlpacaEval)",
        aliases=("Longer", "P(longer)", "length preference", "length bias"),
    ),
    Term(
        key="accuracy_gold_longer",
        name="accuracy where gold is longer",
        means="Accuracy on the pairs whose gold output is the longer one.",
        reading="A judge that loves length is good here and bad where gold is shorter.",
        aliases=("accuracy by gold length",),
    ),
    Term(
        key="accuracy_gold_shorter",
        name="accuracy where gold is shorter",
        means="Accuracy on the pairs whose gold output is the shorter one.",
        formula="1 − P(picks the longer | gold is shorter), without ties and unreadable replies",
        reading="Its complement is the length bias proper: how often length leads the judge astray.",
        source="Saha et al. 2024 (Branch-Solve-Merge)",
    ),
    Term(
        key="baselines",
        name="trivial baselines",
        means=(
            "Judges that look at nothing but position, length, words or a coin: first, second, longer, shorter, "
            "lexical, random."
        ),
        reading=(
            "A judge that does not beat them has shown nothing. On LLMBar's adversarial subsets “shorter” has 78 %, "
            "more than any judge of its paper but GPT-4."
        ),
        aliases=("baseline", "pick the shorter", "pick the longer"),
    ),
    Term(
        key="format_preference",
        name="format preference",
        means=(
            "How often the judge prefers the output with a list (heading, bold type, code, refusal) where exactly one "
            "has it."
        ),
        formula="P(prefers the one with it | exactly one has it)",
        reading="Beside it stands the share whose gold output has it: what a perfect judge would show.",
        source="Dubois et al. 2024 (AlpacaEval)",
        aliases=(
            "list preference",
            "bold preference",
            "heading preference",
            "code preference",
            "gold_rate",
            "against_rate",
            "feature",
            "rate",
            "against_n",
        ),
    ),
    Term(
        key="self_preference",
        name="self-preference",
        means="How much more often the judge wrongly votes for its own output than for somebody else's.",
        formula="P(votes for the worse | it is its own) − P(votes for the worse | it is another's)",
        reading=(
            "0 is fair. Only wrong votes are compared, since a judge may prefer its own outputs for being better; the "
            "matched value compares on the same instructions."
        ),
        source="after Panickssery et al. 2024",
        aliases=(
            "self preference bias",
            "own_wrong",
            "other_wrong",
            "level",
            "own_n",
            "other_n",
            "matched",
            "matched_difference",
        ),
    ),
    Term(
        key="family_preference",
        name="family preference",
        means="Self-preference, with outputs of any model of the judge's family as its own.",
        formula="as self-preference",
        reading="0 is fair. It needs pairs that name their authors.",
        source="after Panickssery et al. 2024",
    ),
    Term(
        key="bias_regression",
        name="bias regression",
        means="What sways the judge, told apart: position, gold and length in one logistic regression.",
        formula=REGRESSION,
        reading=(
            "Each term is the log-odds that it adds, all else equal: .7 doubles the odds. Two rows per pair; standard "
            "errors are clustered by pair."
        ),
        source="logit with cluster-robust errors: Liang & Zeger 1986",
        aliases=("regression", "logit", "bias", "terms", "term", "estimate", "warning"),
    ),
    Term(
        key="position_term",
        name="position term",
        means="What being shown first is worth to the judge, at equal length and beside gold.",
        formula="β₀ in " + REGRESSION,
        reading="Above 0 the first-shown output has an advantage; e^β₀ is its odds.",
        aliases=("β₀", "β0", "position"),
    ),
    Term(
        key="gold_term",
        name="gold term",
        means="What being the gold output is worth to the judge, beside position and length.",
        formula="β_g in " + REGRESSION,
        reading="0: at equal length the judge cannot tell which output is right.",
        aliases=("β_g",),
    ),
    Term(
        key="length_term",
        name="length term",
        means="The pull of length, beside position and gold: what one unit of ln(L_first/L_second) adds.",
        formula="β_ℓ in " + REGRESSION,
        reading=(
            "Above 0 longer outputs win more often than they deserve; twice the length multiplies the odds by 2^β_ℓ."
        ),
        aliases=("β_ℓ", "length"),
    ),
    Term(
        key="accuracy_at_equal_length",
        name="accuracy at equal length",
        means="The accuracy that remains between outputs of equal length, for a judge without position bias.",
        formula="expit(β_g/2)",
        reading="Far below accuracy: much of what looked like judgement was length.",
        aliases=("equal length", "length-adjusted accuracy"),
    ),
    Term(
        key="separation",
        name="separation",
        means="A term, or several together, predict every verdict, so that no finite coefficient exists.",
        reading=(
            "Typical of baselines and of perfect judges. The coefficients are then Firth's penalised ones, with a "
            "warning: read their sign, not their size."
        ),
        source="Albert & Anderson 1984; Firth 1993; Heinze & Schemper 2002",
        aliases=("complete separation", "Firth"),
    ),
    Term(
        key="length_controlled_win_rate",
        name="length-controlled win rate",
        means=(
            "AlpacaEval's win rate of one model against another, predicted for outputs of equal length. llmbar does "
            "not compute it."
        ),
        formula="logistic regression on tanh(Δlength/sd), instruction difficulty and model, predicted at Δlength = 0",
        reading=(
            "It ranks the models that are judged, and needs each instruction's difficulty from a whole leaderboard of "
            "them. For a judge, see accuracy at equal length."
        ),
        source="Dubois et al. 2024 (Length-Controlled AlpacaEval)",
        aliases=("LC win rate", "LC"),
    ),
)
