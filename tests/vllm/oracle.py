"""What transformers computes, in one forward pass per text and no cache: the reference for what vLLM tells.

    python oracle.py labels FOLDER [TEMPLATE] < QUESTIONS     → per question label → log-probability
    python oracle.py rewards FOLDER < CONVERSATIONS           → per conversation its reward

QUESTIONS is a JSON list of {messages, labels, kwargs}: a label's value is the log-probability of its tokens up to the
one at which the labels part, less that of the tokens that they share. A label that ends there is followed by the end of
the turn.
"""

from __future__ import annotations

import json
import sys
from itertools import takewhile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer


def labels(folder: str, template: str | None, questions: list[dict]) -> list[dict[str, float]]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    if template:
        tokenizer.chat_template = Path(template).read_text("utf-8")
    return [weigh(model, tokenizer, **question) for question in questions]


def weigh(model, tokenizer, messages: list[dict], labels: list[str], kwargs: dict) -> dict[str, float]:
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **kwargs)
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = {label: tokenizer(text + label, add_special_tokens=False)["input_ids"][len(prompt) :] for label in labels}
    shared = len(list(takewhile(lambda tokens: len({*tokens}) == 1, zip(*ids.values(), strict=False))))
    ids = {label: own if len(own) > shared else [*own, tokenizer.eos_token_id] for label, own in ids.items()}
    return {
        label: score(model, prompt, own[: shared + 1]) - score(model, prompt, own[:shared])
        for label, own in ids.items()
    }


def score(model, prompt: list[int], reply: list[int]) -> float:
    """The log-probability of a reply's tokens."""
    if not reply:
        return 0.0
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + reply])).logits[0].double()
    told = torch.log_softmax(logits, -1)[len(prompt) - 1 : -1]
    return sum(float(row[token]) for row, token in zip(told, reply, strict=True))


def rewards(folder: str, conversations: list[list[dict]]) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for messages in conversations:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            found.append(float(model(torch.tensor([ids])).logits[0, 0]))
    return found


if __name__ == "__main__":
    what, folder, *template = sys.argv[1:]
    given = json.load(sys.stdin)
    sys.stdout.write(
        json.dumps(rewards(folder, given) if what == "rewards" else labels(folder, (template or [None])[0], given))
    )
