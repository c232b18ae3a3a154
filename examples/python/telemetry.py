"""Spans of an agent run, measurements and log records with the fields of their call.

    python examples/python/telemetry.py

Records with a provider of its own; `aikit.telemetry.OtlpProvider("http://127.0.0.1:4318")` in its
place sends the same to a receiver of OpenTelemetry.
"""

from __future__ import annotations

import logging
import sys

import aikit
from aikit import telemetry
from aikit.testing import RecordingTelemetry, ScriptedModel


@aikit.tool
def count_words(text: str) -> int:
    """Counts the words of a text.

    Args:
        text: What to count in.
    """
    telemetry.counter("words.counted").add(len(text.split()))
    return len(text.split())


def show(recorder: RecordingTelemetry, parent: str | None = None, depth: int = 0) -> None:
    """Prints the spans below a parent."""
    for span in recorder.spans:
        if span.parent_span_id == parent:
            used = span.attributes.get("gen_ai.usage.output_tokens", "-")
            print("  " * depth + span.name, f"output tokens: {used}")
            show(recorder, span.span_id, depth + 1)


def main() -> None:
    """Runs an agent and shows what was recorded."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(levelname)s %(procedure)s: %(message)s"))
    logging.getLogger("aikit").addHandler(handler)
    logging.getLogger("aikit").setLevel(logging.INFO)
    recorder = RecordingTelemetry()
    telemetry.set_provider(recorder)
    call = {"name": "count_words", "arguments": {"text": "to be or not to be"}}
    model = ScriptedModel([{"tool_calls": [call]}, "There are six words."])
    agent = aikit.Agent(model, name="counter", tools=[count_words])
    print(agent.run("How many words?").output)
    show(recorder)
    print(recorder.measured[-1] if recorder.measured else "nothing was measured")
    telemetry.reset_provider()


if __name__ == "__main__":
    main()
