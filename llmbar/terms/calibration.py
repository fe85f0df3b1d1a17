"""Does the judge know when it is right?"""

from __future__ import annotations

from llmbar.terms.term import Term

CALIBRATION = (
    Term(
        key="confidence",
        name="confidence",
        means="The probability that the judge gives to the output it prefers, from token probabilities or from votes.",
        formula="max(P(output 1), 1 − P(output 1)), between ½ and 1",
        reading="Only as good as its calibration. Tokens after a chain of thought are nearly always sure.",
        aliases=("probability", "stated"),
    ),
    Term(
        key="ece",
        name="expected calibration error",
        means="Mean gap between confidence and accuracy.",
        formula="ECE = Σ_b (n_b/n)·|acc_b − conf_b| over bins of equal width in [½, 1]",
        reading=(
            "0 at best: 70 % sure is right 70 % of the time. It depends on the number of bins, and with few judgments "
            "chance alone lifts it."
        ),
        source="Naeini et al. 2015; Guo et al. 2017",
        aliases=("ECE", "calibration error", "calibration", "bins"),
    ),
    Term(
        key="brier",
        name="Brier score",
        means="Mean squared error of the probability that output 1 is better.",
        formula="(1/n)·Σ (P_i(output 1) − [gold is 1])²",
        reading="0 at best; ¼ is what always saying ½ gets. It rewards calibration and discernment together.",
        source="Brier 1950",
        aliases=("Brier",),
    ),
    Term(
        key="auroc",
        name="AUROC of confidence",
        means="The chance that a right verdict is held with more confidence than a wrong one.",
        formula="P(conf_right > conf_wrong) + ½·P(equal)",
        reading="50 % is no discernment, 100 % perfect. Undefined for a judge that is always right or always wrong.",
        source="Hanley & McNeil 1982",
        aliases=("AUROC", "AUC"),
    ),
    Term(
        key="reliability",
        name="reliability curve",
        means="Accuracy within bins of confidence, with Wilson intervals.",
        reading="On the diagonal the judge means what it says; below it, it is overconfident.",
        source="Murphy & Winkler 1977",
        aliases=("reliability diagram", "calibration curve"),
    ),
    Term(
        key="risk_coverage",
        name="risk–coverage curve",
        means="Error rate among the surest verdicts, against the share of pairs that these are.",
        reading=(
            "How far errors fall when the unsure verdicts go to people. Verdicts of equal confidence enter together."
        ),
        source="El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017",
        aliases=("risk coverage", "coverage"),
    ),
    Term(
        key="aurc",
        name="area under the risk–coverage curve",
        means="The error rate, averaged over all ways to keep only the surest verdicts.",
        formula="AURC = (1/n)·Σ_k risk among the k surest",
        reading="Low is good. Below 1 − accuracy confidence helps; equal to it, confidence says nothing.",
        source="Geifman, Uziel & El-Yaniv 2019",
        aliases=("AURC",),
    ),
    Term(
        key="scaling",
        name="temperature and Platt scaling",
        means="Making probabilities of a judge's margins, fitted on other pairs than those that are scored.",
        formula="temperature: P = expit(m/T); Platt: P = expit(a·m + b)",
        reading=(
            "Temperature changes how sure a judge is, never what it prefers; Platt may also undo a constant lean. All "
            "rows but “stated” are out of fold."
        ),
        source="Platt 1999; Guo et al. 2017",
        aliases=(
            "temperature",
            "Platt",
            "temperature scaling",
            "Platt scaling",
            "out of fold",
            "probabilities",
            "folds",
        ),
    ),
)
