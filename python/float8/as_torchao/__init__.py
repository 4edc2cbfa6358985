"""Runs a program that imports torchao.float8 with float8 behind those names.

    python -m float8.as_torchao -- torchrun --nproc-per-node 2 train.py
    python -m float8.as_torchao train.py --lr 1e-3

The command and its child processes are started with a folder on PYTHONPATH whose sitecustomize.py
hooks the import. Nothing is installed or changed on disk.
"""
