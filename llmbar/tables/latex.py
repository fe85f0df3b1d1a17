"""LaTeX with booktabs: the columns a paper has room for, the best in bold, baselines in italics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmbar.tables.columns import cell

if TYPE_CHECKING:
    from llmbar.tables.columns import Column, Row
    from llmbar.tables.sheet import Sheet

ROOM = 5
"""Columns that give way sooner than this (`Column.drop`) are left to the other formats."""

_COMMANDS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "-": "{-}",
    "−": "$-$",
    "–": r"\textendash{}",
    "†": r"\textdagger{}",
    "½": r"\textonehalf{}",
    "κ": r"$\kappa$",
    "[": "{[}",
    "]": "{]}",
} | {letter: f"\\{letter}" for letter in "&%$#_{}"}
"""Hyphens are wrapped lest two make a dash, brackets lest one behind a line break be its optional argument."""


def latex(sheet: Sheet) -> str:
    r"""A float as wide as its table, or as the text where that is narrower; its first line says what it needs."""
    heads = [column for column in sheet.columns if column.drop <= ROOM]
    lines = [" & ".join(_cell(sheet, column, row) for column in heads) for row in sheet.rows]
    left_out = ", ".join(escaped(column.head) for column in sheet.columns if column not in heads)
    return "\n".join(
        [
            r"% needs \usepackage[T1]{fontenc} and \usepackage{textcomp,booktabs,graphicx}",
            f"% left out for room: {left_out}",
            r"\begin{table*}[t]",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{escaped(sheet.title)}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{@{{}}{''.join('r' if column.numeric else 'l' for column in heads)}@{{}}}}",
            r"\toprule",
            " & ".join(escaped(column.head) for column in heads) + r" \\",
            r"\midrule",
            *(rf"{line} \\" for line in lines),
            r"\bottomrule",
            r"\end{tabular}}",
            r"\par\smallskip",
            r"\begin{minipage}{\linewidth}\scriptsize",
            *(rf"{escaped(note)}\par" for note in sheet.notes),
            r"\end{minipage}",
            r"\end{table*}",
            "",
        ]
    )


def _cell(sheet: Sheet, column: Column, row: Row) -> str:
    text = cell(column, row)
    if row["source"] == "baseline" and column.key == "judge":
        return rf"\textit{{{escaped(text)}}}"
    return rf"\textbf{{{escaped(text)}}}" if sheet.marked(column, row) else escaped(text)


def escaped(text: str) -> str:
    r"""Text that LaTeX sets as it is; a letter beyond Latin, for which pdfLaTeX has no glyph, by its code point.

    >>> escaped("50% of $x_1$")
    '50\\% of \\$x\\_1\\$'
    """
    return "".join(_COMMANDS.get(letter) or _glyph(letter) for letter in text)


def _glyph(letter: str) -> str:
    return letter if ord(letter) <= ord("ÿ") else rf"\texttt{{U+{ord(letter):04X}}}"
