"""An entry of the reading guide."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Term:
    """A column or a statistic, and all that a reader needs of it."""

    key: str
    """The column's name in tables and files, or the statistic's short name."""
    name: str
    """As it stands in a sentence."""
    means: str
    """One sentence: what it is."""
    reading: str = ""
    """How to read it, where that is not plain."""
    formula: str = ""
    source: str = ""
    """Whose it is: authors, year, where."""
    aliases: tuple[str, ...] = ()
    """What else it is called: heads of tables, other columns that it explains, the field's other words."""

    @property
    def called(self) -> tuple[str, ...]:
        return (self.key, self.name, *self.aliases)

    @property
    def lines(self) -> tuple[str, ...]:
        """What it is, its formula, how to read it and its source, as far as there are any."""
        marked = (("Formula", self.formula), ("How to read it", self.reading), ("Source", self.source))
        return (self.means, *(f"{mark}: {text.rstrip('.')}." for mark, text in marked if text))

    @property
    def paragraph(self) -> str:
        """Everything, in one paragraph.

        >>> Term("m", "mean", "What values have in the middle.", "One outlier moves it.", "Σx/n", "Anon").paragraph
        'What values have in the middle. Formula: Σx/n. How to read it: One outlier moves it. Source: Anon.'
        """
        return " ".join(self.lines)

    def as_dict(self) -> dict[str, str | tuple[str, ...]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}
