"""A step of many simulated ranks holds and sends what `float8 plan` says, to the byte."""

import many_hosts
import pytest
from tables import many_hosts as table

from float8.train.estimate import Layout

#: 80 rows and 48: no number of shards below divides both; 512 leave most ranks without any.
TINY = many_hosts.LLAMA_8B | {
    "vocab_size": 272,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
}
LAYERS = 2 * 7  # converted ones


@pytest.mark.parametrize(
    "layout", [Layout(8), Layout(8, 8), Layout(8, 64), Layout(8, 64, replicas=64)], ids=str
)
def test_a_step_is_as_planned(layout):
    settings = many_hosts.settings_of(TINY, layout)
    runs = {}
    for fp8 in (False, True):
        found = vars(many_hosts.simulate(settings, layout, fp8))
        plan = many_hosts.predicted(settings, layout, fp8)
        assert {name: found[name] for name in plan} == plan
        runs[fp8] = found
    plain, gathered = runs[False], runs[True]
    # The scales add one all-reduce, and a block travels in half of its bytes but for the norms.
    replicas = plain["calls"].get("all_reduce", 0)
    assert replicas == (3 if layout.replicas > 1 else 0)  # two blocks and the rest
    assert gathered["calls"]["all_reduce"] == replicas + 1
    assert gathered["all_gather"] < plain["all_gather"]
    for name in ("weights", "reduce_scatter", "all_reduce"):
        assert gathered[name] == plain[name]


def test_the_scales_are_one_message_of_four_bytes_a_layer(monkeypatch):
    wires = []

    class Kept(many_hosts.Wire):
        def __init__(self):
            super().__init__()
            wires.append(self)

    monkeypatch.setattr(many_hosts, "Wire", Kept)
    layout = Layout(8, 64)
    many_hosts.simulate(many_hosts.settings_of(TINY, layout), layout, fp8=True)
    assert wires[0].scales == 4 * LAYERS == wires[0].bytes["all_reduce"]


def test_the_table_has_gigabytes():
    count = {"weights": 2e9, "all_gather": 3e9, "reduce_scatter": 4e9, "all_reduce": 5e8}
    record = {"subject": {"ranks": 512, "replicas": 64, "run": "fp8"}, "bytes": count}
    assert table([record])[1] == ["512", "64 x 8", "fp8", "8.00", "3.00", "4.00", "0.50", "7.50"]
