"""A hub that cannot be reached is found at once, and what it left here is used without it."""

from __future__ import annotations

import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
from huggingface_hub import constants
from tiny_tokenizer import save_tokenizer

from float8.config import ConfigError
from float8.train.config.settings import load_settings
from float8.train.hub import is_hub_name, without_hub
from float8.train.model import build_model, read_model_config
from float8.train.pretrained import pretrained_folder

NAME = "someone/some-model"
NOBODY = "http://127.0.0.1:9"  # the port of a service that throws away what it gets; refused


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Points the hub's clients to a place, and puts back what a run turns off."""

    def at(endpoint: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_HUB_OFFLINE", "")

    return at


@pytest.fixture
def no_second_try(monkeypatch):
    """Fails a test whose clients wait before they try again."""
    import huggingface_hub.utils._http as client

    def sleep(seconds: float) -> None:
        raise AssertionError(f"waits {seconds} s to try again")

    monkeypatch.setattr(client.time, "sleep", sleep)


@pytest.fixture
def server():
    """A hub that answers, and knows nothing."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    served = http.server.HTTPServer(("127.0.0.1", 0), Nothing)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


def words(config_key: str = "model") -> list[str]:
    """The tiny configuration with one name of the hub in it."""
    if config_key == "model":
        model = f"{{pretrained_model_name_or_path: {NAME}}}"
        return ["--model", model, "--dataset.tokenizer", "bytes"]
    if config_key == "tokenizer":
        return ["--dataset.tokenizer", NAME]
    return ["--dataset", f"{{path_or_dataset: {NAME}}}"]


@pytest.mark.parametrize("command", ["train", "plan"])
def test_a_model_of_a_hub_that_cannot_be_reached(cli, config, hub, no_second_try, command):
    hub(NOBODY)
    result = cli(command, config, *words())
    assert result.status == 2
    assert result.out.startswith(f"the hub cannot be reached ({NOBODY}: ")
    assert "model.pretrained_model_name_or_path: expected a local folder" in result.err
    assert "`hf download NAME --local-dir FOLDER`" in result.err
    assert result.err.count("\n") == 1
    assert os.environ["HF_HUB_OFFLINE"] == "1"  # for processes, and packages not imported yet


def test_a_tokenizer_and_a_data_set_of_it(cli, config, hub, no_second_try):
    hub(NOBODY)
    result = cli("train", config, *words("tokenizer"))
    assert result.status == 2
    assert "dataset.tokenizer: expected a local folder with a tokenizer" in result.err
    assert result.err.count("\n") == 1
    hub(NOBODY)
    result = cli("train", config, *words("data"))
    assert result.status == 2
    assert "dataset.path_or_dataset: expected " in result.err
    assert "a folder with train.jsonl and validation.jsonl" in result.err


def settings_of(config: Path, *keys: tuple[str, str]):
    return load_settings(str(config), keys)


def test_nobody_is_asked_where_all_is_local(config, hub, tmp_path, monkeypatch):
    hub(NOBODY)
    save_tokenizer(tmp_path / "tokenizer")
    settings = settings_of(config, ("dataset.tokenizer", str(tmp_path / "tokenizer")))
    assert without_hub(settings) == ""
    assert not constants.HF_HUB_OFFLINE
    # A plan reads no data.
    settings = settings_of(config, ("dataset", f"{{path_or_dataset: {NAME}}}"))
    assert without_hub(settings, data=False) == ""
    assert without_hub(settings) != ""


def test_a_hub_that_answers_is_used(config, hub, server):
    hub(server)
    settings = settings_of(config, ("dataset.tokenizer", NAME))
    assert without_hub(settings) == ""
    assert not constants.HF_HUB_OFFLINE


def test_a_kept_copy_is_used_without_the_hub(config, hub, no_second_try, tmp_path):
    hub(NOBODY)
    kept = tmp_path / "hub" / f"models--{NAME.replace('/', '--')}"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0" * 40)
    made = build_model(settings_of(config), read_model_config(settings_of(config)), "cpu")
    made.save_pretrained(kept / "snapshots" / ("0" * 40))
    settings = settings_of(
        config,
        ("model", f"{{_target_: transformers.AutoModelForCausalLM.from_pretrained, "
         f"pretrained_model_name_or_path: {NAME}}}"),
    )  # fmt: skip
    assert "only copies that it left here are used" in without_hub(settings)
    loaded = build_model(settings, read_model_config(settings), "cpu")
    assert (loaded.lm_head.weight == made.lm_head.weight).all()
    assert pretrained_folder(settings) == kept / "snapshots" / ("0" * 40)  # as ranks read shards
    shutil.rmtree(kept)
    with pytest.raises(ConfigError, match="pretrained_model_name_or_path: expected a local folder"):
        pretrained_folder(settings)


@pytest.mark.parametrize(
    ("name", "of_the_hub"),
    [
        ("gpt2", True),
        (NAME, True),
        ("./model", False),
        ("~/model", False),
        ("/no/such/model", False),
        ("runs/a/checkpoints", False),
        ("rows.jsonl", False),
        ("tests", True),  # as long as nothing here is called so
        (None, False),
    ],
)
def test_names_of_the_hub(name, of_the_hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_hub_name(name) == of_the_hub
    if name == "tests":
        (tmp_path / name).mkdir()
        assert not is_hub_name(name)


def test_a_missing_folder_is_not_looked_for_on_the_hub(cli, config, hub, no_second_try):
    hub(NOBODY)
    result = cli("train", config, "--model", "{pretrained_model_name_or_path: ./model}")
    assert result.status == 2
    assert "`./model` (no such folder)" in result.err
    assert "the hub cannot be reached" not in result.out
