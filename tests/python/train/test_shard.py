"""What each of two processes holds and sends; the processes' own work is in shard_worker.py."""

from __future__ import annotations

import socket

import shard_worker
import torch
from torch import multiprocessing

from float8.train.config.settings import load_settings
from float8.train.model import build_model, read_model_config


def test_two_processes_hold_and_send_what_they_should(config, tmp_path):
    settings = load_settings(str(config), [("rng.seed", "3")])
    model = build_model(settings, read_model_config(settings), torch.device("cpu"))
    model.save_pretrained(tmp_path / "model", max_shard_size="20kB")
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 1
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        (tmp_path / "port").write_text(str(free.getsockname()[1]))
    multiprocessing.spawn(shard_worker.work, (str(tmp_path),), nprocs=2)
