"""Every embedding policy, built on made-up rows."""

from __future__ import annotations

from typing import Any

import torch

from polo import Splits
from polo.testing import context, small_splits
from polo_backbones.gru4rec import GRU4Rec
from polo_backbones.lightgcn import LightGCN, LightGCNNet
from polo_backbones.mf import MF
from polo_backbones.options import GRU4RecOptions, LightGCNOptions, MFOptions, SASRecOptions, XSimGCLOptions
from polo_backbones.sasrec import SASRec
from polo_backbones.vectors import VectorPolicy
from polo_backbones.xsimgcl import XSimGCL

POLICIES: dict[str, tuple[type[Any], type[Any]]] = {
    "mf": (MF, MFOptions),
    "lightgcn": (LightGCN, LightGCNOptions),
    "sasrec": (SASRec, SASRecOptions),
    "gru4rec": (GRU4Rec, GRU4RecOptions),
    "xsimgcl": (XSimGCL, XSimGCLOptions),
}
SEQUENTIAL = ("sasrec", "gru4rec")
SPLITS = small_splits()


def made(name: str, splits: Splits = SPLITS, seed: int = 0, **options: Any) -> VectorPolicy:
    """The policy in evaluation mode, narrow, in float64."""
    build, of = POLICIES[name]
    policy: VectorPolicy = build(of(**{"dim": 8, **options}), context(splits=splits, seed=seed))
    policy.net.to(torch.float64).eval()
    if isinstance(policy.net, LightGCNNet):
        policy.net.graph = policy.net.graph.double()
    return policy


def lists(rows: int, n: int, items: int = 60, seed: int = 0) -> torch.Tensor:
    """``[rows, n]`` different items."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(items, generator=generator)[:n] for _ in range(rows)])
