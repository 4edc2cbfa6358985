"""`float8 compare`: runs side by side, and whether they differ by more than their seeds do."""

from __future__ import annotations

import json
import random
import statistics

import pytest

from float8.train.compare import judge


def write(folder, offset, seed, steps=80, **more):
    """A run whose loss falls to 2 + offset, with the noise of its seed."""
    folder.mkdir(parents=True)
    noise = random.Random(seed)
    shift = (-0.02, 0.02, 0.01, -0.01)[seed % 4]
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(1, steps + 1):
            loss = 2 + 3 / step + offset + shift + noise.gauss(0, 0.01)
            row = {"step": step, "loss": loss, "tokens_per_second": 100 + seed, **more}
            file.write(json.dumps(row) + "\n")
        file.write(json.dumps({"step": steps, "validation_loss": 2.5 + offset}) + "\n")
    return folder


def kinds(tmp_path, offset):
    runs = [f"bf16={write(tmp_path / f'a{seed}', 0.0, seed)}" for seed in range(4)]
    return runs + [f"fp8={write(tmp_path / f'b{seed}', offset, seed + 10)}" for seed in range(4)]


@pytest.mark.parametrize(("offset", "expected"), [(0.0, "not more"), (0.3, "MORE")])
def test_seeds_tell_chance_from_difference(cli, tmp_path, offset, expected):
    picture = tmp_path / "out.png"
    result = cli("compare", *kinds(tmp_path, offset), "--picture", picture)
    assert result.status == 0, result.err
    (line,) = [line for line in result.out.splitlines() if line.startswith("fp8 - bf16: ")]
    assert f", {expected} than seeds differ by" in line
    assert float(line.split()[3].rstrip(",")) == pytest.approx(offset, abs=0.05)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_seeds_it_cannot_tell(cli, tmp_path):
    a, b = write(tmp_path / "a", 0.0, 1, peak_memory_gib=3.5), write(tmp_path / "b", 0.3, 2)
    result = cli("compare", a, b, "--picture", tmp_path / "p.png")
    assert result.status == 0, result.err
    assert "cannot tell" in result.out
    (row,) = [line for line in result.out.splitlines() if line.startswith(f"{tmp_path.name}/a ")]
    assert row.split()[-4:] == [row.split()[-4], "2.5000", "101", "3.50"]


def test_judge_is_students_test():
    first, second = [1.0, 1.1, 1.2], [1.1, 1.25, 1.3]
    verdict = judge(first, second)
    assert verdict.difference == pytest.approx(statistics.fmean(second) - statistics.fmean(first))
    # By hand: variances 0.01 and 0.0108333, pooled 0.0104167; t(0.975, 4) = 2.776.
    assert verdict.chance == pytest.approx(2.776 * (0.0104167 * 2 / 3) ** 0.5, rel=2e-3)
    assert judge([1.0], second).chance is None


def test_runs_of_other_lengths_are_compared_where_both_are(cli, tmp_path):
    a, b = write(tmp_path / "a", 0.0, 1, steps=40), write(tmp_path / "b", 0.0, 2, steps=80)
    result = cli("compare", a, b, "--picture", tmp_path / "p.png")
    assert "over the 40 steps that all runs have; the longest has 80" in result.out


def test_runs_of_the_command(cli, config, tmp_path):
    """One folder of `float8 train` holds both of its runs."""
    assert cli("train", config).status == 0
    result = cli("compare", tmp_path / "run", "--picture", tmp_path / "p.png")
    assert result.status == 0, result.err
    labels = [line.split()[0] for line in result.out.splitlines()]
    assert "run/bf16" in labels
    assert "run/fp8" in labels
    assert "run/fp8 - run/bf16: " in result.out


def test_a_last_line_cut_short_is_left_out(cli, tmp_path):
    a, b = write(tmp_path / "a", 0.0, 1), write(tmp_path / "b", 0.0, 2)
    with (a / "metrics.jsonl").open("a") as file:
        file.write('{"step": 81, "lo')
    assert cli("compare", a, b, "--picture", tmp_path / "p.png").status == 0


def test_bad_runs_are_named(cli, tmp_path):
    good, empty = write(tmp_path / "good", 0.0, 1), tmp_path / "empty"
    empty.mkdir()
    broken = write(tmp_path / "broken", 0.0, 2)
    lines = (broken / "metrics.jsonl").read_text().splitlines()
    (broken / "metrics.jsonl").write_text("\n".join([lines[0], "no json", *lines[1:]]))
    lossless = tmp_path / "lossless"
    lossless.mkdir()
    (lossless / "metrics.jsonl").write_text('{"step": 1, "lr": 1}\n')
    for words, expected in (
        ([good, tmp_path / "gone"], "gone: a run's folder"),
        ([good, empty], "empty: a run's folder (with metrics.jsonl"),
        ([good, broken], "metrics.jsonl:2: a JSON map with a step was expected, found 'no json'"),
        ([good, lossless], "no step with a loss in it"),
        ([good], "at least two runs"),
        ([], "at least two runs, got none"),
        ([good, good, "--optimizer.lr", 1], "float8 compare knows no --optimizer.lr"),
    ):
        result = cli("compare", *words)
        assert result.status in (1, 2)
        assert expected in result.err
