"""Configuration files that several tests read."""

from float8.config import load_config

GUIDE = """\
compile:
  enabled: true
  mode: "default"        # default | reduce-overhead | max-autotune | max-autotune-no-cudagraphs
  fullgraph: false
  dynamic: false
  backend: null          # null = inductor
fp8:
  enabled: true
  recipe_name: tensorwise
  enable_fsdp_float8_all_gather: true
  precompute_float8_dynamic_scale_for_fsdp: true
  force_recompute_fp8_weight_in_bwd: true
  filter_fqns: ["lm_head"]
  emulate: false
"""

DOCUMENT = """\
optimizer:
  lr: 1e-5
  betas: [0.9, .999]
  eps: 1.e-8
  zero: -0
  hex: 0x1F
  octal: 0o17
  infinite: -.inf
  nan: .nan
  quoted: "1e-5"
  yes: yes
  date: 2024-01-01
  version: 1.2.3
  nothing: ~
  tagged: !!str 12
  7: seven
  flow: {a: &x [1, {b: TRUE}], c: *x}
  text: |
    two
    lines
"""


class ConfigFile:
    """A file whose text each load replaces."""

    def __init__(self, path):
        self.path = path

    def load(self, text, *overrides):
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(self.path, overrides)
