"""Several processes work as one: rank, sums and synchronisation.

`accelerate launch --num_processes N -m train fit ...` starts N equal processes. Each computes its
share of every batch, and the gradients are averaged; of `prepare` each encodes a part of the
corpus. With one process everything here is the identity.
"""

from datetime import timedelta

import torch
from torch import Tensor, distributed


def join(device: str, patience: timedelta | None = None) -> str:
    """Joins the process group of the launcher; returns the device of this process.

    `patience`: for how long one process waits for the others; None: as long as PyTorch's default.
    """
    from accelerate import PartialState

    options = {} if patience is None else {"timeout": patience}
    state = PartialState(cpu=device == "cpu", **options)  # reads the launcher's environment
    alone = state.num_processes == 1
    return device if alone or device == "cpu" else str(state.device)


def leave() -> None:
    """Leaves the process group when all processes have finished."""
    if count() > 1:
        distributed.barrier()
        distributed.destroy_process_group()


def count() -> int:
    """How many processes there are."""
    there = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if there else 1


def rank() -> int:
    """Number of this process, 0 to count - 1."""
    return distributed.get_rank() if count() > 1 else 0


def is_first() -> bool:
    """Whether this process writes files and prints."""
    return rank() == 0


def wait() -> None:
    """Blocks until every process has called it."""
    if count() > 1:
        distributed.barrier()


def total(values: Tensor) -> Tensor:
    """The sum over all processes, the same for each."""
    return _together(values, distributed.ReduceOp.SUM) if count() > 1 else values


def share(weight: float, device: torch.device) -> Tensor | float:
    """Factor of a mean over this process's part, so that the average over the processes is the mean
    over all parts: processes have answers of different lengths."""
    if count() == 1:
        return 1.0
    return count() * weight / total(torch.tensor(weight, dtype=torch.float32, device=device))


def mean_square(tokens: Tensor) -> Tensor:
    """Of padded tokens [B, N, H], as if those of all processes lay in one batch."""
    squares = tokens.detach().square()
    if count() == 1:
        return squares.mean()
    rows, longest, width = tokens.shape
    most = _together(torch.tensor(float(longest), device=tokens.device), distributed.ReduceOp.MAX)
    sums = total(torch.stack([squares.sum().float(), squares.new_tensor(float(rows)).float()]))
    return sums[0] / (sums[1] * most * width)


def agreed(first: bool, device: torch.device) -> bool:
    """The value of the first process, for all of them."""
    return bool(total(torch.tensor(float(first and is_first()), device=device)) > 0)


def _together(values: Tensor, how: "distributed.ReduceOp.RedOpType") -> Tensor:
    reduced = values.detach().clone()
    distributed.all_reduce(reduced, how)
    return reduced
