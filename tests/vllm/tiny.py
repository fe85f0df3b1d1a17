"""Make a judge and a reward model that fit into a few megabytes: Llamas with random weights, and a tokenizer.

Run by the interpreter beside `vllm`, where torch and transformers live:

    python tiny.py FOLDER < TEXTS

TEXTS is a JSON list of texts to train the tokenizer on. Makes FOLDER/judge, FOLDER/reward and FOLDER/reasoning.jinja.
Seeded: the same texts make the same models.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<bos>", "<turn>", "<end>"]

TEMPLATE = """\
{{ bos_token }}{% for message in messages %}<turn>{{ message.role }}
{{ message.content }}<end>
{% endfor %}{% if add_generation_prompt %}<turn>assistant
{% endif %}"""

REASONING = (
    TEMPLATE.removesuffix("{% endif %}")
    + """{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{% endif %}"""
)
"""As Qwen3 does it: thinking is switched off by thoughts that are already there, and empty."""


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2048, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*texts, "<think>\n\n</think>\n\n"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<end>",
        chat_template=TEMPLATE,
        model_max_length=4096,
    )


def main() -> None:
    folder, texts = Path(sys.argv[1]), json.load(sys.stdin)
    tokenizer = make_tokenizer(texts)
    for think in ("<think>", "</think>"):
        tokenizer.add_tokens(think, special_tokens=False)
    config = {
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "initializer_range": 0.08,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    for name, kind, extra in (
        ("judge", LlamaForCausalLM, {"tie_word_embeddings": False}),
        ("reward", LlamaForSequenceClassification, {"num_labels": 1}),
    ):
        torch.manual_seed(7)
        kind(LlamaConfig(**config, **extra)).to(torch.float32).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    (folder / "reasoning.jinja").write_text(REASONING, "utf-8")
    sys.stdout.write(json.dumps({"tokens": len(tokenizer)}))


if __name__ == "__main__":
    main()
