"""Prints where Float8Linear comes from in each of this program's spawned workers, or its ranks."""

import multiprocessing
import os


def module(_=None):
    from torchao.float8.float8_linear import Float8Linear

    return Float8Linear.__module__


def main():
    if "RANK" in os.environ:
        print(module(), flush=True)
        return
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(*pool.map(module, [None]), flush=True)


if __name__ == "__main__":
    main()
