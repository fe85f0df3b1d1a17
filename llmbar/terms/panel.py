"""Do several judges agree?"""

from __future__ import annotations

from llmbar.terms.term import Term

PANEL = (
    Term(
        key="fleiss_kappa",
        name="Fleiss' kappa",
        means="Agreement of several judges beyond chance, over the pairs that all of them have a verdict on.",
        formula="(P̄ − P̄_e)/(1 − P̄_e)",
        reading="1 is full agreement, 0 chance. Nothing is said of being right: judges may share their errors.",
        source="Fleiss 1971",
        aliases=("fleiss", "Fleiss κ", "judges", "complete"),
    ),
    Term(
        key="krippendorff_alpha",
        name="Krippendorff's alpha",
        means="Agreement of several judges beyond chance, where some may lack a verdict.",
        formula="α = 1 − D_o/D_e",
        reading="As Fleiss' kappa; its author asks for .8, and .667 at the very least. Verdicts are nominal.",
        source="Krippendorff 2004",
        aliases=("alpha", "α", "Krippendorff α", "Krippendorff"),
    ),
    Term(
        key="phi",
        name="error correlation",
        means="How far two judges are wrong on the same verdicts.",
        formula="φ = Pearson's correlation of “A is wrong” and “B is wrong”",
        reading="0: a jury of both averages errors out. 1: the second judge adds nothing.",
        source="Yule 1912; for juries of judges see Verga et al. 2024",
        aliases=("φ", "both_wrong", "judge_a", "judge_b", "wrong_a", "wrong_b"),
    ),
)
