"""Requests for the tests of judges that run on this machine: a plain prompt, rendered by hand."""

from __future__ import annotations

from llmbar.reading import ChoiceReader
from llmbar.records import Message, Order, Pair, Question, Request

LABELS = ("Output (a)", "Output (b)")
CHOICE = ChoiceReader(kind="choice")


def pair(instruction="Say yes.", output_1="Yes.", output_2="No, I would rather not.", gold=1, id="p0"):  # noqa: A002
    return Pair(
        id=id, dataset="set", subset="only", instruction=instruction, output_1=output_1, output_2=output_2, gold=gold
    )


def prompt(instruction, first, second):
    return (
        f"# Instruction:\n{instruction}\n# Output (a):\n{first}\n# Output (b):\n{second}\n\n"
        "# Which is better, Output (a) or Output (b)? Reply with the label alone."
    )


def comparison(of, order=Order.ORIGINAL, *, before=(), text=None, reader=CHOICE, sample=0):
    """Both outputs of a pair in one prompt, in the given order; `text` replaces the prompt."""
    shown = (of.output_1, of.output_2)[:: order.sign]
    messages = (Message("system", "You judge."), *before, Message("user", text or prompt(of.instruction, *shown)))
    return Request(messages, sample=sample, about=Question(of, "plain", "verdict", order, None, LABELS, reader))


def rating(of, output, reader, *, text=None, sample=0):
    """One output of a pair alone."""
    shown = of.output_1 if output == 1 else of.output_2
    messages = (Message("user", text or f"# Instruction:\n{of.instruction}\n# Output:\n{shown}\n\n# How good is it?"),)
    return Request(messages, sample=sample, about=Question(of, "plain", "score", None, output, LABELS, reader))
