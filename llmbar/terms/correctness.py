"""Is the judge right?"""

from __future__ import annotations

from llmbar.terms.term import Term

LLMBAR = "Zeng et al. 2024 (LLMBar)"

CORRECTNESS = (
    Term(
        key="accuracy",
        name="accuracy",
        means="Share of verdicts that name the gold output, over both orders where both are asked.",
        formula="Acc = (1/n)·Σ s_i, with s_i the mean credit of the pair's verdicts",
        reading=(
            "Guessing gives 50. Without ties and unreadable replies it is Both + (1 − Agr)/2: half of every conflict "
            "is right."
        ),
        source=LLMBAR,
        aliases=("Acc", "Acc.", "average accuracy"),
    ),
    Term(
        key="accuracy_original",
        name="accuracy in the original order",
        means="Share of verdicts that name the gold output where output 1 is shown first.",
        formula="acc_F = P(v_F = gold)",
        reading="Far from accuracy_swapped: gold lies more often on one side, and the judge goes by position.",
        source=LLMBAR,
        aliases=("accuracy by order", "acc_F"),
    ),
    Term(
        key="accuracy_swapped",
        name="accuracy in the swapped order",
        means="Share of verdicts that name the gold output where output 2 is shown first.",
        formula="acc_T = P(v_T = gold)",
        reading="Read it beside accuracy_original.",
        source=LLMBAR,
        aliases=("acc_T",),
    ),
    Term(
        key="both_correct",
        name="both correct",
        means="Share of pairs judged correctly in both orders.",
        formula="Both = P(v_F = v_T = gold)",
        reading="The strictest accuracy: chance alone gives 25, and a judge that always takes the first output has 0.",
        source="Zheng et al. 2023 (MT-Bench), the conservative reading of two orders",
        aliases=("Both", "both right"),
    ),
    Term(
        key="selective_accuracy",
        name="selective accuracy",
        means="Accuracy on the pairs where both orders say the same.",
        formula="Both / Agr_strict",
        reading="What the judge is worth if conflicts go to a person. Read it with the share of pairs that is left.",
        source="El-Yaniv & Wiener 2010, for selective classification",
        aliases=("accuracy of consistent pairs", "selective"),
    ),
    Term(
        key="kappa",
        name="Cohen's kappa",
        means="Agreement with the gold label beyond what chance would give, mean of the two orders.",
        formula="κ = (p_o − p_e)/(1 − p_e) on {1, 2}; ties and unreadable replies left out",
        reading=(
            "1 is perfect, 0 is chance, below 0 worse than chance. LLMBar's released code counts a verdict for output "
            "2 as 0, so that a perfect judge gets about .3; this is the corrected value."
        ),
        source="Cohen 1960",
        aliases=("κ", "Cohen κ", "cohen_kappa"),
    ),
    Term(
        key="positional_kappa",
        name="pooled positional kappa",
        means="Cohen's kappa over the verdicts of both orders together, in terms of first-shown and second-shown.",
        formula="κ = 2·Acc − 1, since gold stands first in exactly half of the orders",
        reading="It says nothing that accuracy does not, which is why it is not shown.",
        source="Cohen 1960, with balanced labels",
    ),
)
