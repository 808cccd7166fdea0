"""From where torch's own random numbers go on, such as those of dropout. Knows devices; no model."""

from __future__ import annotations

import torch


def seed_device(seed: int, device: torch.device) -> None:
    """``torch.manual_seed(seed)`` as far as what is computed on ``device`` can tell.

    Where that is a CPU only its generator is seeded: torch keeps a note, with a stack trace, for every other kind of
    device that has not been started, which costs more than a small model's step.

    Example:
        >>> seed_device(3, torch.device("cpu"))
        >>> one = torch.rand(2)
        >>> bool((one == torch.rand(2, generator=torch.Generator().manual_seed(3))).all())
        True
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
