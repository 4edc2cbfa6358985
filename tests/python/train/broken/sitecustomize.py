"""Python runs this at its start: the code in FLOAT8_TEST_BEFORE, in the workers of a command."""

import os

if "RANK" in os.environ:
    exec(os.environ["FLOAT8_TEST_BEFORE"])
