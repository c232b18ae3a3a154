"""Vector indexes over numpy arrays."""

from __future__ import annotations

import numpy as np
import pytest

from aikit import VectorIndex, errors

DICE = np.random.default_rng(20261121)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_the_exact_index_agrees_with_numpy(metric: str) -> None:
    rows = DICE.standard_normal((500, 16)).astype(np.float32)
    queries = DICE.standard_normal((100, 16)).astype(np.float32)
    index = VectorIndex(16, metric=metric)
    index.add(np.arange(500) * 3, rows)
    if metric == "cosine":
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        expected = (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ unit.T
    elif metric == "dot":
        expected = queries @ rows.T
    else:
        expected = -((queries[:, None, :] - rows[None, :, :]) ** 2).sum(axis=2)
    order = np.argsort(-expected, axis=1)[:, :10]
    ids, scores = index.search(queries, k=10)
    assert ids.shape == scores.shape == (100, 10)
    assert np.array_equal(ids, order * 3)
    # float32 sums in another order.
    assert np.allclose(scores, np.take_along_axis(expected, order, axis=1), rtol=1e-4, atol=1e-4)


def test_the_graph_finds_nearly_all_of_what_the_exact_index_finds() -> None:
    rows = DICE.standard_normal((2000, 24)).astype(np.float32)
    exact, graph = VectorIndex(24), VectorIndex(24, index="hnsw")
    for index in (exact, graph):
        index.add(np.arange(2000), rows)
    wanted, found = exact.search(rows[:50], k=10)[0], graph.search(rows[:50], k=10)[0]
    shared = [len(set(a) & set(b)) for a, b in zip(wanted.tolist(), found.tolist(), strict=True)]
    assert np.mean(shared) >= 9.0  # of ten; the graph is approximate


def test_one_query_gives_one_row_and_a_row_replaces_its_id() -> None:
    index = VectorIndex(2)
    index.add([7, 8], [[1, 0], [0, 1]])
    index.add(7, [0.0, 1.0])
    assert len(index) == 2
    ids, scores = index.search([0, 1], k=5)
    assert ids.tolist() == [7, 8]
    assert scores.shape == (2,)
    assert index.delete([7, 9]) == 1
    assert len(index) == 1


def test_an_empty_index_finds_nothing() -> None:
    ids, scores = VectorIndex(2).search([[1, 0], [0, 1]])
    assert ids.shape == scores.shape == (2, 0)


@pytest.mark.parametrize(
    ("ids", "rows", "message"),
    [
        ([1], [[1.0]], "1 numbers, the index has 2"),
        ([1, 2], [[1.0, 2.0]], "2 ids for 1 rows"),
        ([1], [[1.0, float("nan")]], "NaN"),
        ([1], [[0.0, 0.0]], "zero"),
        ([-1], [[1.0, 2.0]], "ids are whole numbers"),
        ([1.5], [[1.0, 2.0]], "ids are whole numbers"),
        ([1], [["a", "b"]], "no array of numbers"),
        ([1], [[[1.0, 2.0]]], "3 dimensions"),
    ],
)
def test_wrong_vectors_are_refused_and_nothing_is_added(
    ids: list[float], rows: list[list[object]], message: str
) -> None:
    index = VectorIndex(2)
    with pytest.raises(errors.InvalidArgsError, match=message):
        index.add(ids, rows)  # type: ignore[arg-type]  # wrong on purpose
    assert len(index) == 0


def test_wrong_options_are_named() -> None:
    for make in (
        lambda: VectorIndex(0),
        lambda: VectorIndex(-1),
        lambda: VectorIndex(2, metric="x"),
        lambda: VectorIndex(2).search([1, 0], k=0),
    ):
        with pytest.raises(errors.InvalidArgsError):
            make()
    with pytest.raises(errors.NotFoundError, match="`x`"):
        VectorIndex(2, index="x")


@pytest.mark.parametrize("k", [-1, 2**65])
def test_a_number_of_hits_out_of_range_is_named(k: int) -> None:
    index = VectorIndex(2)
    index.add(np.arange(1), np.ones((1, 2), dtype=np.float32))
    with pytest.raises(errors.InvalidArgsError, match="`k` is `"):
        index.search(np.ones(2, dtype=np.float32), k=k)
    with pytest.raises(errors.InvalidArgsError, match="dim"):
        VectorIndex(k)


def test_complex_vectors_are_refused() -> None:
    with pytest.raises(errors.InvalidArgsError, match="complex"):
        VectorIndex(2).add([1], np.array([[1j, 2.0]]))
