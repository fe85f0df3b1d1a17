"""The reading guide: what every column and every statistic is, how to read it, and whose it is.

One source for the three places where it is read: `llmbar explain`, the page docs/statistics.md, and what an HTML table
says when a column's head is pointed at. One file per topic; `term` says what an entry holds.

>>> find("Cohen's kappa").key
'kappa'
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from llmbar.errors import UsageError
from llmbar.terms.calibration import CALIBRATION
from llmbar.terms.certainty import CERTAINTY
from llmbar.terms.comparison import COMPARISON
from llmbar.terms.correctness import CORRECTNESS
from llmbar.terms.look import LOOK
from llmbar.terms.panel import PANEL
from llmbar.terms.position import POSITION
from llmbar.terms.table import TABLE
from llmbar.terms.term import Term
from llmbar.terms.traffic import TRAFFIC

__all__ = ["TERMS", "TOPICS", "Term", "find", "meaning"]

TOPICS: dict[str, tuple[Term, ...]] = {
    "What a table's rows and columns stand for": TABLE,
    "Is the judge right?": CORRECTNESS,
    "Does the order of the outputs sway it?": POSITION,
    "Do length, look or author sway it?": LOOK,
    "How sure is a number?": CERTAINTY,
    "Is one judge better than another?": COMPARISON,
    "Does it know when it is right?": CALIBRATION,
    "Do several judges agree?": PANEL,
    "What follows for those who use a judge?": TRAFFIC,
}
"""Topic → its terms, in the order in which they are best read."""

TERMS: dict[str, Term] = {term.key: term for terms in TOPICS.values() for term in terms}


def find(word: str) -> Term:
    """The term that is called `word`: its key, its name or another name, whatever the case and the hyphens.

    The ends of a number's interval, and its method, such as `accuracy_low`, are explained as interval.

    Raises:
        UsageError: nothing is called so; suggests what may be meant.
    """
    if found := _CALLED.get(_plain(word)):
        return found
    if _END.sub("", _plain(word)) in _CALLED:
        return TERMS["interval"]
    near = dict.fromkeys(_CALLED[name].name for name in get_close_matches(_plain(word), _CALLED))
    remedy = f"did you mean {' or '.join(near)}?" if near else "llmbar explain lists all that is"
    raise UsageError(f"nothing is called {word!r}", remedy=remedy)


def meaning(word: str) -> str:
    """All that is said of the term that is called `word`, in one paragraph."""
    return find(word).paragraph


def _plain(word: str) -> str:
    """A name as it is looked up.

    >>> _plain("Rogan–Gladen"), _plain("accuracy_gold_longer"), _plain("Cohen's kappa")
    ('rogan gladen', 'accuracy gold longer', 'cohens kappa')
    """
    return " ".join(re.split(r"[\s_\-–—/·]+", word.replace("'", "").replace("’", "").casefold())).strip()


_END = re.compile(r" (low|high|interval)$")

_CALLED = {_plain(name): term for term in TERMS.values() for name in reversed(term.called)}
