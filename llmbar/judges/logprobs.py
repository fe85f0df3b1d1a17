r"""The probabilities of labels, read from the tokens with which a reply begins.

Endpoints that tell the likeliest tokens at each place (`top_logprobs`) tell the probability that the reply begins with
a label, though a label may be several tokens and labels share their first ones. We walk along the reply. At each place
every told token either leaves exactly one label possible, and its probability is that label's; or several, and then the
reply's own token is followed, its probability being a factor of all that comes after; or none, and is left out.

>>> half = [("a", -0.6931), ("b", -0.6931)]
>>> told = [Token("Output", -0.1, []), Token(" (", -0.0, [(" (", -0.0)]), Token("a", -0.6931, half)]
>>> {label: round(value, 3) for label, value in label_logprobs(told, ("Output (a)", "Output (b)")).items()}
{'Output (a)': -0.793, 'Output (b)': -0.793}

So each value is the natural logarithm of the probability that the reply *begins with that label*, as far as it was
told: their sum is the mass that a reader checks. A label that was never among the likeliest tokens is absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

THOUGHT = "</think>"


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reply, and the likeliest ones in its place."""

    text: str
    logprob: float
    likeliest: Sequence[tuple[str, float]]


def label_logprobs(reply: Sequence[Token], labels: Sequence[str]) -> dict[str, float] | None:
    """Label → log-probability that the reply begins with it; None where the reply begins with no label."""
    found = dict.fromkeys(labels, 0.0)
    said, path = "", 1.0
    for token in behind_reasoning(reply):
        for text, logprob in {**dict(token.likeliest), token.text: token.logprob}.items():
            possible = compatible(said + text, labels)
            if len(possible) == 1:
                found[possible[0]] += path * exp(logprob)
        said, path = said + token.text, path * exp(token.logprob)
        possible = compatible(said, labels)
        if len(possible) < 2:
            return _told(found) if possible else None
    if (ended := said.strip()) in found:  # "1" where "10" was possible, too
        found[ended] += path
        return _told(found)
    return None


def behind_reasoning(reply: Sequence[Token]) -> Sequence[Token]:
    """The tokens that follow a `<think>` block, where the server tells those inside, too."""
    ends = [place for place, token in enumerate(reply) if THOUGHT in token.text]
    return reply[ends[-1] + 1 :] if ends else reply


def compatible(text: str, labels: Iterable[str]) -> list[str]:
    """The labels that a reply beginning with `text` may turn out to name; whitespace in front is no part of it.

    >>> compatible("Output (", ["Output (a)", "Output (b)"]), compatible("10.", ["1", "10"])
    (['Output (a)', 'Output (b)'], ['10'])
    """
    text = text.lstrip()
    ahead = [label for label in labels if label.startswith(text)]
    if ahead:
        return ahead
    behind = [label for label in labels if text.startswith(label) and not _goes_on(label, text)]
    return [max(behind, key=len)] if behind else []


def _goes_on(label: str, text: str) -> bool:
    """Whether the label's last word goes on: "1" does not stand in "12"."""
    return label[-1:].isalnum() and text[len(label) : len(label) + 1].isalnum()


def _told(found: dict[str, float]) -> dict[str, float] | None:
    """Finite logarithms; what rounding adds beyond certainty is cut off."""
    return {label: log(min(value, 1.0)) for label, value in found.items() if value > 0} or None
