"""A tokenizer made for one data set. Knows titles and how often they occur, or whole texts; knows nothing of models.

Of a catalogue, text is cut into as few bytes, pieces and whole titles as it can be; any text can. Pieces are those that
byte-level BPE ends with; what it only passes through on the way would be in the vocabulary (three quarters of it, on
MovieLens-100K), take part in every softmax, and never be used. Separators of the template are cut off first and nothing
else is, so pieces cross spaces inside a title and `` " " + title`` has the same tokens in a prompt and as a completion.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from polo import Said, plain
from polo_causal_lm.template import Template

PAD, BOS, EOS = "<pad>", "<s>", "</s>"
_CHAT = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

#: a title that occurs this often gets a token of its own
OFTEN = 5
#: log-weight of what no text is cut into: more than all bytes of a title cost
NEVER = -1e6


def train_tokenizer(
    titles: Sequence[str], counts: npt.NDArray[np.integer], template: Template, vocab: int
) -> PreTrainedTokenizerFast:
    """Tokens for the titles of a catalogue: one for a title that occurs often, pieces for the others.

    Args:
        titles: the catalogue.
        counts: ``[len(titles)]`` how often each occurs in the training sequences; a title that never does counts once.
        template: its separators are kept apart, its fixed words are learnt too.
        vocab: size of the vocabulary at most, marks and bytes included.

    Example:
        >>> tokenizer = train_tokenizer(["Abba", "Queen II"], np.array([5, 3]), Template(header="Played:"), 300)
        >>> tokenizer(" Queen II\\n- Abba", add_special_tokens=False).tokens()
        ['ĠQueenĠII', 'Ċ-', 'ĠAbba']
    """
    pieces = _cut(Tokenizer(models.BPE()), template)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    pieces.train_from_iterator(_corpus(titles, counts, template), trainer)
    raw = _cut(Tokenizer(_fewest(pieces, titles, counts, template, vocab)), template)
    raw.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, raw.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token=PAD, bos_token=BOS, eos_token=EOS)


def train_tokenizer_of_texts(texts: Sequence[Said], vocab: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE over texts that belong to rows, words cut as GPT-2 cuts them; with a chat template.

    The template marks who speaks by one token, ends every message with the end token, and begins with the begin token.

    Args:
        texts: texts or conversations of the training split.
        vocab: size of the vocabulary, marks and bytes included.

    Example:
        >>> tokenizer = train_tokenizer_of_texts(["so it is", "it is so"], 300)
        >>> tokenizer.apply_chat_template([{"role": "user", "content": "it"}], tokenize=False)
        '<s><|user|>it</s>'
    """
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    raw.decoder = decoders.ByteLevel()
    roles = {message["role"] for text in texts if not isinstance(text, str) for message in text}
    speakers = [f"<|{role}|>" for role in sorted(roles | {"user", "assistant"})]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[PAD, BOS, EOS, *speakers],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    raw.train_from_iterator((plain(text) for text in texts), trainer)
    raw.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, raw.token_to_id(BOS))]
    )
    made = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token=PAD, bos_token=BOS, eos_token=EOS)
    made.chat_template = _CHAT
    return made


def _cut(raw: Tokenizer, template: Template) -> Tokenizer:
    """With the separators cut off and text as bytes."""
    cut = Regex("|".join(re.escape(separator) for separator in template.separators))
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(cut, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    raw.decoder = decoders.ByteLevel()
    return raw


def _fewest(
    trained: Tokenizer, titles: Sequence[str], counts: npt.NDArray[np.integer], template: Template, vocab: int
) -> models.Unigram:
    """Marks, bytes, the fixed lines, whole titles in half of what is left of ``vocab``, pieces, and titles again where
    there is still room; the most frequent first. Without pieces every other title would be spelt out byte by byte.
    """
    tokens = dict.fromkeys([PAD, BOS, EOS, *sorted(pre_tokenizers.ByteLevel.alphabet())])
    for words in template.words:
        tokens |= dict.fromkeys(trained.encode(words + template.BULLET + template.MARK).tokens)
    often = [i for i in np.argsort(-counts, kind="stable") if counts[i] >= OFTEN]
    cut = [trained.pre_tokenizer.pre_tokenize_str(template.title(titles[i])) for i in often]
    whole = [parts[0][0] for parts in cut if len(parts) == 1]  # no separator inside
    used = Counter(token for words in _corpus(titles, counts, template) for token in trained.encode(words).tokens)
    first = max(0, vocab - len(tokens)) // 2
    tokens |= dict.fromkeys([*whole[:first], *(token for token, _ in used.most_common()), *whole[first:]])
    kept = list(tokens)[:vocab]
    # each token costs 1, so that the cheapest way is the shortest; a mark is never what a text is cut into
    costs = [(token, NEVER if token in (PAD, BOS, EOS) else -1.0) for token in kept]
    return models.Unigram(costs, unk_id=kept.index(PAD), byte_fallback=False)


def _corpus(titles: Sequence[str], counts: npt.NDArray[np.integer], template: Template) -> Iterator[str]:
    # The fixed words stand in every prompt: counted often enough, each line is a single token.
    often = max(int(counts.max(initial=1)), 2)
    for words in template.words:
        yield from [words + template.BULLET + template.MARK] * often
    for title, count in zip(titles, counts, strict=True):
        yield from [template.title(title)] * max(int(count), 1)
