"""Channels: named conversations with requests and responses, also with the front end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _aikit
from . import _given as given
from .records import Record
from .subscriptions import CAPACITY, DROPS, Events, Subscription, arrive, subscriber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


class ChannelEvent(Record):
    """One event of a channel.

    Attributes:
        type: What it is: ``request``, ``response``, ``progress`` or any other word.
        id: Correlates a request and its response; None where there is none.
        channel: Name of the channel.
        payload: The data.
        metadata: When (``timestamp``, in seconds since 1970-01-01 UTC), and where known by whom
            (``source``), in which execution (``execution_id``), in which step (``tick``), over
            which connection (``source_connection_id``), and anything else.
        target: Whom it is for; None for everybody.
    """

    type: str
    id: str | None
    channel: str
    payload: Any
    metadata: dict[str, Any]
    target: dict[str, Any] | None


class ChannelSession:
    """The channels of one user in one conversation.

    It stays that of whoever asked for it, in whatever Context its methods are called.
    """

    __slots__ = ("_native",)

    def __init__(self, native: _aikit.ChannelSession) -> None:
        self._native = native

    @property
    def id(self) -> str:
        """Whose it is: tenant, user and conversation."""
        return self._native.id()

    @property
    def channels(self) -> list[str]:
        """Names of the channels that there are now, in order."""
        return self._native.channels()

    def get_channel(self, name: str) -> Channel:
        """Returns a channel, which is made when there is none.

        Raises:
            InvalidArgsError: If the name is empty or too long.
            LimitExceededError: If there are too many channels in use.
        """
        return Channel._of(self._native.get_channel(given.text("name", name)))  # noqa: SLF001  # ours

    def destroy(self) -> None:
        """Ends every channel: subscriptions end, waits for responses fail."""
        self._native.destroy()

    def to_dict(self) -> dict[str, Any]:
        """Returns ``id`` and ``channels`` as plain data."""
        return {"id": self.id, "channels": self.channels}

    def __repr__(self) -> str:
        return f"ChannelSession(id={self.id!r}, channels={self.channels!r})"


class Channel:
    """A named conversation of the user: publish and subscribe, request and response.

    The channel is made when there is none. Other parts of the program, tools, and in a notebook
    the front end reach it by its name; another user, tenant or conversation (the metadata
    ``conversation_id`` of the Context) never does. Publishing never waits: a subscriber that is too
    slow loses events, which are counted.

    Iterating, with ``for`` or ``async for``, subscribes, and gives the events from then on.

    Args:
        name: Such as ``ui:progress``; case and space around it do not count.

    Raises:
        InvalidArgsError: If the name is empty or too long.
    """

    def __init__(self, name: str) -> None:
        self._native = _aikit.Channel(given.text("name", name))

    @classmethod
    def _of(cls, native: _aikit.Channel) -> Channel:
        channel = cls.__new__(cls)
        channel._native = native  # noqa: SLF001  # our own
        return channel

    @classmethod
    def try_get(cls, name: str) -> Channel | None:
        """Returns a channel, or None where there are no channels."""
        native = _aikit.try_channel(given.text("name", name))
        return None if native is None else cls._of(native)

    @staticmethod
    def session() -> ChannelSession:
        """Returns whose channels these are, and which there are."""
        return ChannelSession(_aikit.channel_session())

    @staticmethod
    def remove(name: str) -> bool:
        """Destroys a channel and returns whether there was one."""
        return _aikit.remove_channel(given.text("name", name))

    @property
    def name(self) -> str:
        """Its name, in lower case."""
        return self._native.name()

    def publish(
        self,
        event: str | Mapping[str, Any],
        payload: Any = None,  # noqa: ANN401  # any data
        *,
        id: str | None = None,  # noqa: A002  # the name in every language
        metadata: Mapping[str, Any] | None = None,
        target: Mapping[str, Any] | None = None,
    ) -> int:
        """Publishes an event; never waits.

        Args:
            event: Its type, such as ``update``; or all of it, as a mapping of ``type``,
                ``payload``, ``id``, ``metadata`` and ``target``.
            payload: The data.
            id: Correlates a request and its response.
            metadata: By whom, for what: ``source``, ``tick``, anything else.
            target: Whom it is for, such as ``{"connection_id": …}``.

        Returns:
            The number of the event on the channel, from 1.

        Raises:
            InvalidArgsError: If it is no event.
            UnavailableError: If the channel was destroyed.
        """
        whole = _text_or_mapping("event", event)
        return self._native.publish(whole, payload, _given(id, metadata, target))

    def subscribe(
        self,
        fn: Callable[[ChannelEvent], object] | None = None,
        *,
        capacity: int = CAPACITY,
        drop: str = "oldest",
    ) -> Subscription[ChannelEvent]:
        """Subscribes to the events from now on.

        Args:
            fn: Called with each event, one after the other; may be async. What it raises harms
                nobody else. Without one, the subscription gives the events. It is given all but the
                responses that it publishes itself.
            capacity: Most events that wait, 1 to 65536.
            drop: What is lost when more wait: ``oldest`` or ``newest``.

        Raises:
            UnavailableError: If the channel was destroyed.
        """
        function = subscriber(fn, ChannelEvent)
        size, lost = given.whole("capacity", capacity), given.one_of("drop", drop, DROPS)
        return Subscription(self._native.subscribe(function, size, lost), ChannelEvent)

    def receive(self, *, timeout: float | None = None) -> ChannelEvent | None:
        """Waits for the next event; the first call subscribes.

        Args:
            timeout: Longest wait in seconds; None for no limit.

        Returns:
            The event; None when none came in time, or the channel was destroyed.
        """
        found = self._native.receive(given.seconds("timeout", timeout))
        return None if found is None else ChannelEvent(found)

    async def areceive(self, *, timeout: float | None = None) -> ChannelEvent | None:
        """Is ``receive`` for async code; a wait that is cancelled loses no event."""
        event = await arrive(self._native, given.seconds("timeout", timeout))
        return None if event is None else ChannelEvent(event)

    def events(self, *, timeout: float | None = None) -> Events[ChannelEvent]:
        """Subscribes, and returns an iterator, also for ``async for``, over the events.

        Args:
            timeout: After how many seconds without an event it ends; None for never. It ends with
                the channel in any case.
        """
        return Events(self.subscribe(), given.seconds("timeout", timeout), is_own=True)

    def request(
        self,
        payload: Any = None,  # noqa: ANN401  # any data
        *,
        id: str | None = None,  # noqa: A002  # the name in every language
        metadata: Mapping[str, Any] | None = None,
        target: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> ChannelEvent:
        """Publishes a request and waits for its response.

        Args:
            payload: The data.
            id: Identity of the request; None for a new one.
            metadata: As for ``publish``.
            target: As for ``publish``.
            timeout: Longest wait in seconds; None for no limit.

        Raises:
            DeadlineError: If no response came in time.
            LimitExceededError: If the request was dropped, because the queues of all subscribers
                were full: subscribe with a larger ``capacity``.
            CancelledError: If the channel is destroyed meanwhile.
        """
        options = _given(id, metadata, target)
        limit = given.seconds("timeout", timeout)
        return ChannelEvent(self._native.request(payload, options, limit))

    async def arequest(
        self,
        payload: Any = None,  # noqa: ANN401  # any data
        *,
        id: str | None = None,  # noqa: A002  # the name in every language
        metadata: Mapping[str, Any] | None = None,
        target: Mapping[str, Any] | None = None,
        timeout: float | None = None,  # as `request`
    ) -> ChannelEvent:
        """Is ``request`` for async code."""
        options = _given(id, metadata, target)
        limit = given.seconds("timeout", timeout)
        return ChannelEvent(await self._native.arequest(payload, options, limit))

    def respond(
        self,
        request: ChannelEvent | Mapping[str, Any] | str,
        payload: Any = None,  # noqa: ANN401  # any data
    ) -> int:
        """Answers a request.

        Args:
            request: The event of the type ``request``, or its id.
            payload: The answer.

        Returns:
            The number of the response on the channel.
        """
        if isinstance(request, ChannelEvent):
            return self._native.respond(request.to_dict(), payload)
        return self._native.respond(_text_or_mapping("request", request), payload)

    def wait_for_response(
        self,
        id: str,  # noqa: A002  # the name in every language
        *,
        timeout: float | None = None,
    ) -> ChannelEvent:
        """Waits for the response to a request; one that came before is given too.

        Args:
            id: Identity of the request.
            timeout: Longest wait in seconds; None for no limit.

        Raises:
            DeadlineError: If no response came in time.
            CancelledError: If the channel is destroyed meanwhile.
        """
        limit = given.seconds("timeout", timeout)
        return ChannelEvent(self._native.wait_for_response(given.text("id", id), limit))

    async def await_for_response(
        self,
        id: str,  # noqa: A002  # the name in every language
        *,
        timeout: float | None = None,  # as `wait_for_response`
    ) -> ChannelEvent:
        """Is ``wait_for_response`` for async code."""
        limit = given.seconds("timeout", timeout)
        return ChannelEvent(await self._native.await_for_response(given.text("id", id), limit))

    def subscriber_count(self) -> int:
        """Returns how many subscriptions there are, those of front ends included."""
        return self._native.subscriber_count()

    def destroy(self) -> None:
        """Ends the channel: subscriptions end, waits for responses fail."""
        self._native.destroy()

    def __iter__(self) -> Iterator[ChannelEvent]:
        return self.events()

    def __aiter__(self) -> AsyncIterator[ChannelEvent]:
        return self.events()

    def __repr__(self) -> str:
        return f"Channel({self.name!r})"


# By name, of the current Context ------------------------------------------------------------------


def get_channel(name: str) -> Channel:
    """Returns a channel of the current Context's user, made when there is none; as `Channel`."""
    return Channel(name)


def try_get_channel(name: str) -> Channel | None:
    """Returns a channel, or None where there are no channels."""
    return Channel.try_get(name)


def publish(  # noqa: PLR0913  # as the method, and the name
    name: str,
    event: str | Mapping[str, Any],
    payload: Any = None,  # noqa: ANN401  # any data
    *,
    id: str | None = None,  # noqa: A002  # the name in every language
    metadata: Mapping[str, Any] | None = None,
    target: Mapping[str, Any] | None = None,
) -> int:
    """Publishes to a channel; see `Channel.publish`.

    Args:
        name: The channel's.
        event: Its type, or all of it.
        payload: The data.
        id: Correlates a request and its response.
        metadata: By whom, for what.
        target: Whom it is for.
    """
    return Channel(name).publish(event, payload, id=id, metadata=metadata, target=target)


def subscribe(
    name: str,
    fn: Callable[[ChannelEvent], object] | None = None,
    *,
    capacity: int = CAPACITY,
    drop: str = "oldest",
) -> Subscription[ChannelEvent]:
    """Subscribes to a channel, to the events from now on; see `Channel.subscribe`.

    Args:
        name: The channel's.
        fn: Called with each event; without one, the subscription gives them.
        capacity: Most events that wait, 1 to 65536.
        drop: What is lost when more wait: ``oldest`` or ``newest``.
    """
    return Channel(name).subscribe(fn, capacity=capacity, drop=drop)


def wait_for_response(
    name: str,
    id: str,  # noqa: A002  # the name in every language
    *,
    timeout: float | None = None,
) -> ChannelEvent:
    """Waits for the response to a request on a channel; one that came before is given too.

    Args:
        name: The channel's.
        id: Identity of the request.
        timeout: Longest wait in seconds; None for no limit.

    Raises:
        DeadlineError: If no response came in time.
        CancelledError: If the channel is destroyed meanwhile.
    """
    return Channel(name).wait_for_response(id, timeout=timeout)


async def await_for_response(
    name: str,
    id: str,  # noqa: A002  # the name in every language
    *,
    timeout: float | None = None,  # as `wait_for_response`
) -> ChannelEvent:
    """Is ``wait_for_response`` for async code."""
    return await Channel(name).await_for_response(id, timeout=timeout)


def _given(
    id: str | None,  # noqa: A002  # the name in every language
    metadata: Mapping[str, Any] | None,
    target: Mapping[str, Any] | None,
) -> dict[str, Any]:
    options = {
        "id": given.optional_text("id", id),
        "metadata": given.optional_mapping("metadata", metadata),
        "target": given.optional_mapping("target", target),
    }
    return {name: value for name, value in options.items() if value is not None}


def _text_or_mapping(name: str, value: Any) -> str | dict[str, Any]:  # noqa: ANN401  # given
    if isinstance(value, str):
        return given.text(name, value)
    if not isinstance(value, Mapping):
        given.refuse(name, value, "text and no mapping", "give its type or id, or all of it")
    return given.mapping(name, value)
