"""Which programs run: each client in one and two processes, with BF16, torchao's and our layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rule import Expected

HERE = Path(__file__).resolve().parent
CLIENTS = HERE.parents[1] / "build" / "clients"
BIN = CLIENTS / "env" / "bin"

SEEDS = list(range(1, 9))
STEPS = 30
LAST = 10  # steps that a final loss is the mean of
GATHER = (
    "--fp8.enable_fsdp_float8_all_gather=true",
    "--fp8.precompute_float8_dynamic_scale_for_fsdp=true",
)


@dataclass(frozen=True)
class Setting:
    """A client in some processes with a recipe: three programs that differ in the layers."""

    client: str
    processes: int
    recipe: str
    expected: Expected
    words: tuple[str, ...] = ()  # beside AutoModel's configuration

    def name(self, layers: str) -> str:
        """The program's name, and its results' file. BF16's is one for all recipes."""
        recipe = "" if layers == "bf16" else f"-{self.recipe.replace(' ', '-')}"
        return f"{self.client}-{self.processes}{recipe}-{layers}"

    def command(self, layers: str) -> list[str]:
        """The program's command line, for layers bf16, torchao or ours."""
        seeds = ",".join(map(str, SEEDS))
        if self.client == "accelerate":
            precision = "bf16" if layers == "bf16" else "fp8"
            program = [HERE / "accelerate_fp8.py", precision, seeds, STEPS]
        else:
            words = ("--fp8.enabled=false",) if layers == "bf16" else self.words
            program = [HERE / "automodel.py", HERE / "automodel.yaml", "models", seeds, *words]
        ours = [BIN / "python", "-m", "float8.as_torchao", "--"] if layers == "ours" else []
        many = [BIN / "torchrun", "--standalone", "--nproc-per-node", self.processes]
        start = [BIN / "python"] if self.processes == 1 else many
        return [str(word) for word in (*ours, *start, *program)]


def accelerate(processes: int) -> Setting:
    """Its filter leaves out the first and the last linear layer. A step is a batch on each rank."""
    expected = Expected(STEPS, 13, 13 * 3, processes)
    return Setting("accelerate", processes, "tensorwise", expected)


def automodel(processes: int, recipe: str, *words: str, precomputed: int = 0) -> Setting:
    """All layers but lm_head. A step is two microbatches, one of them on each of two ranks."""
    products = 14 * 3 * (2 if processes == 1 else 1)
    expected = Expected(STEPS, 14, products, processes, precomputed)
    return Setting("automodel", processes, recipe, expected, words)


SETTINGS = (
    accelerate(1),
    accelerate(2),
    automodel(1, "tensorwise"),
    automodel(1, "rowwise", "--fp8.recipe_name=rowwise"),
    automodel(2, "tensorwise"),
    automodel(2, "rowwise", "--fp8.recipe_name=rowwise"),
    automodel(2, "tensorwise all-gather", *GATHER, precomputed=STEPS),
)
