"""Texts that belong to their rows: data without a catalogue, such as pairs of answers to a prompt.

Most data here are histories over a catalogue, whose items any row may have. Where a data source gives texts of its own
(``Splits.own``), the same columns mean this instead, and everything between data and results stays what it was:

- an item is one answer and belongs to one row: item ``i`` is ``answers[i]``, ``items.titles[i]`` is its plain text;
- a row's list (``Rows.candidates``) holds its own answers, the chosen one first, filled up with ``PAD`` where another
  row has more; this list is the whole pool that negatives are drawn from and the list that is ranked;
- ``Rows.user`` is the number of its prompt, so that intervals and tests are clustered by prompt;
- there is no history (``Rows.history`` has no column), no training sequence, and nothing is known of a user.

So a prompt is shared by its answers in one forward pass, reference scores are kept by the row, and metrics rank lists,
by the same code as ever. What only makes sense over a catalogue says so by ``needs`` and is refused. Knows texts and
conversations; knows no tokens (policies do), no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: one message of a conversation: at least ``role`` and ``content``
Message = Mapping[str, str]
#: plain text, or a conversation, which a policy puts into words by the chat template of its base
Said = str | Sequence[Message]


@dataclass(frozen=True)
class OwnTexts:
    """What is said in rows whose texts are their own.

    Args:
        prompts: prompt ``p`` is what stands before the answers of the rows whose ``user`` is p.
        answers: answer ``i`` is item i. A conversation goes on where the prompt's ended.

    Example:
        >>> own = OwnTexts(["Say hi:"], [" hi", " bye"])
        >>> own.conversational, plain(own.prompts[0])
        (False, 'Say hi:')
    """

    prompts: Sequence[Said]
    answers: Sequence[Said]

    @property
    def conversational(self) -> bool:
        """Whether texts are conversations, all of them."""
        return bool(self.answers) and not isinstance(self.answers[0], str)


def plain(said: Said) -> str:
    """Text as people read it: of a conversation what was said, a message a paragraph, without roles.

    Example:
        >>> plain([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}])
        'Hi\\n\\nYes?'
    """
    return said if isinstance(said, str) else "\n\n".join(message["content"] for message in said)
