"""How well an index answers questions whose answers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .records import Record, table

if TYPE_CHECKING:
    from collections.abc import Mapping


class Measures(Record):
    """Means over all judged questions, each from 0 to 1.

    Attributes:
        k: The cutoff: only the first so many results count.
        recall: Part of what is relevant that was found.
        precision: Part of ``k`` results that is relevant.
        mrr: One over the rank of the first relevant result; 0 without one.
        ndcg: Gains discounted by their ranks, over those of the best possible order.
    """

    k: int
    recall: float
    precision: float
    mrr: float
    ndcg: float


class Latency(Record):
    """How long a search takes, embedding the question included.

    Attributes:
        mean_ms: Mean, in milliseconds.
        p50_ms: Half of the searches were quicker.
        p95_ms: 95 of 100 were.
    """

    mean_ms: float
    p50_ms: float
    p95_ms: float


class Evaluation(Record):
    """How well an index answers judged questions.

    Attributes:
        queries: Number of questions.
        at: The measures at each cutoff, smallest first.
        latency: How long the searches took.
        missed: Questions of whose answers none was found.
    """

    queries: int
    at: list[Measures]
    latency: Latency
    missed: list[str]

    _records: ClassVar[Mapping[str, type[Record]]] = {"at": Measures, "latency": Latency}

    def _repr_html_(self) -> str:
        return table(self.at, ["k", "recall", "precision", "mrr", "ndcg"])
