"""From the host to a device without a wait. Knows tensors and arrays; knows not what they mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def sent(values: Tensor | npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """``values`` on ``device``, with the same type; what is there already stays as it is.

    To a GPU they go through pinned memory and in the order of its work, so that the program goes on at once: a plain
    copy waits until the device has done all that was asked of it before.

    Args:
        values: a tensor on the host or on ``device``, or an array.
        device: where they are wanted.

    Example:
        >>> sent(np.array([3, 4]), torch.device("cpu")).tolist()
        [3, 4]
    """
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(values)
    if device.type != "cuda" or tensor.device.type != "cpu" or not tensor.numel():
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
