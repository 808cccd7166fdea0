"""Which rows a policy can take, and what is said of those that it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from polo.data import Rows
from polo.errors import InputError
from polo.protocols import Trouble
from polo.run.prepare import fitting
from tests.toy_policy import ToyPolicy, toy_rows


class Narrow(ToyPolicy):
    """Takes rows of an even number."""

    def fits(self, rows: Rows) -> np.ndarray:
        return rows.id % 2 == 0


class Advising(Narrow):
    def advice(self, trouble: Trouble) -> str:
        return {"fit": "raise the limit", "start": ""}[trouble]


def test_rows_that_do_not_fit_are_left_out_and_counted() -> None:
    said: list[str] = []
    assert fitting(Narrow(), toy_rows(6), "training", said.append).id.tolist() == [0, 2, 4]
    assert said == ["3 of 6 training rows do not fit the policy's token limit and are left out (rows 1, 3, 5)"]
    assert fitting(ToyPolicy(), toy_rows(6), "training", said.append).id.tolist() == list(range(6))
    assert len(said) == 1


@pytest.mark.parametrize(("policy", "fix"), [(Narrow(), "give shorter rows"), (Advising(), "raise the limit")])
def test_where_none_fits_the_policy_says_what_to_do(policy: Narrow, fix: str) -> None:
    with pytest.raises(InputError, match="none of the 3 training rows fits") as caught:
        fitting(policy, toy_rows(6)[np.array([1, 3, 5])], "training", print)
    assert (caught.value.where, caught.value.fix) == ("policy", fix)
