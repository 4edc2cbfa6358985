"""Inductor keeps code by graph, and its key lacks what our operators say of their results."""

import pytest
import torch._inductor.config as inductor


@pytest.fixture(autouse=True)
def _no_kept_code():
    with inductor.patch(force_disable_caches=True):
        yield
