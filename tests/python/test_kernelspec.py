"""Installing, listing and removing the kernel spec, in prefixes of the test's own."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipykernel.kernelspec
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from aikit import _aikit, errors, kernelspec
from aikit.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = {"kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"}


def read(folder: str | Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(folder) / "kernel.json").read_text("utf-8"))
    return content


def manager(prefix: Path) -> KernelSpecManager:
    return KernelSpecManager(kernel_dirs=[str(prefix / "share" / "jupyter" / "kernels")])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own for what `--user` installs."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_the_spec_starts_this_interpreter_and_speaks_lua() -> None:
    kernel = kernelspec.get_kernel_dict()
    start = kernelspec.START_CODE
    assert kernel["argv"] == [
        sys.executable, "-c", start, "kernel", "-f", "{connection_file}",
    ]  # fmt: skip
    shipped = json.loads(_aikit.kernelspec_files()["kernel.json"])
    assert shipped["argv"] == ["python", *kernel["argv"][1:]]
    assert kernel["language"] == "lua"
    assert kernel["interrupt_mode"] == "message"
    assert kernel["kernel_protocol_version"] == "5.5"
    assert "debugger" not in kernel.get("metadata", {})
    assert kernelspec.get_kernel_name() == "aikit"


def test_a_written_spec_has_the_logos_and_the_overrides(tmp_path: Path) -> None:
    folder = kernelspec.write_kernel_spec(
        tmp_path / "spec", {"display_name": "Mine"}, ["--profile", "served"], ["-X", "utf8"]
    )
    assert {it.name for it in Path(folder).iterdir()} == FILES
    kernel = read(folder)
    assert kernel["display_name"] == "Mine"
    assert kernel["argv"][1:4] == ["-X", "utf8", "-c"]
    assert kernel["argv"][5:8] == ["kernel", "--profile", "served"]


def test_a_spec_without_a_path_is_written_to_a_new_folder() -> None:
    folder = Path(kernelspec.write_kernel_spec())
    assert folder.name == "aikit"
    assert {it.name for it in folder.iterdir()} == FILES


def test_install_list_and_uninstall_in_a_prefix(tmp_path: Path) -> None:
    folder = kernelspec.install(prefix=str(tmp_path), env={"LEVEL": "7"})
    assert Path(folder) == tmp_path / "share" / "jupyter" / "kernels" / "aikit"
    assert read(folder)["env"] == {"LEVEL": "7"}
    assert kernelspec.list_kernel_specs(manager(tmp_path)) == {"aikit": folder}
    assert kernelspec.uninstall(prefix=str(tmp_path)) == folder
    assert kernelspec.list_kernel_specs(manager(tmp_path)) == {}


def test_uninstall_for_the_user_leaves_the_one_in_a_prefix(home: Path, tmp_path: Path) -> None:
    here = kernelspec.install(prefix=str(tmp_path))
    mine = kernelspec.install(user=True)
    assert Path(mine).is_relative_to(home)
    assert main(["uninstall", "--user"]) == 0
    assert not Path(mine).exists()
    assert Path(here).exists()
    assert main(["uninstall", "--user"]) != 0


@pytest.mark.parametrize("arguments", kernelspec.OTHER_ARGUMENTS)
def test_a_spec_of_another_make_is_ours_too(tmp_path: Path, arguments: list[str]) -> None:
    argv = [sys.executable, *arguments, "-f", "{connection_file}"]
    folder = tmp_path / "share" / "jupyter" / "kernels" / "mine"
    kernelspec.write_kernel_spec(folder, {"argv": argv})
    assert kernelspec.list_kernel_specs(manager(tmp_path)) == {"mine": str(folder)}


@pytest.mark.parametrize("options", [[], ["-I"]])
def test_an_aikit_beside_the_notebook_is_not_run(tmp_path: Path, options: list[str]) -> None:
    shadow = tmp_path / "aikit"
    shadow.mkdir()
    for name in ("__init__.py", "__main__.py"):
        (shadow / name).write_text("raise SystemExit('the shadow was run')\n", encoding="utf-8")
    code, command = kernelspec.START_ARGUMENTS[1:]
    done = subprocess.run(  # noqa: S603
        [sys.executable, *options, "-c", code, command, "--help"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "--connection-file" in done.stdout or "-f" in done.stdout


STARTING = """
import sys
before = set(sys.modules)
from aikit.__main__ import main
sys.argv = ["-c", "--version"]
main()
print(sorted(set(sys.modules) - before))
"""


def test_a_starting_kernel_imports_nothing_that_it_does_not_need() -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-c", STARTING], capture_output=True, text=True, check=True
    )
    imported = ["__future__", "aikit", "aikit.__main__", "aikit._aikit"]
    assert done.stdout.splitlines()[-1] == str(imported)


def test_install_for_a_user(home: Path) -> None:
    folder = kernelspec.install(user=True, kernel_name="other")
    assert Path(folder) == home / "kernels" / "other"
    assert kernelspec.list_kernel_specs()["other"] == folder
    assert kernelspec.uninstall(kernel_name="other") == folder


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel_name": "second"},
        {"display_name": "Shown"},
        {"kernel_name": "second", "display_name": "Shown"},
        {"env": {"A": "1", "B": "2"}},
        {"profile": "served"},
        {"kernel_name": "second", "profile": "served"},
    ],
)
def test_every_option_does_what_it_does_in_ipykernel(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    ours = read(kernelspec.install(prefix=str(tmp_path / "ours"), **options))
    theirs = read(ipykernel.kernelspec.install(prefix=str(tmp_path / "theirs"), **options))
    assert ours.get("env") == theirs.get("env")
    assert ours["argv"][0] == theirs["argv"][0]
    assert ("--profile" in ours["argv"]) == ("--profile" in theirs["argv"])
    name = theirs["display_name"].replace("Python 3 (ipykernel)", "Aikit")
    assert ours["display_name"] == name.replace("Python 3", "Aikit")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a\n", "../x"])
def test_a_name_that_jupyter_does_not_take_is_refused(tmp_path: Path, name: str) -> None:
    for call in (kernelspec.install, kernelspec.uninstall):
        act: Callable[..., str] = call
        with pytest.raises(errors.InvalidArgsError, match="cannot be the name of a kernel"):
            act(kernel_name=name, prefix=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("profile", "hint"),
    [("serve", "did you mean `served`?"), ("bogus", "the profiles are `notebook`, `served`")],
)
def test_an_unknown_profile_is_refused_with_the_nearest(
    tmp_path: Path, profile: str, hint: str
) -> None:
    with pytest.raises(errors.InvalidArgsError, match=f"no profile named `{profile}`") as raised:
        kernelspec.install(prefix=str(tmp_path), profile=profile)
    assert raised.value.hint == hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("env", [{"": "1"}, {"A=B": "1"}, {"A\0": "1"}, {"A": "1\0"}])
def test_a_variable_that_no_process_takes_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidArgsError, match="cannot be an environment variable"):
        kernelspec.install(prefix=str(tmp_path), env=env)
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_written_in_lower_case_as_jupyter_does(tmp_path: Path) -> None:
    folder = kernelspec.install(prefix=str(tmp_path), kernel_name="MyOwn")
    assert Path(folder).name == "myown"
    assert read(folder)["display_name"] == "MyOwn"
    assert kernelspec.uninstall(prefix=str(tmp_path), kernel_name="MyOwn") == folder


def test_two_places_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidArgsError, match="two places"):
        kernelspec.install(user=True, prefix=str(tmp_path))


def test_what_is_not_installed_or_not_ours_is_not_removed(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFoundError, match="`aikit`"):
        kernelspec.uninstall(prefix=str(tmp_path))
    theirs = ipykernel.kernelspec.install(prefix=str(tmp_path))
    with pytest.raises(errors.InvalidArgsError, match="does not start Aikit"):
        kernelspec.uninstall(kernel_name="python3", prefix=str(tmp_path))
    assert Path(theirs).is_dir()
    assert kernelspec.list_kernel_specs(manager(tmp_path)) == {}


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number), "the place")


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (os_error(errno.EACCES), errors.DeniedError, 4),
        (os_error(errno.EPERM), errors.DeniedError, 4),
        (os_error(errno.EROFS), errors.DeniedError, 4),
        (os_error(errno.ENOSPC), errors.NoSpaceError, 11),
        (os_error(errno.EIO), errors.StorageIOError, 11),
        # `shutil.copytree` collects what fails file by file.
        (shutil.Error([("a", "the place", "[Errno 5] b")]), errors.StorageIOError, 11),
    ],
    ids=str,
)
def test_a_place_that_cannot_be_written_is_an_error_with_its_kind(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: OSError,
    kind: type[errors.AikitError],
    status: int,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(KernelSpecManager, "install_kernel_spec", fail)
    with pytest.raises(kind, match="the place") as raised:
        kernelspec.install(prefix="the place")
    assert raised.value.hint
    assert main(["install", "--prefix", "the place"]) == status
    shown = capsys.readouterr().err
    assert shown.startswith("error: the kernel spec cannot be written: ")
    assert "\nhint: " in shown


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may write everywhere")
def test_a_folder_that_cannot_be_written_says_where_else_to_install(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(errors.DeniedError, match="--user"):
        kernelspec.install(prefix=str(tmp_path / "prefix"))


def test_a_file_where_a_folder_has_to_be_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main(["install", "--prefix", str(file)]) == 11
    assert str(file) in capsys.readouterr().err
    assert main(["uninstall", "--prefix", str(file)]) == 3


def test_the_command_line_installs_lists_and_removes(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--user", "--name", "mine", "--display-name", "My own", "--env", "A", "1"]
    assert main(["install", *options, "--env", "B", "2"]) == 0
    kernel = read(home / "kernels" / "mine")
    assert (kernel["display_name"], kernel["env"]) == ("My own", {"A": "1", "B": "2"})
    capsys.readouterr()
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mine"] == str(home / "kernels" / "mine")
    assert main(["uninstall", "--name", "mine"]) == 0
    assert not (home / "kernels" / "mine").exists()


def test_sys_prefix_is_the_environment_of_this_python(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.prefix = {str(tmp_path)!r}\n"
        "from aikit.__main__ import main; sys.exit(main(['install', '--sys-prefix']))"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert str(tmp_path / "share" / "jupyter" / "kernels" / "aikit") in done.stdout


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--env", "A"], "argument --env: expected 2 arguments"),
        (["--env"], "argument --env: expected 2 arguments"),
        (["--env", "A=B", "1"], "`A=B` cannot be an environment variable"),
        (["--name", "a/b"], "`a/b` cannot be the name of a kernel"),
        (["--name"], "argument --name: expected one argument"),
        (["--nam", "x"], "unrecognized arguments: --nam x"),
        (["--profile", "serve"], "no profile named `serve`"),
        (["--user", "--sys-prefix"], "two places"),
        (["--prefix", ""], "`prefix` is empty"),
        (["--display-name", " "], "`display_name` is empty"),
        (["extra", "--nam"], "unrecognized arguments: extra --nam"),
        (["a/b"], "unrecognized arguments: a/b\nhint: see `aikit install --help`"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong_and_what_to_do(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], shown: str
) -> None:
    assert main(["install", "--user", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert shown in error
    assert "\nhint: " in error
    assert not home.exists()


@pytest.mark.parametrize(
    ("given", "does", "proposed"),
    [
        ("install mine", "install", "install --name mine"),
        ("uninstall mine", "remove", "uninstall --name mine"),
        ("install --user mine", "install", "install --user --name mine"),
        ("uninstall mine --prefix /opt", "remove", "uninstall --name mine --prefix /opt"),
        (
            "install --display-name mine mine --env A 'b c'",
            "install",
            "install --display-name mine --name mine --env A 'b c'",
        ),
        (
            "install --env mine it mine --display-name=mine",
            "install",
            "install --env mine it --name mine --display-name=mine",
        ),
        (
            "install mine --display-name 'Mine, $HOME' --sys-prefix",
            "install",
            "install --name mine --display-name 'Mine, $HOME' --sys-prefix",
        ),
    ],
)
def test_a_name_without_its_option_is_told_where_it_belongs(
    home: Path, capsys: pytest.CaptureFixture[str], given: str, does: str, proposed: str
) -> None:
    assert main(shlex.split(given)) == 2
    assert capsys.readouterr().err == (
        "error: `mine` is given without its option\n"
        f"hint: to {does} a kernel of that name: `aikit {proposed}`\n"
    )
    assert not home.exists()


@pytest.mark.parametrize(
    ("given", "others"),
    [
        ("list mine", "mine"),
        ("install --name mine extra", "extra"),
        ("install extra --name mine", "extra"),
        ("install --name=mine extra", "extra"),
        ("install --name aikit extra", "extra"),
        ("install one two", "one two"),
        ("uninstall --name mine --user extra", "extra"),
    ],
)
def test_what_is_no_name_without_its_option_is_not_taken_for_one(
    home: Path, capsys: pytest.CaptureFixture[str], given: str, others: str
) -> None:
    command, *arguments = given.split()
    assert main([command, *arguments]) == 2
    assert capsys.readouterr().err == (
        f"error: unrecognized arguments: {others}\nhint: see `aikit {command} --help`\n"
    )
    assert not home.exists()


def test_the_command_line_has_the_options_of_ipykernel(capsys: pytest.CaptureFixture[str]) -> None:
    theirs = subprocess.run(
        [sys.executable, "-m", "ipykernel", "install", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    with pytest.raises(SystemExit) as ended:
        main(["install", "--help"])
    assert ended.value.code == 0
    ours = capsys.readouterr().out
    # Of the two, only IPython has a debugger that frozen Python modules stand in the way of.
    wanted = set(re.findall(r"--[a-z_-]+", theirs)) - {"--frozen_modules"}
    assert len(wanted) > 6
    assert wanted <= set(re.findall(r"--[a-z_-]+", ours))


def test_an_error_of_the_command_line_has_its_kinds_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["uninstall", "--prefix", str(tmp_path)]) == 3
    assert "no kernel spec named `aikit`" in capsys.readouterr().err
    assert main(["install", "--name", "a b"]) == 2
