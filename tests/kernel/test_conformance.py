"""The public suite `jupyter_kernel_test`, for what the kernel has: all but a pager.

A pager is a payload of the reply, which the protocol deprecates; what `name?` shows is printed, so
that every front end shows it.
"""

from __future__ import annotations

from typing import ClassVar

import jupyter_kernel_test


class TestAikit(jupyter_kernel_test.KernelTests):  # type: ignore[misc]  # without types
    kernel_name = "aikit"
    language_name = "lua"
    file_extension = ".lua"

    code_hello_world = "print('hello, world')"
    code_stderr = "io.stderr:write('test')"
    code_generate_error = "error('raised')"

    completion_samples: ClassVar = [
        {"text": "coroutine.yi", "matches": {"yield"}},
        {"text": "Tool.count_w", "matches": {"count_words"}},
        {"text": "local total = math.flo", "matches": {"floor"}},
    ]

    complete_code_samples: ClassVar = ["1", "print('hello')", "function f()\n  return 1\nend"]
    incomplete_code_samples: ClassVar = ["function f()", "for i = 1, 2 do", "x = {", "s = [["]
    invalid_code_samples: ClassVar = ["for for", "x = = 1", "end"]

    code_execute_result: ClassVar = [
        {"code": "1 + 2", "result": "3"},
        {"code": "10 // 3", "result": "3"},
        {"code": "1 + 2 + 3", "result": "6"},
    ]
    code_display_data: ClassVar = [
        {"code": "display({['text/html'] = '<b>x</b>'})", "mime": "text/html"},
        {"code": "display({['image/svg+xml'] = '<svg/>'})", "mime": "image/svg+xml"},
        {"code": "display('shown')", "mime": "text/plain"},
    ]

    code_clear_output = "clear_output()"

    supported_history_operations = ("tail", "range", "search")
    code_history_pattern = "1?+?2"
    code_inspect_sample = "print"
