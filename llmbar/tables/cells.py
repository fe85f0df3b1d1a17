"""Foreign text made harmless: names of judges, strategies and subsets come from files and command lines."""

from __future__ import annotations

import re
import unicodedata

_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
"""Terminal control sequences: CSI, OSC (closed or not), and the two-character ones."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of control, format (bidirectional overrides among them), surrogate and separator characters."""


def harmless(text: object) -> str:
    r"""`text` on one line, without what a terminal or a browser would obey rather than show.

    >>> harmless("\x1b[31mgpt\x1b[0m-4\u202e\n<b>")
    'gpt-4 <b>'
    """
    shown = "".join(_seen(letter) for letter in _ESCAPES.sub("", str(text)))
    return " ".join(shown.split())


def _seen(letter: str) -> str:
    if letter in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    return "" if unicodedata.category(letter) in _UNSEEN else letter
