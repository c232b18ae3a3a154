"""Who called whom: the executions of one root call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _given as given
from ._trees import Shown
from .metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from . import _aikit


class ProcedureNode(Shown, Metrics):
    """One execution of a procedure: who called it, how it stands, what it counted."""

    __slots__ = ("_native",)

    def __init__(self, native: _aikit.ProcedureNode) -> None:
        self._native: _aikit.ProcedureNode = native

    @property
    def pid(self) -> str:
        """Its identity, unique in the process."""
        return self._native.pid

    @property
    def parent_pid(self) -> str | None:
        """The identity of its caller; None for a root."""
        return self._native.parent_pid

    @property
    def name(self) -> str:
        """Name of the procedure."""
        return self._native.name

    @property
    def status(self) -> str:
        """``running``, ``completed``, ``failed`` or ``cancelled``."""
        return self._native.status

    @property
    def started(self) -> float:
        """When it began, in seconds since 1970-01-01 UTC."""
        return self._native.started

    @property
    def completed(self) -> float | None:
        """When it ended, in seconds since 1970-01-01 UTC; None while it runs."""
        return self._native.completed

    @property
    def error(self) -> str | None:
        """Why it failed, if it did."""
        return self._native.error

    @property
    def depth(self) -> int:
        """How many callers stand above; 0 for a root."""
        return self._native.depth

    @property
    def parent(self) -> ProcedureNode | None:
        """Its caller; None for a root."""
        parent = self._native.parent
        return None if parent is None else ProcedureNode(parent)

    @property
    def children(self) -> list[ProcedureNode]:
        """Those it called, in the order of their beginnings."""
        return [ProcedureNode(child) for child in self._native.children]

    def _tree(self) -> _aikit.Tree:
        return self._native.tree()

    def has_ancestor(self, predicate: Callable[[ProcedureNode], bool]) -> bool:
        """Returns whether a caller, or a caller's caller, fits ``predicate``."""
        given.function("predicate", predicate)
        return any(predicate(ProcedureNode(node)) for node in self._native.ancestors)

    def merge_metrics(self, metrics: Mapping[str, float]) -> None:
        """Adds sums by name: all of them, or none when one does not fit.

        The ``usage`` of a handle does not count them: it has what was used where that was.

        Raises:
            InvalidArgsError: As of ``add_metric``.
        """
        sums = given.mapping("metrics", metrics)
        self._native.merge_metrics([(name, given.number(name, it)) for name, it in sums.items()])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProcedureNode) and self.pid == other.pid

    def __hash__(self) -> int:
        return hash(self.pid)

    def __repr__(self) -> str:
        return f"ProcedureNode({self.pid} {self.name!r} {self.status})"


class ProcedureGraph(Shown):
    """Who called whom below one root call. Bounded: beyond 10,000 nodes finished ones are left out.

    Iterating gives the nodes in the order of their beginnings; ``len`` counts every execution,
    those left out included.
    """

    __slots__ = ("_native",)

    def __init__(self, native: _aikit.Context) -> None:
        self._native = native

    def get(self, pid: str) -> ProcedureNode | None:
        """Returns the node of that identity, if it is kept."""
        node = self._native.find_node(given.text("pid", pid))
        return None if node is None else ProcedureNode(node)

    @property
    def root(self) -> ProcedureNode | None:
        """The first execution without a caller."""
        root = self._native.root
        return None if root is None else ProcedureNode(root)

    def all(self) -> list[ProcedureNode]:
        """Returns every node that is kept, in the order of their beginnings."""
        return [ProcedureNode(node) for node in self._native.nodes]

    def parent(self, pid: str) -> ProcedureNode | None:
        """Returns the caller of ``pid``; None for a root, and where that node is not kept."""
        node = self.get(pid)
        return None if node is None else node.parent

    def children(self, pid: str) -> list[ProcedureNode]:
        """Returns those that ``pid`` called and that are kept, in the order of their beginnings."""
        node = self.get(pid)
        return [] if node is None else node.children

    def has_ancestor(self, pid: str, predicate: Callable[[ProcedureNode], bool]) -> bool:
        """Returns whether a caller of ``pid``, or a caller's caller, fits ``predicate``."""
        given.function("predicate", predicate)
        node = self.get(pid)
        return node is not None and node.has_ancestor(predicate)

    def has_ancestor_named(self, pid: str, name: str) -> bool:
        """Returns whether a caller of ``pid``, or a caller's caller, has that name."""
        node = self.get(pid)
        given.text("name", name)
        return node is not None and node.has_ancestor(lambda it: it.name == name)

    def _tree(self) -> _aikit.Tree:
        return self._native.tree()

    def clear(self) -> None:
        """Forgets every node; what runs goes on."""
        self._native.clear_graph()

    def __iter__(self) -> Iterator[ProcedureNode]:
        return iter(self.all())

    def __len__(self) -> int:
        return self._native.execution_count

    def __repr__(self) -> str:
        root = self.root
        return f"ProcedureGraph({'empty' if root is None else root.name}, {len(self)} executions)"
