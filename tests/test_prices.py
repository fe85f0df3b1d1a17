"""What tokens cost: published prices, and no price where none is published."""

from __future__ import annotations

import pytest
from genai_prices import Usage, calc_price

from llmbar.prices import cost

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("judge", "prompt", "completion"),
    [("openai/gpt-4o", 2.5, 10.0), ("openai/gpt-4o-mini", 0.15, 0.6), ("openrouter/openai/gpt-4o", 2.5, 10.0)],
)
def test_a_published_price_in_dollars_per_million_tokens(judge, prompt, completion):
    assert cost(judge, MILLION, 0) == pytest.approx(prompt)
    assert cost(judge, 0, MILLION) == pytest.approx(completion)
    assert cost(judge, 3 * MILLION, 2 * MILLION) == pytest.approx(3 * prompt + 2 * completion)
    assert cost(judge, 0, 0) == 0


@pytest.mark.parametrize("judge", ["openai/gpt-5.4", "openrouter/google/gemini-2.5-pro"])
def test_many_short_requests_do_not_cost_what_one_long_prompt_costs(judge):
    """Both providers charge more for a very long prompt; a run's million tokens are thousands of short ones."""
    provider, model = judge.split("/", 1)
    short, long = (calc_price(Usage(input_tokens=n), model_ref=model, provider_id=provider) for n in (500, MILLION))
    assert long.total_price > 2000 * short.total_price, "the table has no price for long prompts any more: take another"
    assert cost(judge, MILLION, 0) == pytest.approx(2000 * float(short.total_price))


@pytest.mark.parametrize(
    "judge",
    ["openai/my-finetune-7", "openai/", "vllm/Qwen/Qwen3-8B", "ollama/gpt-4o", "baseline/first", "recorded/GPT-4"],
)
def test_where_no_price_is_published_there_is_none(judge):
    assert cost(judge, MILLION, MILLION) is None
