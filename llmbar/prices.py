"""What tokens cost, from the price table of `genai-prices` (which travels with that package: nothing is looked up)."""

from __future__ import annotations

from functools import lru_cache

PRICED = frozenset({"openai", "azure", "anthropic", "google", "openrouter", "together", "groq", "mistral", "deepseek"})
"""Kinds of judges whose providers publish prices, as `genai-prices` calls them; a server of one's own has none.

What an Azure deployment is called is free: it has a price only where it is called as its model.
"""


ROUND = 1000
"""Tokens that a price is read off: few enough that no provider's price for long prompts applies."""


def cost(judge: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """US dollars for the tokens of many requests to a judge such as `openai/gpt-4o`; None where no price is known.

    Prices are those of the installed table, without what providers add for very long prompts or take off for cached
    ones and for batches.
    """
    price = _prices(judge)
    return None if price is None else prompt_tokens * price[0] + completion_tokens * price[1]


@lru_cache(maxsize=64)
def _prices(judge: str) -> tuple[float, float] | None:
    """US dollars for a prompt token and for a completion token."""
    kind, _, model = judge.partition("/")
    if kind not in PRICED:
        return None
    from genai_prices import Usage, calc_price

    try:
        prompt = calc_price(Usage(input_tokens=ROUND), model_ref=model, provider_id=kind)
        completion = calc_price(Usage(output_tokens=ROUND), model_ref=model, provider_id=kind)
    except LookupError:
        return None
    return float(prompt.total_price) / ROUND, float(completion.total_price) / ROUND
