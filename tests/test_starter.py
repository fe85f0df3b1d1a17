"""The starter set keeps what data/README.md promises."""

from __future__ import annotations

from collections import Counter

import pytest

from llmbar.pairs import cluster, find_problems, load_pairs

HALVES = ("natural", "adversarial")


def half(name: str) -> list:
    return load_pairs(f"starter/{name}")


def test_nothing_is_wrong_with_it():
    findings = find_problems("starter")
    assert findings.errors == []
    assert findings.warnings == []


def test_it_is_large_enough():
    assert len(half("natural")) >= 60
    assert len(half("adversarial")) >= 60
    sizes = Counter(pair.subset for pair in load_pairs("starter"))
    assert set(sizes) == {"Natural", "Neighbor", "GPTInst", "GPTOut", "Manual"}
    assert min(sizes.values()) >= 15


def test_adversarial_subsets_and_only_they_form_a_group():
    assert {pair.group for pair in half("adversarial")} == {"Adversarial"}
    assert {pair.group for pair in half("natural")} == {""}


@pytest.mark.parametrize("name", HALVES)
def test_gold_is_balanced_over_the_sides(name: str):
    pairs = half(name)
    assert 0.45 <= sum(pair.gold == 1 for pair in pairs) / len(pairs) <= 0.55


@pytest.mark.parametrize("name", HALVES)
def test_length_gives_nothing_away(name: str):
    pairs = half(name)
    longer_is_right = [(len(pair.output_1) > len(pair.output_2)) == (pair.gold == 1) for pair in pairs]
    assert all(len(pair.output_1) != len(pair.output_2) for pair in pairs), "equal lengths are neither"
    assert 0.45 <= sum(longer_is_right) / len(pairs) <= 0.55  # "shorter" is what is left, so within the same bounds


def test_every_pair_says_what_decides_and_where_it_belongs():
    for pair in load_pairs("starter"):
        assert len(pair.why.split()) >= 5, pair.id
        assert pair.provenance.get("domain"), pair.id


def test_no_instruction_stands_twice():
    repeated = [
        words for words, times in Counter(cluster(p.instruction) for p in load_pairs("starter")).items() if times > 1
    ]
    assert repeated == []


def test_pairs_vary_in_domain_and_length():
    pairs = load_pairs("starter")
    assert len({pair.provenance["domain"] for pair in pairs}) >= 10
    lengths = sorted(len(pair.output_1) + len(pair.output_2) for pair in pairs)
    assert lengths[-1] >= 5 * lengths[0]
