"""Vector indexes over numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _aikit
from .errors import InvalidArgsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


class VectorIndex:
    """Finds the nearest of many vectors.

    Args:
        dim: Length of every vector.
        metric: ``cosine``, ``dot`` or ``l2`` (the negative squared distance); a score is always
            higher for the nearer.
        index: ``flat`` (exact) or ``hnsw`` (approximate, for many rows).

    Raises:
        InvalidArgsError: If the dimension or the metric makes no sense.
        NotFoundError: If there is no such index.
    """

    def __init__(self, dim: int, *, metric: str = "cosine", index: str = "flat") -> None:
        if dim < 1:
            raise InvalidArgsError(f"`{dim}` is no dimension of a vector", hint="give at least 1")
        self._native = _aikit.VectorIndex(index, dim, metric)
        self.dim = dim
        self.metric = metric
        self.index = index

    def add(self, ids: ArrayLike, vectors: ArrayLike) -> int:
        """Adds vectors; one replaces the vector of its id.

        Args:
            ids: Whole numbers from 0, shape (n,).
            vectors: Shape (n, dim); ``float32`` and contiguous is taken without a copy.

        Returns:
            How many vectors there are now.

        Raises:
            InvalidArgsError: If shapes do not fit or a number is not finite; nothing is added.
        """
        rows = _rows(vectors)
        self._native.add(_ids(ids), rows)
        return len(self._native)

    def search(
        self, queries: ArrayLike, *, k: int = 10
    ) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Finds the nearest vectors.

        Args:
            queries: One query, shape (dim,), or several, shape (n, dim).
            k: Number of hits, at least 1; fewer come back when there are fewer vectors.

        Returns:
            Ids and scores, best first: each of shape (n, k), or (k,) for one query.
        """
        import numpy as np  # noqa: PLC0415  # not needed by `import aikit`

        if k < 1:
            raise InvalidArgsError(f"`k` is `{k}`", hint="ask for at least 1 hit")
        one = np.ndim(queries) == 1
        ids, scores = self._native.search(_rows(queries), k)
        return (ids[0], scores[0]) if one else (ids, scores)

    def delete(self, ids: ArrayLike) -> int:
        """Deletes vectors and returns how many there were.

        Args:
            ids: Shape (n,).
        """
        return self._native.delete(_ids(ids))

    def __len__(self) -> int:
        return len(self._native)

    def __repr__(self) -> str:
        return f"VectorIndex(dim={self.dim}, metric={self.metric!r}, rows={len(self)})"


def _rows(vectors: ArrayLike) -> NDArray[np.float32]:
    import numpy as np  # noqa: PLC0415  # not needed by `import aikit`

    if np.iscomplexobj(vectors):
        raise InvalidArgsError("the vectors are complex", hint="pass real numbers")
    try:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidArgsError(
            f"the vectors are no array of numbers: {error}", hint="pass an array of shape (n, dim)"
        ) from error
    rows = np.atleast_2d(rows)
    if rows.ndim != 2:  # noqa: PLR2004  # rows and columns
        raise InvalidArgsError(
            f"the vectors have {rows.ndim} dimensions", hint="pass an array of shape (n, dim)"
        )
    return rows


def _ids(ids: ArrayLike) -> NDArray[np.uint64]:
    import numpy as np  # noqa: PLC0415  # not needed by `import aikit`

    given = np.atleast_1d(np.asarray(ids))
    is_whole = given.dtype.kind in "iu" or given.size == 0
    if not is_whole or given.ndim != 1 or (given.size and int(given.min()) < 0):
        raise InvalidArgsError("ids are whole numbers from 0", hint="pass an array of shape (n,)")
    return np.ascontiguousarray(given, dtype=np.uint64)
