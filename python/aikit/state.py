"""State: values that outlive the process, shared by whoever has the scope."""

from __future__ import annotations

import functools
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, overload

from . import _aikit
from ._callbacks import is_async
from .errors import AikitError, InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Stands for an argument that was left out.
_MISSING: Any = object()


class State(MutableMapping[str, Any]):
    """The values of one scope, kept in the store of the project.

    Other programs, notebooks and shells may use the same scope at the same time. What ``set`` or
    an assignment has written outlives a crash. A value is None, a bool, an int of 64 bits, a float,
    a str, bytes, or a list or dict of these, up to 16 MiB.

    Args:
        scope: Who shares it: ``global``, or ``user:``, ``session:``, ``agent:``, ``workflow:``,
            ``tool:`` or ``custom:`` with an identity.
        url: Where it is kept: ``sqlite:PATH`` or ``memory:``; None for the store of the project,
            ``.aikit/aikit.db`` below the working directory.

    Raises:
        InvalidArgsError: If the scope or the url is none.
    """

    def __init__(self, scope: str = "global", *, url: str | None = None) -> None:
        self._native = _aikit.State(scope, url)
        self._url = url
        self.scope = scope

    @classmethod
    def _of(cls, native: _aikit.State, scope: str) -> State:
        state = cls.__new__(cls)
        state._native, state._url, state.scope = native, None, scope  # noqa: SLF001  # our own
        return state

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401  # whatever was kept
        found = self._native.find(key)
        if not found:
            raise KeyError(key)
        return found[0]

    def __setitem__(self, key: str, value: Any) -> None:  # noqa: ANN401  # any data
        self._native.set(key, value)

    def __delitem__(self, key: str) -> None:
        if not self._native.delete(key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._native.keys(""))

    def __len__(self) -> int:
        return len(self._native.keys(""))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self._native.find(key))

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401  # whatever was kept
        """Returns the value of a key, or the default when there is none."""
        found = self._native.find(key)
        return found[0] if found else default

    async def aget(self, key: str, default: Any = None) -> Any:  # noqa: ANN401  # as `get`
        """Is ``get`` for async code."""
        found = await self._native.afind(key)
        return found[0] if found else default

    def set(self, key: str, value: Any) -> None:  # noqa: ANN401  # any data
        """Keeps a value; when this returns, it outlives a crash.

        Args:
            key: Name of the value, up to 1024 bytes.
            value: What is kept.

        Raises:
            LimitExceededError: If the value is too large.
        """
        self._native.set(key, value)

    async def aset(self, key: str, value: Any) -> None:  # noqa: ANN401  # any data
        """Is ``set`` for async code."""
        await self._native.aset(key, value)

    def delete(self, key: str) -> bool:
        """Deletes a value and returns whether there was one."""
        return self._native.delete(key)

    async def adelete(self, key: str) -> bool:
        """Is ``delete`` for async code."""
        deleted: bool = await self._native.adelete(key)
        return deleted

    def keys(self, prefix: str = "") -> list[str]:  # type: ignore[override]
        """Returns the keys that begin with a prefix, in order."""
        return self._native.keys(prefix)

    async def akeys(self, prefix: str = "") -> list[str]:
        """Is ``keys`` for async code."""
        keys: list[str] = await self._native.akeys(prefix)
        return keys

    def clear(self) -> None:
        """Deletes every value."""
        for key in self.keys():
            self.delete(key)

    @overload  # type: ignore[override]
    def update(self, key: str, change: Callable[[Any], Any]) -> Any: ...  # noqa: ANN401

    @overload
    def update(
        self,
        key: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        **values: Any,  # noqa: ANN401  # any data
    ) -> None: ...

    def update(self, key: Any = (), change: Any = _MISSING, **values: Any) -> Any:
        """Changes one value by a function, so that no change of others is lost.

        Without a function this is ``dict.update``: it keeps each of the given values.

        Args:
            key: Name of the value; or a mapping or pairs.
            change: Takes the value (None when there is none) and returns the new one. It is called
                again when somebody else wrote meanwhile.
            values: Values to keep, by name.

        Returns:
            The new value.

        Raises:
            ConflictError: If others are in the way all the time.
        """
        if change is _MISSING:
            for name, value in dict(key, **values).items():
                self.set(name, value)
            return None
        if values or not callable(change):
            raise InvalidArgsError(
                f"`update` takes a function that changes `{key}`",
                hint="write `state.update(key, lambda value: …)`",
            )
        change = _Change(change)
        try:
            return self._native.update(key, change.function())
        except AikitError:
            change.raise_own()
            raise

    async def aupdate(self, key: str, change: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        """Is ``update`` for async code; the function may be async, too."""
        own = _Change(change)
        try:
            return await self._native.aupdate(key, own.function())
        except AikitError:
            own.raise_own()
            raise

    def compare_and_set(self, key: str, expected: Any, new: Any) -> bool:  # noqa: ANN401
        """Keeps ``new`` when the value is ``expected``.

        Args:
            key: Name of the value.
            expected: What the value must be; None also stands for no value. Numbers are compared
                by their worth (1 is 1.0), and an empty list is an empty dict, since Lua does not
                tell them apart.
            new: What is kept then.

        Returns:
            Whether it was, and the new value is kept.
        """
        return self._native.compare_and_set(key, expected, new)

    async def acompare_and_set(
        self,
        key: str,
        expected: Any,  # noqa: ANN401  # any data
        new: Any,  # noqa: ANN401  # any data
    ) -> bool:
        """Is ``compare_and_set`` for async code."""
        kept: bool = await self._native.acompare_and_set(key, expected, new)
        return kept

    def __reduce__(self) -> tuple[Any, ...]:
        if self._url == "memory:":
            raise TypeError("a State in memory cannot be pickled: give it a file")
        return (_open, (self.scope, self._url))

    def __repr__(self) -> str:
        url = "" if self._url is None else f", url={self._url!r}"
        return f"State({self.scope!r}{url})"


class _Change:
    """A function that changes a value; keeps what it raised, to be raised as it was."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._change = change
        self._raised: BaseException | None = None

    def function(self) -> Callable[[Any], Any]:
        change = self._change
        call: Any = functools.partial(self._call_async if is_async(change) else self._call)
        # What errors call it.
        call.__name__ = getattr(change, "__name__", type(change).__name__)
        function: Callable[[Any], Any] = call
        return function

    def raise_own(self) -> None:
        if self._raised is not None:
            raise self._raised

    def _call(self, value: Any) -> Any:  # noqa: ANN401  # any data
        try:
            changed = self._change(value)
        except BaseException as error:
            self._raised = error
            raise
        # As of a `functools.partial` of an async function.
        return self._awaited(changed) if hasattr(type(changed), "__await__") else changed

    async def _call_async(self, value: Any) -> Any:  # noqa: ANN401  # any data
        return await self._call(value)

    async def _awaited(self, changed: Any) -> Any:  # noqa: ANN401  # any data
        try:
            return await changed
        except BaseException as error:
            self._raised = error
            raise


def _open(scope: str, url: str | None) -> State:
    return State(scope, url=url)
