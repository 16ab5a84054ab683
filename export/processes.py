"""The processes that train one network together: which of them this is, and sums over all. One alone where nothing was started.

Lightning starts them (`--devices 2`: the same command again, once a graphics card or, without cards, once a process). Each draws the
same batches and takes its share; what is said of a batch is said of the whole of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def place() -> tuple[int, int]:
    """Return the number of this process, from 0, and how many there are."""
    return (distributed.get_rank(), distributed.get_world_size()) if _several() else (0, 1)


def total(values: Tensor, device: torch.device | str | None = None) -> Tensor:
    """Return the sum of a tensor over all processes, each of which must call this; on a device that their network lies on."""
    if not _several():
        return values
    summed = values.detach().to(device or values.device, copy=True)
    distributed.all_reduce(summed)
    return summed


def _several() -> bool:
    return bool(distributed.is_available() and distributed.is_initialized())
