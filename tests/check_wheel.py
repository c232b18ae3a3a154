"""Installs a wheel into an empty prefix and uses it there: package, command, kernel.

python tests/check_wheel.py FOLDER     # the folder holds one wheel
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from zipfile import ZipFile

KERNEL = Path("share/jupyter/kernels/aikit")
KERNEL_FILES = {"kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"}
USE_KERNEL = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="aikit")
try:
    reply = client.execute_interactive("6 * 7", timeout=60, output_hook=lambda message: print(
        message["content"].get("data", {}).get("text/plain", ""), end=""))
    assert reply["content"]["status"] == "ok", reply["content"]
finally:
    client.stop_channels()
    manager.shutdown_kernel()
"""


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(  # noqa: S603
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def check_names(wheel: Path) -> None:
    """Looks at what is in the wheel."""
    names = ZipFile(wheel).namelist()
    extensions = [it for it in names if it.endswith((".so", ".pyd"))]
    if len(extensions) != 1 or "aikit/py.typed" not in names or "aikit/_aikit.pyi" not in names:
        raise SystemExit(f"{wheel.name} needs one extension, py.typed and _aikit.pyi: {names}")


def check(wheel: Path, prefix: Path) -> None:
    """Installs and uses a wheel.

    Args:
        wheel: The file.
        prefix: An empty folder to install to.
    """
    check_names(wheel)
    environment = dict(os.environ)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed"]
    run([*pip, "--prefix", str(prefix), str(wheel)], environment, prefix)
    variables = {"base": str(prefix), "platbase": str(prefix)}
    environment["PYTHONPATH"] = sysconfig.get_path("platlib", "posix_prefix", variables)
    environment["JUPYTER_PATH"] = str(prefix / "share" / "jupyter")

    found = {it.name for it in (prefix / KERNEL).iterdir()}
    if found != KERNEL_FILES:
        raise SystemExit(f"the kernel spec of the wheel has {sorted(found)}")
    specification = json.loads((prefix / KERNEL / "kernel.json").read_text(encoding="utf-8"))
    if specification["argv"][0] != "python" or "debugger" in specification.get("metadata", {}):
        raise SystemExit(f"unexpected kernel.json: {specification}")
    place = run([sys.executable, "-c", "import aikit; print(aikit.__file__)"], environment, prefix)
    if not place.startswith(str(prefix)):
        raise SystemExit(f"`import aikit` found {place}, not the wheel")
    tools = run([str(prefix / "bin" / "aikit"), "tool", "list"], environment, prefix)
    if "count_words" not in tools:
        raise SystemExit(f"`aikit tool list` printed {tools}")
    answer = run([sys.executable, "-c", USE_KERNEL], environment, prefix)
    if answer != "42":
        raise SystemExit(f"a cell with `6 * 7` showed `{answer}`")


def main() -> None:
    """Checks the one wheel of a folder."""
    (wheel,) = Path(sys.argv[1]).glob("*.whl")
    with tempfile.TemporaryDirectory() as prefix:
        check(wheel, Path(prefix))
    size = wheel.stat().st_size / 2**20
    print(f"{wheel.name}: {size:.1f} MiB, package, command and kernel work")


if __name__ == "__main__":
    main()
