"""Weights spread over two processes (FSDP2, gloo on a CPU) against one, on a policy that can be checked by hand.

Both processes compute everything first; the tests then look at what each of them found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn

from polo.model.passes import score_in_passes
from polo.model.reference import Reference, ScoreCache
from polo.model.sharding import agreed, blocks, clip, is_sharded, like, spread, unsharded, whole
from polo.model.weights import digest, restore, snapshot, trainable, under
from polo.train import checkpoint
from polo.train.objective import Objective
from polo.train.step import Stepper
from tests.processes import together
from tests.toy_objective import Centred, FirstK, Pairs
from tests.toy_policy import ToyPolicy, toy_rows

WORLD = 2
HEADS = {"row-wise": Pairs(), "whole batch": Centred()}
#: 1: a process without a row; 7: unlike numbers of rows and, at 30 tokens a pass, of passes
SIZES = (1, 7)


class Regularised(ToyPolicy):
    """Adds the sum of squares of the item vectors, which is computed outside of any forward."""

    def extra_loss(self, rows: Any, items: Tensor) -> dict[str, Tensor]:
        total = sum((p.pow(2).sum() for p in self.module.parameters()), torch.zeros((), dtype=torch.float64))
        return {"l2": total}


def rows_of(size: int) -> Any:
    """Rows that have negatives (those whose number is divisible by 3 have none)."""
    rows = toy_rows(24)
    return rows[rows.id % 3 != 0][:size]


def gradient(policy: ToyPolicy, head: str, size: int) -> dict[str, Tensor]:
    """Of one batch, with a reference that has other weights than the policy."""
    frozen = {name: value * 1.5 for name, value in snapshot(policy.module).items()}
    reference = Reference(policy, frozen, ScoreCache(None, {}, print), 30)
    objective = Objective(loss=HEADS[head], sampler=FirstK(), beta=None, reference=reference)
    Stepper(policy, objective, Accelerator(cpu=True), 30, (0, "test")).backward(rows_of(size), 0, 0, 0.0)
    found = {n.removeprefix("module."): whole(p.grad).clone() for n, p in policy.module.named_parameters()}
    policy.module.zero_grad()
    return found


def scores(policy: ToyPolicy) -> Tensor:
    rows = toy_rows(5)
    return score_in_passes(policy, rows, torch.arange(8).expand(5, 8), 30).detach()


def trained(policy: ToyPolicy) -> tuple[torch.optim.Optimizer, float]:
    """After one step of AdamW on clipped gradients; with the norm that they had."""
    parameters = list(trainable(policy.module).values())
    optimizer = torch.optim.AdamW(parameters, lr=0.1)
    scores_ = score_in_passes(policy, toy_rows(5), torch.arange(8).expand(5, 8), 30)
    scores_[:, 0].sum().backward()
    norm = clip(parameters, 0.5)
    optimizer.step()
    return optimizer, norm


def whole_weights(policy: ToyPolicy) -> dict[str, Tensor]:
    return {name: whole(p.detach()).clone() for name, p in trainable(policy.module).items()}


def moments(policy: ToyPolicy, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = [(f"{n}|{k}", v) for n, p in trainable(policy.module).items() for k, v in optimizer.state[p].items()]
    return {key: whole(value).clone() for key, value in state}


def facts(make: Any, folder: Path, writes: bool = True) -> dict[str, Any]:
    """Everything that is compared; ``make(kind)`` gives a policy, ready for the processes at hand."""
    found: dict[str, Any] = {
        f"{head}, {size}": gradient(make(ToyPolicy()), head, size) for head in HEADS for size in SIZES
    }
    found["extra"] = gradient(make(Regularised()), "row-wise", 7)
    policy = make(ToyPolicy())
    found["digest"], before = digest(snapshot(policy.module)), snapshot(policy.module)
    found["scores"] = scores(policy)
    with under(policy.module, {name: value * 2 for name, value in before.items()}):
        found["scores of others"] = scores(policy)
    found["scores again"] = scores(policy)
    optimizer, found["norm"] = trained(policy)
    found["weights"], found["moments"] = whole_weights(policy), moments(policy, optimizer)
    progress = checkpoint.Progress(step=3, best_value=0.5, best=before)
    checkpoint.save(folder / "stage-3", policy, optimizer, [], progress, writes=writes)
    restore(policy.module, before)
    found["restored"] = digest(snapshot(policy.module))
    if dist.is_initialized():
        dist.barrier()
    read = checkpoint.load(folder / "stage-3", policy, optimizer, [])
    found["read weights"], found["read moments"] = whole_weights(policy), moments(policy, optimizer)
    restore(policy.module, read.best)
    found["best"] = digest(snapshot(policy.module))
    return found


def every_form(accelerator: Accelerator, folder: Path) -> dict[str, Any]:
    rank = accelerator.process_index
    results: dict[str, Any] = {}
    for form, shard in (("sharded", True), ("ddp", False)):

        def make(policy: ToyPolicy, shard: bool = shard) -> ToyPolicy:
            policy.module = spread(policy.module, accelerator, shard=shard)
            return policy

        place = folder / form
        place.mkdir(exist_ok=True)
        results[form] = facts(make, place, writes=rank == 0)
    policy = ToyPolicy()
    policy.module = spread(policy.module, accelerator, shard=True)
    results["agreed"] = agreed(policy.module, 5 + rank)
    results["own part"] = [p.to_local().numel() for p in trainable(policy.module).values()]
    return results


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharding")
    together(every_form, folder, WORLD)
    return folder


@pytest.fixture(scope="module")
def found(place: Path) -> list[dict[str, Any]]:
    return [torch.load(place / f"{rank}.pt") for rank in range(WORLD)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One process."""
    return facts(lambda policy: policy, tmp_path_factory.mktemp("one"))


@pytest.mark.parametrize("form", ["sharded", "ddp"])
@pytest.mark.parametrize(
    "what", [*(f"{head}, {size}" for head in HEADS for size in SIZES), "weights", "moments", "read weights"]
)
def test_processes_compute_what_one_computes(
    found: list[dict[str, Any]], expected: dict[str, Any], form: str, what: str
) -> None:
    """Also where a process has no row of the batch, or fewer passes than the other."""
    for one in found:
        assert list(one[form][what]) == list(expected[what])
        torch.testing.assert_close(one[form][what], expected[what], rtol=1e-11, atol=1e-13)


def test_a_loss_of_the_weights_themselves_counts_once(found: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    for one in found:
        torch.testing.assert_close(one["sharded"]["extra"], expected["extra"], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("what", ["scores", "scores of others", "scores again", "norm"])
def test_exchanged_weights_are_those_that_sharded_forwards_gather(
    found: list[dict[str, Any]], expected: dict[str, Any], what: str
) -> None:
    assert not torch.allclose(expected["scores"], expected["scores of others"])
    for one in found:
        torch.testing.assert_close(one["sharded"][what], expected[what], rtol=1e-11, atol=1e-13)


def test_digests_are_of_whole_weights(found: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    """The reference cache and shared stages are found however the weights are spread."""
    for one in found:
        assert one["sharded"]["digest"] == expected["digest"]
        assert one["sharded"]["restored"] == one["sharded"]["best"] == expected["digest"]


def test_a_checkpoint_gives_back_what_was_written_and_one_process_reads_it_too(
    found: list[dict[str, Any]], place: Path
) -> None:
    own = found[0]["sharded"]
    torch.testing.assert_close(own["read weights"], own["weights"], rtol=0, atol=0)
    torch.testing.assert_close(own["read moments"], own["moments"], rtol=0, atol=0)
    policy = ToyPolicy()
    optimizer = torch.optim.AdamW(policy.module.parameters())
    progress = checkpoint.load(place / "sharded" / "stage-3", policy, optimizer, [])
    assert (progress.step, progress.best_value) == (3, 0.5)
    torch.testing.assert_close(whole_weights(policy), own["weights"], rtol=0, atol=0)
    torch.testing.assert_close(moments(policy, optimizer), own["moments"], rtol=0, atol=0)


def test_each_process_holds_a_part_and_all_agree_on_the_largest_number(found: list[dict[str, Any]]) -> None:
    sizes = [p.numel() for p in ToyPolicy().module.parameters()]
    assert [sum(parts) for parts in zip(*(one["own part"] for one in found), strict=True)] == sizes
    assert all(max(one["own part"]) < max(sizes) for one in found)
    assert [one["agreed"] for one in found] == [6, 6]


def test_nothing_is_done_to_a_module_that_is_not_sharded() -> None:
    module = nn.Linear(2, 2)
    weight = module.weight
    with unsharded(module):
        assert module.weight is weight
    assert not is_sharded(module)
    assert agreed(module, 4) == 4
    assert like(weight, weight) is weight


def test_blocks_are_the_members_of_the_outermost_lists_that_hold_weights() -> None:
    layers = nn.ModuleList([nn.Linear(1, 1), nn.Sequential(nn.ModuleList([nn.Linear(1, 1)])), nn.Dropout()])
    assert blocks(nn.ModuleDict({"body": nn.Sequential(layers), "head": nn.Linear(1, 1)})) == [layers[0], layers[1]]
