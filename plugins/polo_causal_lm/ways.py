"""In which ways a policy scores: engine, tree, compiled layers, each chosen, checked and with its reason."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.check import check_base, check_engine, check_tree
from polo_causal_lm.engines.choose import FEW, choose_engine, choose_tree, slower_engines
from polo_causal_lm.engines.compiled import Compiled
from polo_causal_lm.engines.masks import length_limit
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.options import CausalLMOptions
from polo_causal_lm.text import Encoded


class Ways:
    """The ways that the options ask for and the model allows.

    Args:
        options: of the policy.
        model: what scores.
        max_tokens: longest prompt with title.
        say: told about what is slower than it could be.

    Attributes:
        scorer: the module, with the engine in use.
        engine_reason: why the engine is the one it is, one sentence.
        few: most items of a row that are scored beside one prompt where no gradient is needed.
        tree: whether more than ``few`` are scored as a tree.
        tree_reason: why, or why not, one sentence.
        compiled: layers for passes without gradient, if they are compiled.
    """

    def __init__(
        self, options: CausalLMOptions, model: nn.Module, max_tokens: int, say: Callable[[str], object]
    ) -> None:
        self._model, self._say = model, say
        engine, self.engine_reason = choose_engine(options.engine, model, max_tokens)
        if options.engine == "auto" and engine.name == "naive":
            say(f"warning: using engine `naive`, which is slow: {self.engine_reason}")
        self.tree, self.few, self.tree_reason = choose_tree(options.tree, engine, model)
        self.scorer = CandidateScorer(model, engine)
        self.compiled: Compiled | None = None

    @property
    def engine(self) -> str:
        """Name of the engine in use."""
        return self.scorer.engine.name

    def check(self, encoded: Encoded, dtype: torch.dtype, trained: str) -> None:
        """Base against what every base does, engine and tree against the naive form; what is wrong is not used.

        Args:
            encoded: a few rows.
            dtype: of the model.
            trained: what of it is trained, in words.
        """
        check_base(self.scorer, encoded, dtype, trained)
        if self.engine == "naive":
            return
        problem = check_engine(self.scorer, encoded, dtype, slower_engines(self.scorer.engine, self._model))
        if problem:
            self._say(f"warning: {problem}; using engine `{self.engine}`, which is slower")
            self.engine_reason = problem
            if self.engine == "naive":
                self.tree, self.few, self.tree_reason = False, FEW, problem
        if self.tree and (problem := check_tree(self.scorer, encoded, dtype)):
            self._say(f"warning: {problem}; long lists are scored {FEW} titles at a time, which is slower")
            self.tree_reason = problem
            self.tree, self.few = False, FEW

    def compile(self, encoded: Encoded | None, dtype: torch.dtype) -> None:
        """Compiles layers and checks them; from then on every list is scored as a tree where no gradient is needed."""
        compiled = Compiled(causal_lm(self._model))
        problem = "" if self.tree else f"only a tree is scored with compiled layers, and {self.tree_reason}"
        if encoded is not None and not problem:
            problem = check_tree(self.scorer, encoded, dtype, compiled)
        if problem:
            self._say(f"warning: {problem}; layers are not compiled")
        else:
            self.compiled, self.few = compiled, 0

    def fast_layers(self) -> contextlib.AbstractContextManager[Any]:
        """Inside the block layers are compiled, if they are at all."""
        return contextlib.nullcontext() if self.compiled is None else self.compiled.layers()


def longest_row(config: Any, wished: int, say: Callable[[str], object]) -> int:
    """Most tokens of a prompt with its title: as wished, unless the base has fewer positions or turns long rows' own.

    Args:
        config: text config of the base.
        wished: what the options say.
        say: told why it is less than that.
    """
    limit = min(wished, getattr(config, "max_position_embeddings", None) or wished)
    steady = length_limit(config)
    if steady is None or steady >= limit:
        return limit
    say(
        f"policy.max_tokens is {steady}: in a pass with a longer row the base turns the positions of all rows "
        "otherwise, so that a score would depend on the rows beside it"
    )
    return steady
