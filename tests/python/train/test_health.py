"""`logging.health_every`: lines and metrics about the casts, and nothing else changes."""

from __future__ import annotations

import json

from run_files import losses


def test_every_so_many_steps_of_the_fp8_run(cli, config, tmp_path):
    plain = cli("train", config)
    assert plain.status == 0, plain.err
    assert "FP8 health" not in plain.out
    before = losses(tmp_path / "run", "fp8")
    result = cli("train", config, "--logging.health_every", 2)
    assert result.status == 0, result.err
    lines = [line for line in result.out.splitlines() if "FP8 health" in line]
    assert [line.split()[:3] for line in lines] == [["fp8", "step", str(n)] for n in (2, 4, 6)]
    assert all("worst of 7 layers: input " in line for line in lines)
    rows = {
        name: [json.loads(line) for line in (tmp_path / "run" / name / "metrics.jsonl").open()]
        for name in ("bf16", "fp8")
    }
    assert [row["step"] for row in rows["fp8"] if "fp8_sqnr_grad_output" in row] == [2, 4, 6]
    assert all(15 < row["fp8_sqnr_input"] < 60 for row in rows["fp8"] if "fp8_sqnr_input" in row)
    assert not any("fp8_sqnr_input" in row for row in rows["bf16"])
    assert losses(tmp_path / "run", "fp8") == before
