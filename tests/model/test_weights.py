"""Which weights of a module are a policy's, by which names, and that a snapshot is a copy."""

from __future__ import annotations

import torch
from torch import nn

from polo.model.weights import digest, restore, snapshot, trainable


class Outer(nn.Module):
    """A policy of one layer that happens to be called as the one inside DDP's wrapper."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(2, 3)
        self.module.bias.requires_grad_(False)


def test_a_layer_called_module_is_no_wrapper() -> None:
    assert list(trainable(Outer())) == ["module.weight"]


def test_law_restoring_a_snapshot_gives_back_the_weights_of_its_time() -> None:
    made = Outer()
    before = made.module.weight.detach().clone()
    kept = snapshot(made)
    with torch.no_grad():
        made.module.weight.add_(1.0)
    assert torch.equal(kept["module.weight"], before)
    restore(made, kept)
    assert torch.equal(made.module.weight, before)


def test_weights_have_a_digest_whatever_their_shape_and_it_tells_shapes_and_types_apart() -> None:
    """A number alone (a temperature), nothing at all, and the same four bytes in three forms."""
    forms = [torch.tensor(0.0), torch.zeros(1), torch.zeros(2, 0), torch.zeros(0, 2), torch.zeros(1, dtype=torch.int32)]
    found = {digest({"w": value}) for value in forms}
    assert len(found) == len(forms)
    assert digest({"w": torch.tensor(1.0)}) != digest({"w": torch.tensor(0.0)})
