"""The words of a prompt. Knows strings and titles; knows no tokens and no torch.

A prompt is a list that the completion goes on with::

    HEADER
    - first title
    - second title
    -

so that `` " " + title`` completes it, and a document of many titles holds one such prompt before each of them. That is
what lets a small model be trained on whole sequences in the very format in which it is asked later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Template:
    """The fixed words around titles.

    Args:
        header: the line before the history.
        candidates_header: the line before the candidates, where they are shown.
        show_candidates: whether candidates are part of the prompt.

    Example:
        >>> print(Template(header="Played:").prompt(["Abba", "Queen"]))
        Played:
        - Abba
        - Queen
        -
        >>> Template(header="H", candidates_header="C", show_candidates=True).prompt(["a"], ["x", "y"])
        'C\\n* x\\n* y\\nH\\n- a\\n-'
    """

    header: str = "Titles in the order in which one person chose them:"
    candidates_header: str = "The last title of the list below is one of these:"
    show_candidates: bool = False

    #: stands before each title of the history; the prompt ends in it
    BULLET = "\n-"
    #: stands before each candidate
    MARK = "\n*"

    @property
    def separators(self) -> tuple[str, ...]:
        """What stands between words and titles; a tokenizer that keeps these apart reads every title in one way."""
        return (self.BULLET, self.MARK, "\n")

    @property
    def words(self) -> tuple[str, ...]:
        """The fixed lines that prompts of this template contain."""
        return (self.candidates_header, self.header) if self.show_candidates else (self.header,)

    def title(self, title: str) -> str:
        """A title as it stands in a prompt and as it completes one: with its leading space."""
        return f" {title}"

    def prompt(self, history: Sequence[str], candidates: Sequence[str] = ()) -> str:
        """The whole prompt; ``candidates`` are ignored unless the template shows them. No trailing space."""
        shown = ""
        if self.show_candidates:
            listed = "".join(self.MARK + self.title(title) for title in candidates)
            shown = f"{self.candidates_header}{listed}\n"
        return f"{shown}{self.header}" + "".join(self.BULLET + self.title(title) for title in history) + self.BULLET
