"""What the item tower reads of a title: how often each window of three letters stands in it, hashed."""

import zlib

import numpy as np
import numpy.typing as npt


def windows(titles: list[str], width: int) -> npt.NDArray[np.float32]:
    """``x[i, h(w)]`` += 1 for every window w of three letters in title i, each row divided by its length.

    h is the CRC-32, modulo ``width``: the same on every machine.

    Example (the same letters, and none of them):
        >>> x = windows(["Ab", "ab", "xyz"], 4096)
        >>> (x @ x.T).round(3).tolist()
        [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    found = np.zeros((len(titles), width), dtype=np.float32)
    for i, title in enumerate(titles):
        text = f" {title.lower()} "
        for start in range(max(1, len(text) - 2)):
            found[i, zlib.crc32(text[start : start + 3].encode()) % width] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)
