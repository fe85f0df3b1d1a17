"""What tokens cost, from the price table of `genai-prices` (which travels with that package: nothing is looked up)."""

from __future__ import annotations

from functools import lru_cache

PRICED = frozenset({"openai", "openrouter"})
"""Kinds of judges whose providers publish prices; a server of one's own has none."""


def cost(judge: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """US dollars for so many tokens of a judge such as `openai/gpt-4o`; None where no price is known.

    Prices are per token, without the tiers of some providers, and as of the installed table.
    """
    price = _prices(judge)
    return price and prompt_tokens * price[0] + completion_tokens * price[1]


@lru_cache(maxsize=64)
def _prices(judge: str) -> tuple[float, float] | None:
    kind, _, model = judge.partition("/")
    if kind not in PRICED:
        return None
    from genai_prices import Usage, calc_price

    million = 1_000_000
    try:
        prompt = calc_price(Usage(input_tokens=million), model_ref=model, provider_id=kind)
        completion = calc_price(Usage(output_tokens=million), model_ref=model, provider_id=kind)
    except LookupError:
        return None
    return float(prompt.total_price) / million, float(completion.total_price) / million
