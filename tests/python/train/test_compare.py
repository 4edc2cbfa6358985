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


@pytest.mark.parametrize(
    ("seeds", "student"), [(2, 4.303), (3, 2.776), (4, 2.447), (5, 2.306), (6, 2.228), (7, 2.179)]
)
def test_more_seeds_tell_smaller_differences(seeds, student):
    """The distribution's own values for 2 (n - 1) degrees of freedom; ours may be a little above,
    never below."""
    values = [0.0] * (seeds - 1) + [1.0]
    spread = statistics.variance(values)
    chance = judge(values, values).chance
    assert student - 0.01 <= chance / (spread * 2 / seeds) ** 0.5 <= student * 1.02


def test_kinds_may_have_other_numbers_of_seeds():
    first, second = [1.0, 1.2], [1.0, 1.1, 1.2, 1.5]
    squares = 0.02 + sum((value - 1.2) ** 2 for value in second)
    expected = 2.776 * (squares / 4 * (1 / 2 + 1 / 4)) ** 0.5
    assert judge(first, second).chance == pytest.approx(expected, rel=2e-3)
    assert judge(first, second).difference == pytest.approx(0.1)
    assert judge(second, first).difference == pytest.approx(-0.1)
    assert "not more" in judge(first, second).text
    assert "MORE" in judge([1.0, 1.01], [0.5, 0.51]).text  # below, too


def test_the_final_loss_is_the_mean_of_the_last_quarter_and_of_50_at_most(cli, tmp_path):
    for name, steps in (("a", 40), ("b", 40), ("c", 400), ("d", 400)):
        (tmp_path / name).mkdir()
        rows = [{"step": step, "loss": float(step)} for step in range(1, steps + 1)]
        text = "\n".join(map(json.dumps, rows))
        (tmp_path / name / "metrics.jsonl").write_text(text)
    picture = ("--picture", tmp_path / "p.png")
    short = cli("compare", tmp_path / "a", tmp_path / "b", *picture)
    assert "loss, last 10" in short.out
    assert f"{statistics.fmean(range(31, 41)):.4f}" in short.out
    long = cli("compare", tmp_path / "c", tmp_path / "d", *picture)
    assert "loss, last 50" in long.out
    assert f"{statistics.fmean(range(351, 401)):.4f}" in long.out


def test_figures_of_several_seeds_are_means(cli, tmp_path):
    runs = [write(tmp_path / f"a{seed}", 0.0, seed, peak_memory_gib=seed) for seed in (1, 3)]
    other = write(tmp_path / "b", 0.0, 2)
    words = [f"x={run}" for run in runs] + [other, "--picture", tmp_path / "p.png"]
    (row,) = [line for line in cli("compare", *words).out.splitlines() if line.startswith("x ")]
    assert row.split()[1] == "2"
    assert row.split()[-2:] == ["102", "2.00"]


def write_rows(folder, *rows):
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def row_of(out, label):
    (line,) = [line for line in out.splitlines() if line.startswith(f"{label}  ")]
    return line.split()


def test_a_runs_own_figures(cli, tmp_path):
    """Speed is the median of the steps, memory the largest, validation the last."""
    speeds, memory = (100, 900, 110, 120), (1.0, 3.0, 2.0, 2.5)
    a = write_rows(
        tmp_path / "a",
        *(
            {"step": step, "loss": 2.0, "tokens_per_second": speed, "peak_memory_gib": gib}
            for step, (speed, gib) in enumerate(zip(speeds, memory, strict=True), 1)
        ),
        {"step": 2, "validation_loss": 2.25},
        {"step": 4, "validation_loss": 1.75},
    )
    b = write_rows(tmp_path / "b", *({"step": step, "loss": 2.0} for step in range(1, 5)))
    result = cli("compare", f"a={a}", f"b={b}", "--picture", tmp_path / "p.png")
    assert row_of(result.out, "a")[-4:] == ["2.0000", "1.7500", "115", "3.00"]
    assert row_of(result.out, "b")[-4:] == ["2.0000", "-", "-", "-"]


def test_only_steps_that_all_runs_have_count(cli, tmp_path):
    """A run that went on after a gap, and one that is longer: its last validation is of later."""
    a = write_rows(tmp_path / "a", *({"step": step, "loss": float(step)} for step in (1, 2, 5, 6)))
    b = write_rows(
        tmp_path / "b",
        *({"step": step, "loss": float(step)} for step in range(1, 9)),
        {"step": 8, "validation_loss": 1.5},
    )
    result = cli("compare", f"a={a}", f"b={b}", "--picture", tmp_path / "p.png")
    assert "compared over the 4 steps that all runs have; the longest has 8" in result.out
    assert row_of(result.out, "a")[2:4] == ["6.0000", "-"]
    assert row_of(result.out, "b")[2:4] == ["6.0000", "-"]
    c = write_rows(tmp_path / "c", {"step": 20, "loss": 1.0})
    result = cli("compare", a, c, "--picture", tmp_path / "p.png")
    assert result.status == 1
    assert "the runs have no step in common" in result.err


def test_a_label_for_a_folder_of_runs_is_one_for_each(cli, tmp_path):
    for seed in (1, 2):
        for name in ("bf16", "fp8"):
            write(tmp_path / f"run{seed}" / name, 0.0, seed)
    runs = [f"seeds={tmp_path / f'run{seed}'}" for seed in (1, 2)]
    result = cli("compare", *runs, "--picture", tmp_path / "p.png")
    assert row_of(result.out, "seeds bf16")[2] == row_of(result.out, "seeds fp8")[2] == "2"
    assert "seeds fp8 - seeds bf16: " in result.out


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
        ([f"a={good}", f"a={good / 'metrics.jsonl'}"], "metrics.jsonl is given twice"),
        ([], "at least two runs, got none"),
        ([good, good, "--optimizer.lr", 1], "float8 compare knows no --optimizer.lr"),
    ):
        result = cli("compare", *words)
        assert result.status in (1, 2)
        assert expected in result.err
