"""Vectors of texts on the disk: computed once, found by what they were computed from. Knows keys and files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from polo import whole_file

Keys = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def key_of(text: str) -> bytes:
    """16 bytes of a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class VectorCache:
    """Parts of ``keys [m, 16]`` and ``vectors [m, d]`` as safetensors; a part is whole or not there.

    Args:
        folder: of one model with one way of reading; parts of several data sets may lie in it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     VectorCache(Path(folder)).add([key_of("a")], np.ones((1, 2), np.float32))
        ...     sorted(VectorCache(Path(folder)).found) == [key_of("a")]
        True
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: the vectors that are there, by key
        self.found: dict[bytes, Floats] = {}
        for path in sorted(folder.glob("*.safetensors")):
            try:
                part = load_file(path)
                keys, vectors = part["keys"], part["vectors"]
            except (OSError, SafetensorError, KeyError):  # computed again
                continue
            self.found.update(zip((key.tobytes() for key in keys), vectors, strict=True))

    def add(self, keys: Sequence[bytes], vectors: Floats) -> None:
        """Keeps the vectors of some texts, at once on the disk."""
        lines: Keys = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), 16)
        name = hashlib.blake2b(lines.tobytes(), digest_size=16).hexdigest()
        with whole_file(self._folder / f"{name}.safetensors") as temporary:
            save_file({"keys": lines, "vectors": np.ascontiguousarray(vectors)}, temporary)
        self.found.update(zip(keys, vectors, strict=True))
