"""The invariants of ARCHITECTURE.md, and for each a sample that shows it can fail."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import invariants
from invariants import ROOT, read_sources

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def sources() -> dict[str, str]:
    """The code that ships."""
    found = read_sources("rust/*/src/**/*.rs", "python/aikit/**/*.py")
    assert len(found) > 15
    return found


@pytest.fixture(scope="session")
def packages() -> list[dict[str, Any]]:
    """The crates of the workspace, as cargo sees them."""
    command = ["cargo", "metadata", "--no-deps", "--format-version=1", "--offline"]
    output = subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout  # noqa: S603
    found: list[dict[str, Any]] = json.loads(output)["packages"]
    return found


def test_arrows_point_left(packages: list[dict[str, Any]]) -> None:
    dependencies = {
        package["name"]: {it["name"] for it in package["dependencies"] if it.get("path")}
        for package in packages
    }
    assert set(invariants.LAYERS) <= set(dependencies)
    assert invariants.upward_arrows(dependencies) == []


def declared(packages: list[dict[str, Any]], kind: str | None) -> dict[str, set[str]]:
    """Folder of a crate to its dependencies of one kind; None for those that ship."""
    return {
        Path(package["manifest_path"]).parent.relative_to(ROOT).as_posix(): {
            it["name"] for it in package["dependencies"] if it["kind"] == kind
        }
        for package in packages
    }


def test_what_a_crate_declares_it_names(packages: list[dict[str, Any]]) -> None:
    shipped = read_sources("rust/*/src/**/*.rs", "benches/**/*.rs")
    everything = read_sources("rust/**/*.rs", "benches/**/*.rs")
    assert invariants.unnamed_dependencies(declared(packages, None), shipped) == []
    tests = declared(packages, "dev")
    assert invariants.unnamed_dependencies(tests, everything, tests=True) == []


def test_what_the_workspace_declares_a_crate_uses(packages: list[dict[str, Any]]) -> None:
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    table = manifest.split("[workspace.dependencies]\n")[1].split("\n[")[0]
    listed = {line.split(" = ")[0] for line in table.splitlines() if line}
    assert len(listed) > 30
    used = {it["name"] for package in packages for it in package["dependencies"]}
    assert listed - used == set()


def test_a_dependency_that_nothing_names_is_found() -> None:
    folder = "rust/aikit-core"
    text = "// uses serde_json\nfn a() {}\n#[cfg(test)]\nmod tests {\n serde_json::x\n}"
    sources = {f"{folder}/src/value.rs": text, "rust/aikit-py/src/lib.rs": "use serde_json;"}
    dependencies = {folder: {"serde-json"}}
    found = [f"{folder}/Cargo.toml: `serde-json` is named nowhere"]
    assert invariants.unnamed_dependencies(dependencies, sources) == found
    assert invariants.unnamed_dependencies(dependencies, sources, tests=True) == []


def test_an_upward_arrow_is_found() -> None:
    assert invariants.upward_arrows({"aikit-core": {"aikit-kernel"}}) == [
        "aikit-core depends on aikit-kernel"
    ]


TOOLS = invariants.TOOLS
API = "rust/aikit-runtime/src/api"
LUA = "rust/aikit-runtime/src/lua"
CORE = "rust/aikit-core/src"
ORDER = "//! ```text\n//! error  value\n//! io\n//! ```\n"
WIRE = "rust/aikit-kernel/src/wire"
HANDLERS = "rust/aikit-kernel/src/handlers"

# Rule → samples, each of which breaks it in another way.
SAMPLES: dict[Callable[[dict[str, str]], list[str]], list[dict[str, str]]] = {
    invariants.foreign_libraries: [
        {"rust/aikit-core/src/error.rs": "use mlua::Lua;"},
        {"rust/aikit-kernel/src/kernel.rs": "let s = zeromq::RouterSocket::new();"},
        {"rust/aikit-components/src/rag/ingest.rs": "use rusqlite::Connection;"},
        {"rust/aikit-components/src/vector/flat.rs": "hnsw_rs::Hnsw::new()"},
        {"rust/aikit-runtime/src/runtime.rs": "use rig_core::client;"},
        {"rust/aikit-kernel/src/boot.rs": "use clap::Parser;"},
        {"rust/aikit-cli/src/lib.rs": "use pyo3::prelude::*;"},
    ],
    invariants.environment_and_output: [
        {"rust/aikit-core/src/io.rs": 'let a = std::env::var("A");'},
        {"rust/aikit-kernel/src/kernel.rs": 'println!("idle");'},
        {"rust/aikit-runtime/src/runtime.rs": "std::io::stdout().flush()"},
        {"python/aikit/tools.py": "import os\nA = os.environ['A']\n"},
        {"python/aikit/rag.py": "print(1)\n"},
    ],
    invariants.other_runtimes: [
        {"rust/aikit-kernel/src/kernel.rs": "tokio::runtime::Runtime::new()"},
        {"rust/aikit-cli/src/main.rs": "#[tokio::main]"},
        {"rust/aikit-components/src/http/mod.rs": "tokio::spawn(async {})"},
        {"rust/aikit-py/src/lib.rs": "Builder::new_current_thread().build()"},
    ],
    invariants.files_outside_tables: [
        {f"{TOOLS}/text/mod.rs": "mod a_b;", f"{TOOLS}/text/a_b.rs": "const NAME"},
        {
            f"{TOOLS}/text/mod.rs": "&[a_b::Tool]",
            f"{TOOLS}/text/a_b.rs": 'const NAME: &\'static str = "b_a";',
        },
        {
            f"{TOOLS}/text/mod.rs": "&[Words_::Words]",
            f"{TOOLS}/text/Words_.rs": 'const NAME: &\'static str = "Words_";',
        },
        {f"{API}/mod.rs": "pub const MODULES: &[Row] = &[rag::MODULE];", f"{API}/tool.rs": ""},
    ],
    invariants.behaviour_in_wire: [
        {f"{WIRE}/execute.rs": "pub async fn run() {}"},
        {f"{WIRE}/header.rs": "use crate::socket::Shell;"},
        {f"{HANDLERS}/execute.rs": 'let a = json!({"status": "ok"});'},
    ],
    invariants.engines_that_name_modules: [
        {f"{API}/tool.rs": "", f"{LUA}/bind.rs": "use crate::api::tool;"},
        {f"{LUA}/engine.rs": "use aikit_components::tools;"},
    ],
    invariants.checks_in_tools: [
        {f"{TOOLS}/file/mod.rs": "", f"{TOOLS}/file/read_file.rs": "std::fs::read(path)"},
        {f"{TOOLS}/file/mod.rs": "", f"{TOOLS}/file/read_file.rs": "cx.deadline()"},
        {f"{TOOLS}/web/mod.rs": "", f"{TOOLS}/web/request_http.rs": "use crate::security::Policy;"},
    ],
    invariants.core_order: [
        {f"{CORE}/lib.rs": ORDER, f"{CORE}/value.rs": "use crate::io::spawn;"},
        {f"{CORE}/lib.rs": ORDER, f"{CORE}/value/json.rs": "use crate::{Error, io::{a, b}};"},
        {f"{CORE}/lib.rs": ORDER, f"{CORE}/value.rs": "use crate::{io, Error};"},
        {f"{CORE}/lib.rs": ORDER + "pub mod graph;\n"},
    ],
    invariants.opening_and_size: [
        {"rust/aikit-core/src/io.rs": "use std::io;\n"},
        {"python/aikit/tools.py": "import os\n"},
        {"examples/lua/a.lua": "local a = 1\n"},
        {"rust/aikit-core/src/long.rs": "//! Long.\n" * 801},
    ],
    invariants.network_in_tests: [
        {"tests/python/test_a.py": 'get("https://pypi.org/simple")'},
        {"rust/aikit-core/tests/a.rs": 'env::var("OPENAI_API_KEY")'},
    ],
}
SHIPPED_RULES = [
    invariants.foreign_libraries,
    invariants.environment_and_output,
    invariants.other_runtimes,
    invariants.files_outside_tables,
    invariants.behaviour_in_wire,
    invariants.engines_that_name_modules,
    invariants.checks_in_tools,
    invariants.core_order,
]


@pytest.mark.parametrize("rule", SHIPPED_RULES, ids=lambda it: it.__name__)
def test_the_invariant_holds(
    rule: Callable[[dict[str, str]], list[str]], sources: dict[str, str]
) -> None:
    assert rule(sources) == []


@pytest.mark.parametrize(
    ("rule", "sample"),
    [(rule, sample) for rule, samples in SAMPLES.items() for sample in samples],
    ids=lambda it: getattr(it, "__name__", None) or next(iter(it)),
)
def test_a_violation_is_found(
    rule: Callable[[dict[str, str]], list[str]], sample: dict[str, str]
) -> None:
    assert rule(sample) != []


def test_comments_and_tests_are_no_violation() -> None:
    text = "//! Uses mlua::Lua.\n// zeromq::x\nfn a() {}\n#[cfg(test)]\nmod tests {\n mlua::Lua\n}"
    assert invariants.foreign_libraries({"rust/aikit-core/src/error.rs": text}) == []


def test_every_file_opens_with_what_it_is_and_fits() -> None:
    files = read_sources(
        "rust/**/*.rs",
        "benches/**/*.rs",
        "python/**/*.py",
        "tests/**/*.py",
        "tests/**/*.lua",
        "benches/**/*.py",
        "examples/**/*.py",
        "examples/**/*.lua",
    )
    assert invariants.opening_and_size(files) == []


def test_tests_need_no_network_and_no_key() -> None:
    files = read_sources(
        "tests/**/*.py", "tests/**/*.lua", "tests/**/*.json", "rust/*/tests/**/*.rs"
    )
    del files["tests/python/test_architecture.py"]  # holds the samples
    assert invariants.network_in_tests(files) == []


def test_generated_files_are_checked_by_ci() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    ci = next(it for it in makefile.splitlines() if it.startswith("ci:"))
    assert "check-generated" in ci
    assert "git diff --exit-code -- python docs" in makefile


def test_no_build_needs_cmake_or_openssl() -> None:
    lock_file = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    assert lock_file.count("[[package]]") > 100
    assert invariants.unwanted_crates(lock_file) == []


def test_an_unwanted_crate_is_found() -> None:
    assert invariants.unwanted_crates('[[package]]\nname = "openssl-sys"\n') == ["openssl-sys"]


def test_every_job_of_ci_is_a_target() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert workflow.count("- run: make ") > 5
    assert invariants.jobs_that_are_no_target(workflow, makefile) == []


def test_a_job_that_is_no_target_is_found() -> None:
    workflow = """
jobs:
  lint:
    steps:
      - run: make lint typo
  other:
    steps:
      - run: cargo test
  required:
    needs: [other]
"""
    assert invariants.jobs_that_are_no_target(workflow, "lint:  ## checks\n") == [
        "lint: `make typo` is no target",
        "other: runs no target",
        "lint: is not required",
    ]


def test_leaving_the_machine_fails_a_test() -> None:
    with socket.socket() as outside, pytest.raises(pytest.fail.Exception, match="loopback"):
        outside.connect(("192.0.2.1", 80))  # an address reserved for documentation
