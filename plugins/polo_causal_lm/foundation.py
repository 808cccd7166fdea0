"""The base that a policy stands on: where its files lie, which bytes they are, how others call it. Knows no model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from polo import Context, InputError, NamedBase
from polo_causal_lm.bases import Hub, TemplateAware
from polo_causal_lm.folders import folder_hash, keep
from polo_causal_lm.loading import check_code, check_folder
from polo_causal_lm.options import CausalLMOptions, HubOptions
from polo_causal_lm.template import Template


class Foundation:
    """A base as a folder: that which the options name, or the one that a run keeps.

    Args:
        options: name the base.
        context: may name a folder in which a run keeps a base that was made.
        template: what a base that is made for prompts is made for.

    Attributes:
        path: the folder.
        hash: sha256 of config, weights, tokenizer and code.
        public: the id by which anybody may have it; empty for a folder, and for a base that was made.
        runs: what of it runs code of its own (``model``, ``tokenizer``), which the options trust.

    Raises:
        InputError: there is no such base; or it needs code of its own, which is not trusted; or the one that the run
            keeps is another than it began with.
    """

    def __init__(self, options: CausalLMOptions, context: Context, template: Template) -> None:
        base = chosen_base(options, context)
        if isinstance(base, TemplateAware):
            base.prepare(template)
        self._name = base.name if isinstance(base, NamedBase) else None
        self.public = "" if self._name is None or Path(self._name).is_absolute() else self._name
        kept = context.kept if self._name is None else None
        self.path: Path = base.path() if kept is None else kept
        check_folder(self.path)
        self.runs = check_code(self.path, trusted=options.trust_remote_code)
        if self.runs:
            context.say(
                f"warning: the {' and '.join(self.runs)} of {self.path} is code that comes with it, and is run as it "
                "stands, because the recipe says policy.trust_remote_code: true"
            )
        self.hash = folder_hash(self.path, context.cache)
        if kept is not None and context.kept_hash not in ("", self.hash):
            raise InputError(
                f"the base model that this run keeps is not the one that it began with: sha256 {context.kept_hash} "
                f"then, {self.hash} now",
                where=str(kept),
                fix="restore it, or start a new run",
            )
        self._kept: Path | None = kept

    def keep(self, folder: Path) -> None:
        """A base that was made is put into ``folder``, and is called by it; others stay where they are."""
        if self._name is None:
            keep(self.path, folder)
            self._kept = folder

    @property
    def made(self) -> bool:
        """Whether nobody could have it by name."""
        return self._name is None

    def called_in(self, folder: Path) -> str:
        """How files in ``folder`` call the base: by its name, or a kept one relative to ``folder``."""
        if self._kept is not None:
            return os.path.relpath(self._kept.resolve(), folder.resolve())
        return self._name or str(self.path)


def chosen_base(options: CausalLMOptions, context: Context) -> Any:
    """The base component that the options name; text is a hub id or a folder."""
    chosen = options.base
    base = Hub(HubOptions(id=chosen), context) if isinstance(chosen, str) else context.build(chosen)
    if options.trust_remote_code and isinstance(base, Hub):
        base.trust()
    return base
