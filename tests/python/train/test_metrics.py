"""What a run writes down about itself, read back by TensorBoard's own reader."""

from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from float8.train.metrics import MetricsLog, read_metrics


def test_tensorboard_shows_the_rows_and_forgets_steps_that_are_taken_again(tmp_path):
    settings = SimpleNamespace(output_dir=tmp_path, wandb=None)
    job = SimpleNamespace(ranks=SimpleNamespace(main=True), settings=settings)
    with MetricsLog(job, "fp8", 0) as log:
        for step in (1, 2, 3):
            log.add(step, loss=4.0 - step, lr=0.1)
    # As after a kill: two steps were checkpointed, the third is taken again, otherwise.
    with MetricsLog(job, "fp8", 2) as log:
        log.add(3, loss=0.5, lr=0.2)
        log.add(4, loss=0.25, lr=0.2)
    rows = read_metrics(tmp_path, "fp8")
    assert [row["loss"] for row in rows] == [3.0, 2.0, 0.5, 0.25]
    board = EventAccumulator(str(tmp_path / "tensorboard" / "fp8"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"loss", "lr"}
    for name in ("loss", "lr"):
        shown = [(event.step, event.value) for event in board.Scalars(name)]
        assert shown == [(row["step"], pytest.approx(row[name])) for row in rows]


def test_a_line_that_was_cut_short_is_left_out(tmp_path):
    path = tmp_path / "fp8" / "metrics.jsonl"
    path.parent.mkdir()
    path.write_text('{"step": 1}\n{"step": 2}\n{"ste')
    assert read_metrics(tmp_path, "fp8") == [{"step": 1}, {"step": 2}]
