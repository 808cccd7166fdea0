"""An epoch of BPR by `implicit`, in an environment that has it: ``implicit_bpr.py PAIRS.npz SIZES``.

``PAIRS.npz`` holds ``user`` and ``item``; SIZES is JSON (``dim``, ``lr``). Prints JSON: process ``seconds`` of the
second epoch and ``rows`` of it.
"""

import json
import sys
import time

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix


def main(path: str, words: str) -> None:
    """One thread; negatives that the user took are left out, as they are in the other form."""
    sizes, pairs = json.loads(words), np.load(path)
    shape = (int(pairs["user"].max()) + 1, int(pairs["item"].max()) + 1)
    taken = csr_matrix((np.ones(len(pairs["user"]), np.float32), (pairs["user"], pairs["item"])), shape=shape)
    ends = []
    model = BayesianPersonalizedRanking(
        factors=sizes["dim"], learning_rate=sizes["lr"], iterations=2, num_threads=1, random_state=0
    )
    model.fit(taken, show_progress=False, callback=lambda *_: ends.append(time.process_time()))
    print(json.dumps({"seconds": ends[1] - ends[0], "rows": int(taken.nnz)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
