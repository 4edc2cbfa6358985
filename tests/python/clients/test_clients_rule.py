"""The rule that tests/clients_env applies to the runs of other trainers: it can fail."""

import random
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "clients_env"))

from rule import Expected, complaints, judge
from settings import SEEDS, SETTINGS

EXPECTED = Expected(steps=2, converted=14, products=84, ranks=2)


def run(**changes):
    """What a program prints that did what it should."""
    found = {
        "seed": 7,
        "losses": [4.5, 4.25],
        "converted": 14,
        "class": ["float8.float8_linear"],
        "float8_products": [[84, 84], [84, 84]],
        "precomputed": 0,
    }
    return {**found, **changes}


BF16 = {"converted": 0, "class": [], "float8_products": [[0, 0], [0, 0]]}
TORCHAO = {"class": ["torchao.float8.float8_linear"], "float8_products": [[0, 0], [0, 0]]}


@pytest.mark.parametrize(
    ("layers", "changes"), [("ours", {}), ("torchao", TORCHAO), ("bf16", BF16)]
)
def test_what_was_asked_for_is_no_complaint(layers, changes):
    assert complaints(layers, run(**changes), EXPECTED) == []


@pytest.mark.parametrize(
    ("layers", "changes", "text"),
    [
        ("ours", BF16, "converted must be 14, got 0"),
        ("ours", TORCHAO, "class must be"),
        ("ours", {"converted": 13}, "converted must be 14, got 13"),
        ("ours", {"float8_products": [[84, 84], [0, 0]]}, r"float8_products must be .*\[0, 0\]"),
        ("ours", {"float8_products": [[84, 0], [84, 84]]}, r"float8_products must be .*\[84, 0\]"),
        (
            "ours",
            {"float8_products": [[84, 84]]},
            r"float8_products must be .*, got \[\[84, 84\]\]",
        ),
        ("ours", {"precomputed": 2}, "precomputed must be 0, got 2"),
        ("ours", {"losses": [4.5]}, "2 finite losses"),
        ("ours", {"losses": [4.5, float("nan")]}, "2 finite losses"),
        ("torchao", {}, "class must be"),
        ("torchao", BF16, "converted must be 14, got 0"),
        ("bf16", {}, "converted must be 0, got 14"),
    ],
)
def test_other_layers_than_asked_for_are_a_complaint(layers, changes, text):
    found = complaints(layers, run(**changes), EXPECTED)
    assert any(re.search(text, line) for line in found), found


STEPS = 30


def curves(base, apart, seed=0, start=0.0):
    """Runs that lie `apart` from others on average, and by `start` in the first step."""
    random.seed(seed)
    return [
        [
            loss + (start if step == 0 else apart * random.choice((0.8, 1.2)))
            for step, loss in enumerate(own)
        ]
        for own in base
    ]


BASE = [[4.7 - 0.05 * step + 0.01 * seed for step in range(STEPS)] for seed in SEEDS]
THEIRS = curves(BASE, 0.01, start=0.001)


def judged(apart, start=0.001, seed=1):
    return judge(BASE, THEIRS, curves(BASE, apart, seed, start))


def test_runs_as_near_as_torchaos_hold():
    verdict = judged(0.01)
    assert verdict.broken == []
    assert verdict.torchao == pytest.approx(0.0095, rel=0.05)
    assert verdict.allowed < 1.1 * verdict.torchao


def test_runs_further_off_do_not():
    assert "the gap must be at most" in judged(0.012).broken[0]


def test_spread_over_seeds_buys_no_more_than_half():
    """Where only some seeds go wrong chance would allow much."""
    ours = [[loss + (0.001 if step == 0 else 0.01 if seed < 4 else 0.03)
             for step, loss in enumerate(own)] for seed, own in enumerate(BASE)]  # fmt: skip
    verdict = judge(BASE, THEIRS, ours)
    assert verdict.torchao + verdict.chance > verdict.ours
    assert verdict.allowed == 1.5 * verdict.torchao
    assert len(verdict.broken) == 1


def test_another_start_than_torchaos_does_not_hold():
    [text] = judged(0.01, start=0.0012).broken
    assert "the first losses must be within 0.00010 of torchao's, got 0.00020" in text


def test_each_program_has_a_name_of_its_own():
    names = {s.name(layers): s.command(layers) for s in SETTINGS for layers in ("torchao", "ours")}
    assert len(names) == 2 * len(SETTINGS)
    for name, command in names.items():
        assert ("float8.as_torchao" in command) == name.endswith("ours")
