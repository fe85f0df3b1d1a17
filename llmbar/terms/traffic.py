"""What follows for those who use a judge on traffic of their own?"""

from __future__ import annotations

from llmbar.terms.term import Term

TRAFFIC = (
    Term(
        key="win_rate",
        name="win rate",
        means="The share of pairs on which output 1 is preferred; a tie counts ½.",
        formula="P(win) + ½·P(tie)",
        reading="A judge's win rate is not the true one: it is wrong on some pairs, and more often in one direction.",
        source="Dubois et al. 2023 (AlpacaFarm)",
        aliases=("winrate",),
    ),
    Term(
        key="sensitivity",
        name="sensitivity and specificity",
        means=(
            "How often the judge prefers output 1 where it is better (sensitivity), output 2 where that is "
            "(specificity)."
        ),
        formula="q₁ = P(says 1 | 1 is better), q₀ = P(says 2 | 2 is better)",
        reading="q₁ + q₀ must exceed 1, else the judge says nothing.",
        source="Yerushalmy 1947",
        aliases=("specificity", "q0", "q1"),
    ),
    Term(
        key="rogan_gladen",
        name="Rogan–Gladen estimate",
        means="The true win rate behind a judged one, by the judge's error rates on a labelled sample.",
        formula="θ = (p + q₀ − 1)/(q₀ + q₁ − 1)",
        reading=(
            "It takes for granted that, given the truth, the judge errs as often on the traffic as on the labelled "
            "pairs. Error rates measured on LLMBar are not transportable to ordinary traffic: label your own."
        ),
        source="Rogan & Gladen 1978; interval: Lee et al. 2025, after Lang & Reiczigel 2014",
        aliases=("Rogan Gladen", "corrected win rate", "correct"),
    ),
    Term(
        key="confusion_matrix",
        name="confusion-matrix correction",
        means="The Rogan–Gladen estimate with ties: true shares of win, tie and loss behind the judged ones.",
        formula="θ = C⁻¹p, C_ij = P(judge says i | truth is j)",
        reading=(
            "As Rogan–Gladen. An estimate that had to be clipped to 0 or 100 says that error rates and traffic do not "
            "fit."
        ),
        source="Buonaccorsi 2010, for misclassification in general",
        aliases=("confusion matrix", "3×3", "misclassification"),
    ),
    Term(
        key="ppi",
        name="prediction-powered inference",
        means="The labels' win rate, made surer by the judge's verdicts on unlabelled pairs.",
        formula="θ = λ·mean f_U + mean(Y − λ·f_L); the tuned λ makes the variance least",
        reading=(
            "Right however bad the judge is, if the labelled pairs are a random sample of the traffic. λ near 0: the "
            "judge is of no help; near 1: it stands in for people."
        ),
        source="Angelopoulos et al. 2023; Angelopoulos, Duchi & Zrnic 2023 (PPI++)",
        aliases=("PPI", "PPI++", "prediction-powered", "lambda", "λ"),
    ),
    Term(
        key="bradley_terry",
        name="Bradley–Terry strength",
        means="How strong a competitor is, by whom it met and beat, where not everyone met everyone.",
        formula="logit P(a beats b) = β_a − β_b; a draw is half a win for each",
        reading="Only differences mean something. Where everyone was judged on the same pairs accuracy says more.",
        source="Bradley & Terry 1952; Ford 1957 for when it exists",
        aliases=("Bradley Terry", "BT", "strength", "contender", "games", "score", "first", "second"),
    ),
    Term(
        key="elo",
        name="Elo scale",
        means="Bradley–Terry strengths in the units of chess.",
        formula="400/ln 10·β",
        reading=(
            "400 points more are odds of ten to one, 191 of three to one. Unlike ratings that are updated game by "
            "game, these do not depend on the order of the games."
        ),
        source="Elo 1978",
        aliases=("Elo rating", "elo_low", "elo_high"),
    ),
    Term(
        key="cost",
        name="cost",
        means="US dollars per pair: price times tokens, over both orders and all steps.",
        reading="What is asked once per pair counts once. Unknown where no price is published.",
        aliases=("price", "dollars", "pairs", "prompt_tokens", "completion_tokens"),
    ),
    Term(
        key="pareto_front",
        name="Pareto front",
        means="The judges and strategies of which none is cheaper and at least as accurate.",
        reading=(
            "Off the front something else is better on paper. It is statistically dominated only where the accuracies "
            "were compared on the same pairs and the difference excludes 0."
        ),
        source="Pareto 1906",
        aliases=("front", "frontier", "dominated", "dominated_by", "statistically dominated", "cost–accuracy front"),
    ),
)
