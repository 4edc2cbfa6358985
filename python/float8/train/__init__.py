"""The training command; see README.md in this folder for how it is built.

Nothing is imported here: `float8 --help` must not wait for transformers.
"""
