"""What the encoders that wrap another one share. Knows the inner encoder; computes no vector."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from polo import Context, Encoder
from polo_tfllmer.options import FromOptions
from polo_tfllmer.prints import print_of

Options = TypeVar("Options", bound=FromOptions)


class Transform(Generic[Options]):
    """Holds the encoder that option ``from`` names, whose fingerprint is part of its own.

    Attributes:
        name: what recipes call the transform; part of the fingerprint.
        inner: gives the vectors that are transformed.
    """

    name: ClassVar[str]

    def __init__(self, options: Options, context: Context) -> None:
        self.options = options
        self.inner: Encoder = context.build(options.from_)

    def fingerprint(self) -> str:
        return print_of(self.name, self.options, self.inner.fingerprint())
