"""The order of the rows, and going on from the middle of it."""

from __future__ import annotations

from itertools import islice

import pytest

from float8.train.data import EpochSampler, endless, load_rows, make_loader
from float8.train.settings import load_settings


def test_each_epoch_is_another_permutation_of_all_rows():
    sampler = EpochSampler(10, seed=1, shuffle=True)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first == list(EpochSampler(10, seed=1, shuffle=True))
    assert first != list(EpochSampler(10, seed=2, shuffle=True))
    assert list(EpochSampler(3, seed=1, shuffle=False)) == [0, 1, 2]


def test_ranks_share_an_epoch_without_overlap():
    shares = [list(EpochSampler(11, 5, True, rank, 3)) for rank in range(3)]
    assert [len(share) for share in shares] == [3, 3, 3]
    assert len({row for share in shares for row in share}) == 9


def rows_of(batches, count):
    return [batch["input_ids"].tolist() for batch in islice(batches, count)]


@pytest.mark.parametrize("taken", range(1, 10))  # two epochs of 4 batches, and a bit
def test_a_loader_goes_on_where_its_state_was_taken(config, taken):
    settings = load_settings(str(config))
    rows = load_rows(settings, "dataset")
    assert len(rows) // 2 == 4, "the fixture's text has changed"
    whole = rows_of(endless(make_loader(settings, rows)), 12)

    loader = make_loader(settings, rows)
    batches = endless(loader)
    before = rows_of(batches, taken)
    state = loader.state_dict()
    resumed = make_loader(settings, rows)
    resumed.load_state_dict(state)
    after = rows_of(endless(resumed), 12 - taken)
    assert before + after == whole


def test_too_little_text_is_an_error(cli, config):
    result = cli("train", config, "--step_scheduler.local_batch_size", 20,
                    "--step_scheduler.global_batch_size", 20)  # fmt: skip
    assert result.status == 2
    assert "text for 20 rows of 32 tokens" in result.err
