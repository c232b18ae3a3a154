"""Charts: as Vega-Lite, which notebooks draw; as SVG; as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import _aikit


class Plot:
    """A chart; a notebook shows it, ``print`` writes it in characters.

    It keeps what it was made of, and is drawn whenever it is shown or asked for its drawing.
    """

    __slots__ = ("_native",)

    def __init__(self, native: _aikit.Plot) -> None:
        self._native = native

    def svg(self) -> str:
        """Returns the drawing, for a file."""
        return self._native.svg()

    def vega_lite(self) -> dict[str, Any]:
        """Returns the description that Vega-Lite 5 draws, data included."""
        described: dict[str, Any] = self._native.vega_lite()
        return described

    def text(self) -> str:
        """Returns the drawing in characters."""
        return self._native.text()

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        bundle: dict[str, Any] = self._native.bundle()
        return bundle

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"Plot({self._native.name!r})"


def plot(  # noqa: PLR0913  # the options of the chart, named as in Lua
    data: object,
    kind: str = "line",
    *,
    x: str | None = None,
    y: str | Sequence[str] | None = None,
    color: str | None = None,
    title: str | None = None,
    x_title: str | None = None,
    y_title: str | None = None,
    width: float | None = None,
    height: float | None = None,
    bins: int | None = None,
    stack: bool | None = None,
) -> Plot:
    """Draws a chart.

    Args:
        data: A list of mappings, of numbers or of pairs of x and y, a mapping or a data frame of
            columns, an array, or a list of rows for a heat map; at most 50,000 points, and a
            million values for a histogram. NaN, infinities, None and what is missing are gaps;
            numbers beyond 1e300 are refused.
        kind: ``line``, ``bar``, ``scatter``, ``area``, ``histogram`` or ``heatmap``.
        x: Name of the column along the horizontal axis: numbers, or texts, which stand in the
            order of the data; ``x`` when None.
        y: Name of the column with the numbers; several names draw several series. ``y`` when
            None.
        color: Name of the column that tells series apart; of a heat map, of its numbers.
        title: What stands above.
        x_title: Title of the horizontal axis; the name of the column when None.
        y_title: Title of the vertical axis; the name of the column when None.
        width: In pixels, 100 to 4000; 600 when None.
        height: In pixels, 100 to 4000; 320 when None.
        bins: How many bins a histogram has, 1 to 500; about the square root of the number of
            values, with round limits, when None.
        stack: Whether bars and areas of several series stand on one another; they do when None.

    Returns:
        The chart. As the value of a cell it is drawn; ``IPython.display.display`` with a
        ``display_id`` shows it where another one can take its place.

    Raises:
        InvalidArgsError: If an option or the data cannot be drawn, or there is no point.
        LimitExceededError: If there are too many points or series.

    Examples:
        >>> import aikit
        >>> print(aikit.plot([{"fruit": "fig", "sold": 3}, {"fruit": "kiwi", "sold": 6}], "bar",
        ...                  x="fruit", y="sold"))
         fig │████████████████████ 3
        kiwi │████████████████████████████████████████ 6
    """
    given = {
        "kind": kind,
        "x": x,
        "y": y if y is None or isinstance(y, str) else list(y),
        "color": color,
        "title": title,
        "x_title": x_title,
        "y_title": y_title,
        "width": width,
        "height": height,
        "bins": bins,
        "stack": stack,
    }
    options = {name: value for name, value in given.items() if value is not None}
    return Plot(_aikit.Plot({"data": _columns(data), **options}))


def _columns(data: Any) -> Any:  # noqa: ANN401  # any form of data
    """Returns what has columns, such as a data frame, as lists by their names."""
    if isinstance(data, Mapping):
        return {str(name): _items(column) for name, column in data.items()}
    names = getattr(data, "columns", None)
    if names is None or not hasattr(data, "__getitem__"):
        return _items(data)
    return {str(name): _items(data[name]) for name in names}


def _items(column: Any) -> Any:  # noqa: ANN401  # any form of data
    """Returns a series of a data frame as a list; the rest is read as it is."""
    for name in ("tolist", "to_list"):
        convert = getattr(column, name, None)
        if callable(convert):
            return convert()
    # Such as a range; others are looked at where they are read.
    is_other = isinstance(column, Sequence) and not isinstance(column, (str, bytes, list, tuple))
    return list(column) if is_other else column
