"""What a table's rows and columns stand for."""

from __future__ import annotations

from llmbar.terms.term import Term

TABLE = (
    Term(
        key="rank",
        name="rank",
        means="Rank by the headline accuracy; equal accuracies share a rank.",
        reading=(
            "A bare rank hides how close the rows are: look at the intervals, and at the rank range where one is shown."
        ),
    ),
    Term(
        key="judge",
        name="judge",
        means="What answered: a model, a simulated judge, a recording or a baseline.",
    ),
    Term(
        key="strategy",
        name="strategy",
        means="How the judge was asked: the steps and prompts that led to its verdicts.",
        reading="A judge is measured together with its strategy; another prompt is another judge.",
    ),
    Term(
        key="dataset",
        name="pair set",
        means="The pairs that were judged: instructions, each with two outputs and a gold label.",
        aliases=("data set",),
    ),
    Term(
        key="subset",
        name="subset",
        means="A part of the pair set that was made in one way, such as Natural or GPTInst; or a mean over several.",
        reading=(
            "Subsets differ in what they try a judge with, so a judge may be good at one and below chance at another."
        ),
        source="Zeng et al. 2024 (LLMBar)",
    ),
    Term(
        key="kind",
        name="kind of row",
        means="Whether a row is of one subset, or a macro row that averages several.",
    ),
    Term(
        key="n",
        name="n",
        means="Judgments in this row: one per pair (and repeat).",
        reading="The fewer, the wider every interval: 100 judgments at 80 % leave some ±8 points open.",
        aliases=("judgments", "number of judgments"),
    ),
    Term(
        key="order",
        name="order",
        means="Which output is shown first: original (output 1) or swapped (output 2).",
        aliases=("original", "swapped", "orders"),
    ),
    Term(
        key="verdict",
        name="verdict",
        means=(
            "What one asking came to: output 1, output 2, a tie, unreadable or failed; in a comparison: better, worse "
            "or unresolved."
        ),
        reading="A verdict speaks of the outputs as the pair set names them, wherever they were shown.",
        aliases=("final",),
    ),
    Term(
        key="gold",
        name="gold label",
        means="Which output is objectively better, as the people who made the pair set decided.",
        reading=(
            "It bounds what accuracy can mean: on LLMBar, people who saw nothing but the pair agreed with it on 75 of "
            "80."
        ),
        source="Zeng et al. 2024 (LLMBar)",
        aliases=("gold standard", "label"),
    ),
    Term(
        key="average",
        name="macro average",
        means="Accuracy, mean over all subsets, each weighing the same.",
        formula="(1/S)·Σ_s Acc_s",
        reading=(
            "A small subset counts as much as a large one. This is the paper's “Average”; the share over all pairs "
            "pooled is another number."
        ),
        source="Zeng et al. 2024 (LLMBar)",
        aliases=("Average", "macro", "macro row", "mean of subsets"),
    ),
    Term(
        key="adversarial",
        name="adversarial average",
        means="Accuracy, mean over the adversarial subsets.",
        formula="(1/4)·Σ Acc over Neighbor, GPTInst, GPTOut and Manual",
        reading="Here the worse output was chosen to look better: a judge that goes by looks falls below 50.",
        source="Zeng et al. 2024 (LLMBar)",
        aliases=("Adversarial",),
    ),
    Term(
        key="pooled",
        name="pooled average",
        means="A rate over all pairs together, each weighing the same.",
        formula="Σ_s n_s·Acc_s / Σ_s n_s",
        reading=(
            "Large subsets dominate it. It is not the paper's average: GPT-4 with Metrics+Reference has 85.4 macro and "
            "87.2 pooled."
        ),
        aliases=("micro", "micro average", "ALL_POOLED", "ADV_POOLED"),
    ),
    Term(
        key="ties",
        name="ties",
        means="Share of verdicts that prefer neither output.",
        reading=(
            "A tie is an answer, and earns what the policy says. Many ties mean that the judge does not tell the "
            "outputs apart, as ratings on a coarse scale do."
        ),
        aliases=("tie", "tie rate"),
    ),
    Term(
        key="unreadable",
        name="unreadable replies",
        means="Share of replies that name no verdict.",
        formula="⊥/2n; ⊥/n where the order plays no part",
        reading=(
            "A reply arrived and says nothing that the strategy could read. Above a percent or two the prompt or the "
            "token limit is at fault as much as the judge."
        ),
        source="Zeng et al. 2024 (LLMBar): unreadable counts as wrong",
        aliases=("Unread.", "invalid", "invalid rate", "invalid verdicts"),
    ),
    Term(
        key="cause",
        name="cause of an unreadable reply",
        means=(
            "Why a reply could not be read: empty, refusal, truncated, ambiguous, no match, out of bounds or content "
            "filter."
        ),
        reading=(
            "The commonest cause says what to mend: truncated wants more tokens, no match another prompt or pattern, a "
            "refusal another judge."
        ),
        aliases=("causes", "unreadable by cause", "original_cause", "swapped_cause", "refusal", "truncated"),
    ),
    Term(
        key="failed",
        name="failed calls",
        means="Verdicts that never arrived: they are not scored.",
        reading="Anything above 0 means that the run is incomplete; giving the same command again asks for them.",
        aliases=("Failed", "failure"),
    ),
    Term(
        key="ties_policy",
        name="tie policy",
        means="What a tie earns: ½ (half), nothing (strict), or it is left out (drop).",
        reading=(
            "Compare only rows of one policy. Under half a judge that always ties has 50 % accuracy; under drop it has "
            "none."
        ),
        source="half: Zeng et al. 2024 (LLMBar) for rating ties, Lambert et al. 2024 (RewardBench)",
        aliases=("policy", "tie and unreadable policy"),
    ),
    Term(
        key="unreadable_policy",
        name="unreadable policy",
        means="What an unreadable reply earns: nothing (strict), ½ (half), or it is left out (drop).",
        reading="Under drop a judge that answers only where it is easy looks better than it is.",
        source=(
            "strict: Zeng et al. 2024 (LLMBar); half: Lambert et al. 2024 (RewardBench); drop: Zheng et al. 2023 "
            "(FastChat)"
        ),
    ),
)
