"""Device time of candidates that take turns, by CUDA events; in a rehearsal, the host's time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from harness import Timings, alternate

Candidates = Mapping[str, Callable[[], object]]

FEWEST_ROUNDS = 7
MOST_ROUNDS = 60
WARMUP = 2
COPY_SECONDS = 0.05
COPIED_ELEMENTS = 2**27
FLUSH_BYTES = 2**28  # several times the L2 of any GPU with FP8


class Device:
    """Where a benchmark runs: the GPU, or the CPU in a rehearsal, whose times mean nothing."""

    def __init__(self, rehearsal: bool) -> None:
        self.rehearsal = rehearsal
        self.name = "cpu" if rehearsal else "cuda"
        self._flushed = torch.ones(FLUSH_BYTES // 4, device=self.name) if not rehearsal else None

    def synchronize(self) -> None:
        """Waits for the GPU."""
        if not self.rehearsal:
            torch.cuda.synchronize()

    def free_bytes(self) -> int:
        """Memory that can still be had, torch's own unused blocks included."""
        if self.rehearsal:
            return 2**33
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info()[0])

    def flush(self) -> None:
        """Fills the L2 with another buffer, by reading: what is left there need not be written."""
        if self._flushed is not None:
            self._flushed.max()

    def alternate(self, candidates: Candidates, seconds: float, flush: bool = True) -> Timings:
        """Times the candidates in turn, A B C A B C ..., for about so many seconds in all."""
        if self.rehearsal:
            return alternate(candidates, rounds=2)
        for _ in range(WARMUP):
            for run in candidates.values():
                run()
        trial = self._rounds(candidates, 3, flush)
        one_round = sum(trial[name].median for name in candidates)
        rounds = int(seconds / max(one_round, 1e-9))
        return self._rounds(candidates, min(max(rounds, FEWEST_ROUNDS), MOST_ROUNDS), flush)

    def _rounds(self, candidates: Candidates, rounds: int, flush: bool) -> Timings:
        # Events are read at the end: a wait in between would let the GPU run dry.
        pairs: dict[str, list[tuple[torch.cuda.Event, torch.cuda.Event]]] = {}
        for _ in range(rounds):
            for name, run in candidates.items():
                if flush:
                    self.flush()
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                begin.record()
                run()
                end.record()
                pairs.setdefault(name, []).append((begin, end))
        torch.cuda.synchronize()
        return Timings(
            {
                name: [begin.elapsed_time(end) / 1e3 for begin, end in own]
                for name, own in pairs.items()
            }
        )


def copy_bandwidth(device: Device) -> float:
    """Bytes per second that a copy reads and writes."""
    x = torch.ones(2**10 if device.rehearsal else COPIED_ELEMENTS, device=device.name)
    target = torch.empty_like(x)
    times = device.alternate({"copy": lambda: target.copy_(x)}, COPY_SECONDS)
    return 2 * x.numel() * x.element_size() / times["copy"].median
