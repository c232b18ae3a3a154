"""The kernel spec: installs, lists and removes the Aikit kernel in Jupyter.

`pip install` places a kernel spec by itself; these functions make others: for one user, with
another name, environment or profile. The options are those of ipykernel.
"""

from __future__ import annotations

import argparse
import errno
import json
import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import _aikit
from .errors import (
    AikitError,
    DeniedError,
    InvalidArgsError,
    NoSpaceError,
    NotFoundError,
    StorageIOError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jupyter_client.kernelspec import KernelSpecManager

KERNEL_NAME = "aikit"
DISPLAY_NAME = "Aikit"
# What Jupyter takes as the name of a folder of a kernel spec.
NAME_PATTERN = re.compile(r"[A-Za-z0-9._-]+")
# What starts the kernel, behind the interpreter. Not `-m aikit`: for that, Python imports `runpy`
# and much else, and a client that tries to connect in the meantime waits for its second attempt.
# Python would look first in the folder of the notebook, which may hold an `aikit` of its own.
START_CODE = (
    "import sys; '' in sys.path[:1] and sys.path.pop(0); "
    "from aikit.__main__ import main; raise SystemExit(main())"
)
START_ARGUMENTS = ["-c", START_CODE, "kernel"]
# What else starts Aikit: specs that users wrote or that older versions installed.
OTHER_ARGUMENTS = (
    ["-m", "aikit", "kernel"],
    ["-c", "from aikit.__main__ import main; raise SystemExit(main())", "kernel"],
)
INSTALL_HINT = (
    "name another place with `--prefix`, or install with `--user`, or with `--sys-prefix` inside "
    "a virtual environment"
)


def get_kernel_name() -> str:
    """Returns the name under which the kernel is installed unless another is given."""
    return KERNEL_NAME


def get_kernel_dict(
    extra_arguments: Sequence[str] | None = None,
    python_arguments: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Returns the content of ``kernel.json``, with the full path of this interpreter.

    Args:
        extra_arguments: Added to the kernel's command line.
        python_arguments: Given to the interpreter before all others.
    """
    kernel: dict[str, Any] = json.loads(_aikit.kernelspec_files()["kernel.json"])
    kernel["argv"] = [
        sys.executable,
        *(python_arguments or ()),
        *START_ARGUMENTS,
        *(extra_arguments or ()),
        "-f",
        "{connection_file}",
    ]
    return kernel


def write_kernel_spec(
    path: Path | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    extra_arguments: Sequence[str] | None = None,
    python_arguments: Sequence[str] | None = None,
) -> str:
    """Writes the folder of a kernel spec: ``kernel.json`` and the logos.

    Args:
        path: The folder; it must not exist. None for a new temporary one.
        overrides: Entries of ``kernel.json`` that replace the usual ones.
        extra_arguments: Added to the kernel's command line.
        python_arguments: Given to the interpreter before all others.

    Returns:
        The folder.
    """
    if path is None:
        path = Path(tempfile.mkdtemp(suffix="_kernels")) / KERNEL_NAME
    folder = Path(path)
    folder.mkdir(parents=True)
    for name, content in _aikit.kernelspec_files().items():
        (folder / name).write_bytes(content)
    kernel = {**get_kernel_dict(extra_arguments, python_arguments), **(overrides or {})}
    text = json.dumps(kernel, indent=2, ensure_ascii=False) + "\n"
    (folder / "kernel.json").write_text(text, encoding="utf-8")
    return str(folder)


def install(  # noqa: PLR0913  # the options of ipykernel
    kernel_spec_manager: KernelSpecManager | None = None,
    *,
    user: bool = False,
    kernel_name: str = KERNEL_NAME,
    display_name: str | None = None,
    prefix: str | None = None,
    profile: str | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Installs the kernel spec.

    Args:
        kernel_spec_manager: Where to install; Jupyter's own when None.
        user: Whether to install for this user only, and not for the whole system.
        kernel_name: Name of the kernel spec; another one for each environment. Jupyter writes it
            in lower case.
        display_name: Name shown in a launcher; ``kernel_name`` if that is given, else "Aikit".
        prefix: Where to install instead, such as ``sys.prefix``.
        profile: Rules that the tools of cells obey: "notebook" (the usual ones) or "served".
        env: Environment variables of the kernel.

    Returns:
        The folder of the installed kernel spec.

    Raises:
        InvalidArgsError: If ``kernel_name`` cannot be the name of a kernel, ``profile`` is not
            known, ``display_name`` or ``prefix`` is empty, ``env`` cannot be an environment, or
            both ``user`` and ``prefix`` are given.
        DeniedError: If the folder may not be written.
        NoSpaceError: If the disk is full.
        StorageIOError: If the folder cannot be written for another reason.
    """
    _check_name(kernel_name)
    if profile is not None:
        _aikit.check_profile(profile)
    for name, value in (env or {}).items():
        _check_variable(name, value)
    _check_place(user, prefix)
    if display_name is not None and not display_name.strip():
        raise InvalidArgsError(
            "`display_name` is empty", hint="name what people choose, or leave it out"
        )
    overrides: dict[str, Any] = {}
    if display_name is None and kernel_name != KERNEL_NAME:
        display_name = kernel_name
    if display_name is None and profile:
        display_name = f"{DISPLAY_NAME} [profile={profile}]"
    if display_name:
        overrides["display_name"] = display_name
    if env:
        overrides["env"] = dict(env)
    arguments = ["--profile", profile] if profile else None
    try:
        with tempfile.TemporaryDirectory(suffix="_kernels") as temporary:
            folder = write_kernel_spec(Path(temporary) / KERNEL_NAME, overrides, arguments)
            installed: str = _manager(kernel_spec_manager).install_kernel_spec(
                folder, kernel_name=kernel_name, user=user, prefix=prefix
            )
    except OSError as error:
        raise _io_error("written", error, INSTALL_HINT) from error
    return installed


def uninstall(
    kernel_spec_manager: KernelSpecManager | None = None,
    *,
    kernel_name: str = KERNEL_NAME,
    user: bool = False,
    prefix: str | None = None,
) -> str:
    """Removes the kernel spec.

    Args:
        kernel_spec_manager: Where to look; Jupyter's own when None.
        kernel_name: Name of the kernel spec.
        user: Whether it was installed for this user.
        prefix: Where it was installed; without ``user`` and ``prefix`` it is the place where
            Jupyter finds it first.

    Returns:
        The folder that was removed.

    Raises:
        NotFoundError: If there is no such kernel spec.
        InvalidArgsError: If it starts another kernel than Aikit, ``prefix`` is empty, or both
            ``user`` and ``prefix`` are given.
        DeniedError: If the folder may not be removed.
        StorageIOError: If the folder cannot be removed for another reason.
    """
    _check_name(kernel_name)
    _check_place(user, prefix)
    kernel_name = kernel_name.lower()  # as Jupyter writes it
    folder: Path | None
    if user:
        folder = Path(_manager(kernel_spec_manager).user_kernel_dir) / kernel_name
    elif prefix is None:
        found = _manager(kernel_spec_manager).find_kernel_specs()
        folder = Path(found[kernel_name]) if kernel_name in found else None
    else:
        folder = Path(prefix) / "share" / "jupyter" / "kernels" / kernel_name
    if folder is None or not folder.is_dir():
        raise NotFoundError(
            f"no kernel spec named `{kernel_name}`", hint="see `python -m aikit list`"
        )
    if not _is_ours(folder):
        raise InvalidArgsError(
            f"the kernel spec `{kernel_name}` in {folder} does not start Aikit",
            hint="remove it with `jupyter kernelspec remove`",
        )
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise _io_error("removed", error, "remove it as the user who installed it") from error
    return str(folder)


def list_kernel_specs(
    kernel_spec_manager: KernelSpecManager | None = None,
) -> dict[str, str]:
    """Returns the kernel specs that start Aikit: their folders by their names."""
    found = _manager(kernel_spec_manager).find_kernel_specs()
    return {name: folder for name, folder in sorted(found.items()) if _is_ours(Path(folder))}


def _manager(given: KernelSpecManager | None) -> KernelSpecManager:
    if given is not None:
        return given
    from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415  # slow to import

    return KernelSpecManager()


def _check_place(user: bool, prefix: str | None) -> None:  # noqa: FBT001  # two that go together
    if user and prefix:
        raise InvalidArgsError("`user` and `prefix` name two places", hint="give one of them")
    # As of a variable that is not set; Jupyter would take it for the place of all users.
    if prefix is not None and not prefix.strip():
        raise InvalidArgsError("`prefix` is empty", hint="name a folder, such as `sys.prefix`")


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidArgsError(
            f"`{name}` cannot be the name of a kernel",
            hint="use letters, digits, `.`, `_` and `-`",
        )


def _check_variable(name: str, value: str) -> None:
    # What the operating system takes; Jupyter would find out when it starts the kernel.
    if not name or "=" in name or "\0" in name + value:
        raise InvalidArgsError(
            f"`{name}` cannot be an environment variable" + (": a NUL" * ("\0" in name + value)),
            hint="give the name and the value apart, as in `--env NAME VALUE`",
        )


def _io_error(done: str, error: OSError, hint: str) -> AikitError:
    if isinstance(error, shutil.Error):
        # It collected what failed file by file; the first one says why.
        _, place, reason = error.args[0][0]
        return StorageIOError(f"the kernel spec cannot be {done}: {place}: {reason}", hint=hint)
    message = f"the kernel spec cannot be {done}: {error}"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return DeniedError(message, hint=hint)
    if error.errno == errno.ENOSPC:
        return NoSpaceError(message, hint="make room, or choose another place")
    return StorageIOError(message, hint=hint)


def _is_ours(folder: Path) -> bool:
    try:
        kernel = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
        argv = kernel["argv"]
    except (OSError, ValueError, KeyError, TypeError):
        return False  # what cannot be read is not ours to list or remove
    starts = [argv[at : at + len(START_ARGUMENTS)] for at in range(len(argv))]
    return any(arguments in starts for arguments in (START_ARGUMENTS, *OTHER_ARGUMENTS))


# Command line ------------------------------------------------------------------------------------


def main(command: str, arguments: Sequence[str]) -> None:
    """Runs ``install``, ``uninstall`` or ``list`` of the command line.

    Args:
        command: Which of them.
        arguments: What follows it.
    """
    parser = _PARSERS[command](f"aikit {command}")
    options, others = parser.parse_known_args(arguments)
    if others:
        _refuse_others(command, parser, arguments)
    if command == "install":
        env = dict(options.env) if options.env else None
        folder = install(
            user=options.user,
            kernel_name=options.name,
            display_name=options.display_name,
            prefix=options.prefix,
            profile=options.profile,
            env=env,
        )
        sys.stdout.write(f"Installed kernelspec {options.name} in {folder}\n")
    elif command == "uninstall":
        folder = uninstall(kernel_name=options.name, user=options.user, prefix=options.prefix)
        sys.stdout.write(f"Removed kernelspec {options.name} from {folder}\n")
    else:
        specs = list_kernel_specs()
        if options.json:
            sys.stdout.write(json.dumps(specs, indent=2) + "\n")
        else:
            width = max(map(len, specs), default=0)
            lines = [f"{name:{width}}  {folder}\n" for name, folder in specs.items()]
            sys.stdout.write("".join(lines) or "no kernel spec starts Aikit\n")


def _refuse_others(
    command: str, parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> NoReturn:
    """Says of what no option takes where it may belong: people write names as `pip` takes them."""
    parser.set_defaults(name=None)  # to tell the usual name from none
    options, others = parser.parse_known_args(arguments)
    done = {"install": "install", "uninstall": "remove"}.get(command)
    name = others[0]
    is_name = len(others) == 1 and NAME_PATTERN.fullmatch(name) and not name.startswith("-")
    if done and is_name and options.name is None:
        at = _place_of(name, parser, arguments)
        proposed = ["aikit", command, *arguments[:at], "--name", *arguments[at:]]
        raise InvalidArgsError(
            f"`{name}` is given without its option",
            hint=f"to {done} a kernel of that name: `{shlex.join(proposed)}`",
        )
    raise InvalidArgsError(
        "unrecognized arguments: " + " ".join(others), hint=f"see `aikit {command} --help`"
    )


def _place_of(other: str, parser: argparse.ArgumentParser, arguments: Sequence[str]) -> int:
    """Where the only argument stands that no option takes; values of options may read the same."""
    places = (at for at, it in enumerate(arguments) if it == other)
    mark = ""
    return next(
        at
        for at in places
        if parser.parse_known_args([*arguments[:at], mark, *arguments[at + 1 :]])[1] == [mark]
    )


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as the other commands do."""

    def __init__(self, prog: str, description: str) -> None:
        # A cut option would mean another one when an option is added.
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise InvalidArgsError(message, hint=f"see `{self.prog} --help`")


def _install_parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(prog, "Installs the Aikit kernel in Jupyter.")
    parser.add_argument(
        "--user", action="store_true", help="for this user, not for the whole system"
    )
    _add_place(parser)
    parser.add_argument("--display-name", help="name shown in a launcher")
    parser.add_argument(
        "--profile",
        help="rules that the tools of cells obey: `notebook` (the usual ones), or `served`: only "
        "hosts on the allow list, and no file that may hold keys for agents; neither separates "
        "the users of one process",
    )
    parser.add_argument(
        "--env",
        action="append",
        nargs=2,
        metavar=("NAME", "VALUE"),
        help="an environment variable of the kernel; may be given several times",
    )
    return parser


def _uninstall_parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(prog, "Removes the Aikit kernel from Jupyter.")
    parser.add_argument("--user", action="store_true", help="the one installed for this user")
    _add_place(parser)
    return parser


def _list_parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(prog, "Lists the kernel specs that start Aikit.")
    parser.add_argument("--json", action="store_true", help="as JSON: folders by names")
    return parser


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name", default=KERNEL_NAME, help=f"name of the kernel spec (default: {KERNEL_NAME})"
    )
    parser.add_argument("--prefix", help="another place, such as a virtual environment")
    parser.add_argument(
        "--sys-prefix",
        action="store_const",
        const=sys.prefix,
        dest="prefix",
        help="the place of this Python: --prefix " + sys.prefix.replace("%", "%%"),
    )


_PARSERS = {"install": _install_parser, "uninstall": _uninstall_parser, "list": _list_parser}
