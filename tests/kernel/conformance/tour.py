"""A tour of the protocol: one exchange of each kind, for the rules that hold for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.conformance.client import Client, Exchange
    from kernel.conformance.languages import Language

Asked = tuple[str, str, dict[str, Any]]


def requests(language: Language) -> dict[str, Asked]:
    """Channel, kind and content of a request, by what it is."""
    cell = {"silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}

    def runs(code: str, **options: Any) -> Asked:  # noqa: ANN401
        return (
            "shell",
            "execute_request",
            {**cell, "stop_on_error": False, "code": code} | options,
        )

    history = {"hist_access_type": "tail", "n": 3, "raw": True, "output": False}
    at = {"code": "print", "cursor_pos": 3}
    outputs = f"{language.prints('a')}\n{language.warns('b')}\n{language.display}"
    return {
        "a cell with outputs": runs(outputs),
        "a cell with a value": runs(language.value),
        "a cell with an error": runs(language.error),
        "a cell with a syntax error": runs(language.wrong),
        "an empty cell": runs(""),
        "a silent cell": runs(language.prints("a"), silent=True),
        "a cell with expressions": runs("", user_expressions={"a": language.value, "b": "("}),
        "complete": ("shell", "complete_request", at),
        "inspect": ("shell", "inspect_request", {**at, "detail_level": 0}),
        "is_complete": ("shell", "is_complete_request", {"code": "1 + 1"}),
        "history": ("shell", "history_request", history),
        "comm_info": ("shell", "comm_info_request", {}),
        "kernel_info": ("shell", "kernel_info_request", {}),
        "kernel_info on control": ("control", "kernel_info_request", {}),
        "interrupt": ("control", "interrupt_request", {}),
    }


NAMES = [
    "a cell with outputs",
    "a cell with a value",
    "a cell with an error",
    "a cell with a syntax error",
    "an empty cell",
    "a silent cell",
    "a cell with expressions",
    "complete",
    "inspect",
    "is_complete",
    "history",
    "comm_info",
    "kernel_info",
    "kernel_info on control",
    "interrupt",
]


def exchange(client: Client, language: Language, name: str) -> Exchange:
    channel, kind, content = requests(language)[name]
    return client.ask(kind, content, channel=channel)


def whole(client: Client, language: Language) -> list[Exchange]:
    return [exchange(client, language, name) for name in NAMES]
