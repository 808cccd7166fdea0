"""Where vectors come from: texts and files, and what is said when they do not fit."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from safetensors.numpy import save_file

import polo_tfllmer.lsa as lsa_module
from polo import InputError, ItemTable
from polo.testing import context, small_splits
from polo_tfllmer.lsa import LSA, tf_idf
from polo_tfllmer.options import LSAOptions
from tests.polo_tfllmer.world import encoder, taken

SPLITS = taken(3, [[0, 1]])
X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def read(path: Path, **options: object) -> np.ndarray:
    found: np.ndarray = encoder("file", path=str(path), **options).vectors(SPLITS.items, SPLITS)
    return found


def table(folder: Path, ids: list[str], vectors: np.ndarray) -> Path:
    path = folder / "v.parquet"
    parquet.write_table(pa.table({"item": ids, "vectors": vectors.tolist()}), path)
    return path


def test_three_forms_hold_the_same_vectors(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", X)
    (tmp_path / "v.npy.gz").write_bytes(gzip.compress((tmp_path / "v.npy").read_bytes()))
    save_file({"vectors": X.astype(np.float16)}, tmp_path / "v.safetensors")
    for path in (*tmp_path.iterdir(), table(tmp_path, ["0", "1", "2"], X)):
        assert read(path).tolist() == X.tolist(), path.name
    assert read(tmp_path / "v.safetensors").dtype == np.float32


def test_rows_are_matched_by_ids(tmp_path: Path) -> None:
    assert read(table(tmp_path, ["2", "0", "1"], X)).tolist() == X[[1, 2, 0]].tolist()
    np.save(tmp_path / "v.npy", X)
    (tmp_path / "ids.txt").write_text("1\n2\n0\n")
    assert read(tmp_path / "v.npy", ids=str(tmp_path / "ids.txt")).tolist() == X[[2, 0, 1]].tolist()


def test_missing_items_are_named_or_have_the_mean_and_extra_ones_are_named(tmp_path: Path) -> None:
    said: list[str] = []
    path = table(tmp_path, ["0", "9", "2"], X)
    with pytest.raises(InputError, match=r"no vector of 1 items: 1\n"):
        read(path)
    ctx = context()
    ctx = type(ctx)(seed=0, cache=tmp_path, build=ctx.build, say=said.append)
    found = encoder("file", ctx=ctx, path=str(path), missing="mean").vectors(SPLITS.items, SPLITS)
    assert found.tolist() == [[1, 2], [3, 4], [5, 6]]  # the mean of the first and the last
    assert said == [
        "file: 1 vectors of v.parquet are of no item here: 9",
        "file: 1 items have the mean vector: 1",
    ]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("two rows", "holds 2 vectors, and there are 3 items"),
        ("integers", "int64"),
        ("flat", r"float64 \[3\]"),
        ("nan", "row 1 .* not finite"),
        ("cut", "cannot be read"),
        ("twice", "the item '0' twice"),
        ("column", "has no 'vectors'; it has other"),
        ("ending", "cannot tell what it is"),
        ("gone", "no such file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path: Path, what: str, words: str) -> None:
    path = tmp_path / "v.npy"
    bad = X.copy()
    bad[1, 0] = np.nan
    arrays = {"two rows": X[:2], "integers": X.astype(int), "flat": X[:, 0], "nan": bad}
    if what in arrays:
        np.save(path, arrays[what])
    elif what == "cut":
        np.save(path, X)
        path.write_bytes(path.read_bytes()[:-9])
    elif what == "twice":
        path = table(tmp_path, ["0", "0", "1"], X)
    elif what == "column":
        path = tmp_path / "v.safetensors"
        save_file({"other": X}, path)
    elif what == "ending":
        path = tmp_path / "v.txt"
        path.touch()
    with pytest.raises(InputError, match=words) as refused:
        read(path)
    assert refused.value.where == str(path)


def test_the_fingerprint_of_a_file_is_of_its_bytes_and_not_its_folder(tmp_path: Path) -> None:
    prints = []
    for folder, vectors in (("a", X), ("b", X), ("c", X + 1)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "v.npy", vectors)
        prints.append(encoder("file", path=str(tmp_path / folder / "v.npy")).fingerprint())
    assert prints[0] == prints[1] != prints[2]


def test_lsa_keeps_the_products_of_the_texts() -> None:
    """With as many numbers as there are terms, U S has the inner products of the TF-IDF rows, which have length 1."""
    titles = ["red shoe", "red hat", "blue hat", ""]
    made = LSA(LSAOptions(k=6, ngrams=1, min_items=1), context())
    z = made.vectors(ItemTable(titles, list("abcd")), small_splits())
    x = tf_idf(titles, 1, 1).toarray()
    np.testing.assert_allclose(z @ z.T, x @ x.T, atol=1e-12)
    assert np.diag(z @ z.T).round(9).tolist() == [1, 1, 1, 0]
    assert z.shape == (4, 6)
    assert not z[3].any()
    assert not z[:, 4:].any(), "four terms have rank 4 at most"


def test_a_large_matrix_is_decomposed_in_part_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"w{i}" for i in range(30)]
    rng = np.random.default_rng(0)
    titles = [" ".join(rng.choice(words, 6)) for _ in range(50)]
    items = ItemTable(titles, [str(i) for i in range(50)])
    made = LSA(LSAOptions(k=5, ngrams=1), context())
    whole = made.vectors(items, small_splits())
    monkeypatch.setattr(lsa_module, "_WHOLE", 0)
    np.testing.assert_allclose(made.vectors(items, small_splits()), whole, atol=1e-8)
    order = rng.permutation(50)
    turned = made.vectors(ItemTable([titles[i] for i in order], list(map(str, order))), small_splits())
    np.testing.assert_allclose(turned, whole[order], atol=1e-8)


def test_texts_without_a_shared_term_and_columns_that_are_not_there_are_refused() -> None:
    items = ItemTable(["a", "b"], ["0", "1"], {"genres": ["x", "x"]})
    with pytest.raises(InputError, match="no term is said of 2 items"):
        LSA(LSAOptions(), context()).vectors(items, small_splits())
    assert LSA(LSAOptions(columns=("title", "genres")), context()).vectors(items, small_splits()).any()
    with pytest.raises(InputError, match=re.escape("no column 'plot'; it has title, genres")):
        LSA(LSAOptions(columns=("plot",)), context()).vectors(items, small_splits())


def test_more_dimensions_than_there_are_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", X)
    from polo import Choice
    from polo_tfllmer.options import FileOptions

    inner = Choice("encoder", "file", FileOptions(path=str(tmp_path / "v.npy")))
    for name in ("pca", "whiten", "rec_pca"):
        with pytest.raises(InputError, match="k is 3, and the vectors have 2 numbers"):
            encoder(name, from_=inner, k=3).vectors(SPLITS.items, SPLITS)


def test_whitened_components_have_variance_1_and_those_without_variance_are_0() -> None:
    from tests.polo_tfllmer.world import of

    z = of("whiten", X, SPLITS, k=2)  # the three points lie on one line
    np.testing.assert_allclose(z.var(axis=0), [1.0, 0.0], atol=1e-12)
