"""What each kernel is asked to run: the one place of the suite that knows a language."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def quoted(text: str) -> str:
    """A string literal, the same in both languages."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(it if it >= " " else f"\\x{ord(it):02x}" for it in escaped) + '"'


@dataclass(frozen=True)
class Language:
    """Cells of one language; where both agree, the default is given."""

    kernel: str
    name: str
    file_extension: str
    # Writes `TEXT`, a literal, to the standard error.
    warning: str
    # Prints the global `NAME`, and what that is where there is none.
    print_global: str
    none: str
    # A cell without an end, and one that waits for a minute.
    endless: str
    waiting: str
    # An expression without an end.
    endless_expression: str
    # Raises an error that says `on purpose`.
    error: str
    # Prints the numbers 1 to 100,000, a line each.
    lines: str
    # Prints five million times `x`.
    large: str
    # Prints `a`, something that is no Unicode, and `b`.
    not_unicode: str
    # Starts something that prints `late` once `go` is true, and goes on beside the next cells.
    background: str
    let_go: str
    # Asks for a secret with the prompt `Secret? ` and prints it.
    ask_secret: str
    # `<b>shown</b>` as HTML and `shown` as text; {"a": [1]} as JSON; the PNG of the test.
    display: str
    display_json: str
    display_png: str
    # Display `first` of the identity `one`, and its update to `second`.
    display_named: str
    update_named: str
    # Clears the output: at once, and with the next output.
    clear: str
    clear_later: str
    # Code that is not finished, and is never right.
    unfinished: str
    wrong: str = "for for"
    # Defines the function `conformance_double`.
    function: str = ""
    # Has the kernel know the target of a comm; data that opens one, data that is sent on it, and
    # what of the answer is looked at.
    comm_target: str = ""
    comm_setup: str = ""
    comm_open: dict[str, Any] = field(default_factory=dict)
    comm_message: dict[str, Any] = field(default_factory=dict)
    # Prints `running`, counts `ticks` up and runs until `stop` is true, letting others run.
    until_stop: str = ""
    stop: str = ""
    # How long the text `NAME` is.
    length_of: str = ""
    value: str = "6 * 7"
    value_shown: str = "42"
    ask: str = "print(input('Name? '))"

    def prints(self, text: str) -> str:
        """A cell that prints a line."""
        return f"print({quoted(text)})"

    def warns(self, text: str) -> str:
        """A cell that writes to the standard error."""
        return self.warning.replace("TEXT", quoted(text))

    def quote(self, text: str) -> str:
        """A literal."""
        return quoted(text)

    def length(self, name: str) -> str:
        """The length of a text."""
        return self.length_of.replace("NAME", name)

    def prints_global(self, name: str) -> str:
        """A cell that prints a global, which need not be there."""
        return self.print_global.replace("NAME", name)

    def running(self, code: str) -> str:
        """A cell that says that it began."""
        return f"{self.prints('running')}\n{code}"


PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)

LUA = Language(
    kernel="aikit",
    name="lua",
    file_extension=".lua",
    warning="io.stderr:write(TEXT)",
    print_global="print(NAME)",
    none="nil",
    endless="while true do end",
    waiting="sleep(60)",
    endless_expression="(function() while true do end end)()",
    error="error('on purpose')",
    lines="for i = 1, 100000 do print(i) end",
    large="io.write(('x'):rep(5000000))",
    not_unicode=r"print('a\xff\xfeb')",
    background=(
        "go = false\nasync(function() while not go do sleep(0.001) end print('late') end)\n"
        "print('started')"
    ),
    let_go="go = true",
    ask_secret="print(getpass('Secret? '))",  # noqa: S106
    display="display({['text/html'] = '<b>shown</b>', ['text/plain'] = 'shown'})",
    display_json="display({['application/json'] = {a = {1}}})",
    display_png=f"display({{['image/png'] = '{PNG}'}})",
    display_named="display('first', {display_id = 'one'})",
    update_named="update_display('second', {display_id = 'one'})",
    clear="clear_output()",
    clear_later="clear_output(true)",
    unfinished="function f()",
    function="function conformance_double(x) return 2 * x end",
    comm_target="aikit.channel",
    comm_setup=(
        "local channel = Channel('conformance')\nchannel:subscribe(function(event)\n"
        "  if event.type == 'request' then channel:respond(event, event.payload) end\nend)"
    ),
    comm_open={"channel": "conformance"},
    comm_message={"type": "request", "id": "one", "payload": {"a": [1, "ä😀"]}},
    until_stop=(
        "stop, ticks = false, 0\nprint('running')\n"
        "while not stop do ticks = ticks + 1 sleep(0.001) end"
    ),
    stop="stop = true",
    length_of="#NAME",
)

PYTHON = Language(
    kernel="python3",
    name="python",
    file_extension=".py",
    warning="import sys; _ = sys.stderr.write(TEXT)",
    print_global="print(globals().get('NAME'))",
    none="None",
    endless="while True: pass",
    waiting="import time\ntime.sleep(60)",
    endless_expression="all(it == 0 for it in iter(int, 1))",
    error="raise ValueError('on purpose')",
    lines="for i in range(1, 100001): print(i)",
    large="print('x' * 5000000, end='')",
    not_unicode=r"print('a\udcff\udcfeb')",
    background=(
        "import threading, time\ngo = False\ndef work():\n    while not go: time.sleep(0.001)\n"
        "    print('late')\nthreading.Thread(target=work).start()\nprint('started')"
    ),
    let_go="go = True",
    ask_secret="import getpass\nprint(getpass.getpass('Secret? '))",  # noqa: S106
    display=(
        "from IPython.display import display, clear_output, update_display\n"
        "display({'text/html': '<b>shown</b>', 'text/plain': 'shown'}, raw=True)"
    ),
    display_json=(
        "from IPython.display import display\n"
        "display({'application/json': {'a': [1]}, 'text/plain': 'x'}, raw=True)"
    ),
    display_png=(
        "from IPython.display import display\n"
        f"display({{'image/png': '{PNG}', 'text/plain': 'x'}}, raw=True)"
    ),
    display_named=(
        "from IPython.display import display, update_display\n"
        "_ = display('first', display_id='one')"
    ),
    update_named=(
        "from IPython.display import update_display\nupdate_display('second', display_id='one')"
    ),
    clear="from IPython.display import clear_output\nclear_output()",
    clear_later="from IPython.display import clear_output\nclear_output(wait=True)",
    unfinished="def f():",
    function="def conformance_double(x): return 2 * x",
    comm_target="conformance",
    comm_setup=(
        "def opened(comm, message):\n"
        "    comm.on_msg(lambda it: comm.send(it['content']['data']))\n"
        "get_ipython().kernel.comm_manager.register_target('conformance', opened)"
    ),
    comm_open={"a": 1},
    comm_message={"type": "request", "id": "one", "payload": {"a": [1, "ä😀"]}},
    until_stop=(
        "import time\nstop, ticks = False, 0\nprint('running')\n"
        "while not stop:\n    ticks += 1\n    time.sleep(0.001)"
    ),
    stop="stop = True",
    length_of="len(NAME)",
)

LANGUAGES = {it.kernel: it for it in (LUA, PYTHON)}
