"""The command line: `python -m aikit` and the script `aikit`."""

from __future__ import annotations

import sys

from . import _aikit

# These need Jupyter's Python packages; everything else is Rust's.
PYTHON_COMMANDS = ("install", "uninstall", "list")


def main(argv: list[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Arguments without the program's name; those of the process when None.

    Returns:
        Exit status: 0 for success, else the one of the error's kind.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] not in PYTHON_COMMANDS:
        if argv is None:
            _leave_interrupts_to_rust()
        interpreter = _interpreter() if arguments[:1] == ["doctor"] else None
        return _aikit.run_command(["aikit", *arguments], interpreter)
    from . import kernelspec  # noqa: PLC0415  # the kernel itself must start fast
    from .errors import AikitError  # noqa: PLC0415  # as above

    try:
        kernelspec.main(arguments[0], arguments[1:])
    except AikitError as error:
        sys.stderr.write(f"error: {error}\n")
        statuses = {code: status for code, _, _, _, status, _, _ in _aikit.error_kinds()}
        return statuses[error.kind]
    return 0


def _interpreter() -> tuple[str, str, list[str]]:
    """The program, its version, and the folders in which Jupyter looks for kernels."""
    import platform  # noqa: PLC0415  # the kernel itself must start fast

    from jupyter_core.paths import jupyter_path  # noqa: PLC0415  # as above

    return sys.executable, platform.python_version(), jupyter_path("kernels")


def _leave_interrupts_to_rust() -> None:
    # `signal` would import `enum`, and the kernel itself must start fast.
    import _signal  # type: ignore[import-not-found]  # noqa: PLC0415  # as above

    # Python's own handler would only note a Ctrl-C until the command has ended.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
