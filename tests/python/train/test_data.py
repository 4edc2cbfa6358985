"""The order of the rows, and going on from the middle of it."""

from __future__ import annotations

from itertools import islice

import pytest

from float8.train.config.settings import load_settings
from float8.train.data.loader import EpochSampler, load_rows, make_loader, validation_batches
from float8.train.data.packing import IGNORED
from float8.train.processes.ranks import Ranks


def take(count, *arguments, **keys):
    return list(islice(EpochSampler(*arguments, **keys), count))


def test_each_epoch_is_another_permutation_of_all_rows():
    both = take(20, 10, seed=1, shuffle=True)
    first, second = both[:10], both[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first == take(10, 10, seed=1, shuffle=True)
    assert first != take(10, 10, seed=2, shuffle=True)
    assert take(5, 3, seed=1, shuffle=False) == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_take_the_batches_that_one_process_takes(world):
    """In each global batch of 12 rows, over the border between two epochs too."""
    whole = take(12 * 3, 11, seed=5, shuffle=True)
    shares = [take(12 * 3 // world, 11, 5, True, rank, world, batch=2) for rank in range(world)]

    def batches(rows):
        return sorted(tuple(rows[first : first + 2]) for first in range(0, len(rows), 2))

    each = 12 // world
    for step in range(3):
        rows = [row for share in shares for row in share[step * each : (step + 1) * each]]
        assert batches(rows) == batches(whole[step * 12 : (step + 1) * 12])


def rows_of(batches, count):
    return [batch["input_ids"].tolist() for batch in islice(batches, count)]


@pytest.mark.parametrize("taken", range(1, 6))  # of 4 rows each, from 9: two epochs and a bit
def test_a_loader_goes_on_after_so_many_steps(config, taken):
    settings = load_settings(str(config))
    rows = load_rows(settings, "dataset")
    assert len(rows) == 9, "the fixture's text has changed"
    whole = rows_of(make_loader(settings, rows, Ranks(), 0), 12)
    after = rows_of(make_loader(settings, rows, Ranks(), taken), 12 - 2 * taken)
    assert after == whole[2 * taken :]


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_validation_takes_every_row_once_in_as_many_batches_on_each_rank(config, world):
    settings = load_settings(str(config))
    rows = load_rows(settings, "dataset")
    shares = [list(validation_batches(settings, rows, Ranks(rank, world))) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    counted = [
        row.tolist()
        for share in shares
        for batch in share
        for row, labels in zip(batch["input_ids"], batch["labels"], strict=True)
        if (labels != IGNORED).any()
    ]
    assert sorted(counted) == sorted(rows[index]["input_ids"].tolist() for index in range(9))


def test_too_little_text_is_an_error(cli, config):
    result = cli("train", config, "--step_scheduler.local_batch_size", 20,
                    "--step_scheduler.global_batch_size", 20)  # fmt: skip
    assert result.status == 2
    assert "text for 20 rows of 32 tokens" in result.err


def test_rows_that_are_left_out_are_counted_and_named(cli, config):
    text = config.parent / "text.jsonl"
    text.write_text("\n" + text.read_text() + "no JSON\n" * 4)
    words = ("--dataset.max_malformed_rows", 4, "--step_scheduler.max_steps", 1)
    result = cli("train", config, "--bf16_baseline", "false", *words)
    assert result.status == 0, result.err
    assert "7 documents" in result.out
    assert f"4 malformed rows left out: {text}:9 (no JSON)" in result.out
