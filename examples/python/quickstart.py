"""The quickstart notebook in Python: retrieval, tools, a model call and an agent.

    python examples/python/quickstart.py [FOLDER]

The folder holds Markdown, reStructuredText or text files; without one, the documents of the
quickstart are put into `documents` below the working directory. The model is scripted unless
`AIKIT_MODEL` names one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aikit
from aikit.testing import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

QUESTION = "How do I delete a directory tree with all the files in it?"


def model_or(answers: Sequence[str | Mapping[str, object]]) -> aikit.Model:
    """The model that AIKIT_MODEL names, or one that answers from a list.

    Args:
        answers: Texts and tool calls.

    Returns:
        A model.
    """
    return aikit.Model() if os.environ.get("AIKIT_MODEL") else ScriptedModel(answers)


@aikit.tool
def count_vowels(text: str) -> dict[str, int]:
    """Counts the vowels of a text.

    Args:
        text: Text to count.
    """
    return {"vowels": sum(text.lower().count(it) for it in "aeiou")}


def main() -> None:
    """Runs every part and prints its answer."""
    index = aikit.RAG("quickstart", embedder="lexical")
    print(index.ingest(sys.argv[1] if len(sys.argv) > 1 else prepare_documents()))
    for hit in index.search(QUESTION, k=3):
        print(f"{hit.score:.3f} {hit.source}")

    print(aikit.tools.calculate(expression="2^10 bytes to bits"))
    print(aikit.tools.count_words(text="one wheel, three faces"))
    print(count_vowels("retrieval"))

    model = model_or(["Streams come word by word."])
    for event in model.stream("Say one sentence about streams."):
        if event.kind == "text":
            print(event.text, end="")
    print()

    agent = aikit.Agent(
        model_or(
            [
                {"tool_calls": [{"name": "calculate", "arguments": {"expression": "6 * 7"}}]},
                {"tool_calls": [{"name": "search_documents", "arguments": {"query": QUESTION}}]},
                "6 * 7 is 42, and shutil.rmtree deletes a directory tree.",
            ]
        ),
        instructions="Use the tools; answer in one sentence.",
        tools=["calculate", index.as_tool(), count_vowels],
        limits=aikit.Limits(requests=5, tool_calls=5),
    )
    run = agent.run(f"What is 6 * 7 ? And: {QUESTION}")
    print(run.output)
    print(f"{run.usage.requests} requests, {sum(len(it.tool_calls) for it in run.steps)} calls")


def prepare_documents() -> str:
    """Puts the documents of the quickstart below the working directory.

    Returns:
        Their folder.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from documents import prepare  # noqa: PLC0415 - it stands beside this folder

    return str(prepare(Path("documents").resolve()).folder.name)


if __name__ == "__main__":
    main()
