"""The invariants of ARCHITECTURE.md as functions: sources in, violations out.

Each takes a mapping from path (from the root, with `/`) to text, so that it runs over the
repository and over a sample that breaks it. A violation is one line that starts with the path.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Sources = Mapping[str, str]

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 800

LAYERS = (
    "aikit-core",
    "aikit-components",
    "aikit-runtime",
    "aikit-kernel",
    "aikit-cli",
    "aikit-py",
)
COMPONENTS = "rust/aikit-components/src"

# Outside library → the folders or files that may name it.
OWNERS: dict[str, tuple[str, ...]] = {
    "candle_core": (f"{COMPONENTS}/rag/local_model/",),
    "candle_nn": (f"{COMPONENTS}/rag/local_model/",),
    "candle_transformers": (f"{COMPONENTS}/rag/local_model/",),
    "clap": ("rust/aikit-cli/src/",),
    "hnsw_rs": (f"{COMPONENTS}/vector/graph/hnsw_rs.rs",),
    "mlua": ("rust/aikit-runtime/src/lua/",),
    "nu_ansi_term": ("rust/aikit-cli/src/editor.rs",),
    "numpy": ("rust/aikit-py/src/",),
    "prost": (f"{COMPONENTS}/telemetry/",),
    "pyo3": ("rust/aikit-py/src/",),
    "pyo3_async_runtimes": ("rust/aikit-py/src/",),
    "reedline": ("rust/aikit-cli/src/editor.rs",),
    "reqwest": (f"{COMPONENTS}/http/", f"{COMPONENTS}/models/"),
    "rayon": (f"{COMPONENTS}/rag/local_model/",),
    "rig_core": (f"{COMPONENTS}/models/",),
    "rig_reqwest": (f"{COMPONENTS}/models/",),
    "rusqlite": (f"{COMPONENTS}/storage/",),
    "tantivy": (f"{COMPONENTS}/rag/keyword/index.rs",),
    "tokenizers": (f"{COMPONENTS}/rag/local_model/",),
    "zeromq": ("rust/aikit-kernel/src/socket/",),
}

# Variation folder → its table, and the files in it that are no variation.
TABLES: dict[str, tuple[str, frozenset[str]]] = {
    f"{COMPONENTS}/hooks": ("BUILT_INS", frozenset({"selection"})),
    f"{COMPONENTS}/models/providers": ("PROVIDERS", frozenset()),
    f"{COMPONENTS}/plot/kinds": ("KINDS", frozenset()),
    f"{COMPONENTS}/rag/chunking": ("CHUNKERS", frozenset({"blocks"})),
    f"{COMPONENTS}/rag/embedders": ("EMBEDDERS", frozenset()),
    f"{COMPONENTS}/rag/loaders": ("LOADERS", frozenset()),
    f"{COMPONENTS}/storage": ("BACKENDS", frozenset({"record"})),
    f"{COMPONENTS}/vector": ("INDEXES", frozenset({"distance", "rows"})),
    "rust/aikit-runtime/src/api": (
        "MODULES",
        # `channel_session` and `graph` are classes whose objects the modules hand out.
        frozenset({"args", "channel_session", "graph", "host", "params", "pipe", "session"}),
    ),
}
TOOLS = f"{COMPONENTS}/tools"


def read_sources(*patterns: str) -> dict[str, str]:
    """Reads the files of the repository.

    Args:
        patterns: Glob patterns from the root.

    Returns:
        Path to text; empty folders and build output are left out.
    """
    paths = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in paths
        if path.is_file() and not {"target", ".venv"} & set(path.relative_to(ROOT).parts)
    }


def rust_code(text: str) -> str:
    """Removes comments and the tests at the end of a Rust file, keeps the line numbers.

    Args:
        text: A Rust source file whose test module, if any, comes last.

    Returns:
        The code that ships.
    """
    text = re.split(r"^#\[cfg\(test\)\]\nmod ", text, maxsplit=1, flags=re.MULTILINE)[0]
    text = re.sub(r"/\*.*?\*/", lambda it: "\n" * it.group().count("\n"), text, flags=re.DOTALL)
    return re.sub(r"(?<![:\"/])//.*", "", text)


def find(code: str, patterns: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Line number and text of each match."""
    expression = re.compile("|".join(f"(?:{it})" for it in patterns))
    for number, line in enumerate(code.splitlines(), start=1):
        for match in expression.finditer(line):
            yield number, match.group()


def forbid(
    sources: Sources,
    patterns: Sequence[str],
    *,
    within: Sequence[str] = ("rust/",),
    allowed: Sequence[str] = (),
) -> list[str]:
    """Names every match of the patterns in the Rust code of some folders.

    Args:
        sources: Path to text.
        patterns: Regular expressions, each matched within a line.
        within: Beginnings of the paths that are searched.
        allowed: Beginnings of the paths that may match.

    Returns:
        Violations.
    """
    return [
        f"{path}:{number}: `{found}`"
        for path, text in sources.items()
        if path.endswith(".rs")
        and path.startswith(tuple(within))
        and not path.startswith(tuple(allowed))
        for number, found in find(rust_code(text), patterns)
    ]


def upward_arrows(dependencies: Mapping[str, set[str]]) -> list[str]:
    """1: a crate depends only on crates to its left."""
    return [
        f"{crate} depends on {other}"
        for index, crate in enumerate(LAYERS)
        for other in sorted(dependencies.get(crate, set()))
        if other in LAYERS[index:]
    ]


# Libraries that are not called as their package is.
LIBRARY_NAMES = {"md-5": "md5"}


def unnamed_dependencies(
    dependencies: Mapping[str, set[str]], sources: Sources, *, tests: bool = False
) -> list[str]:
    """1: what a crate declares, it names; a build waits for each dependency.

    Args:
        dependencies: Folder of a crate to what it declares.
        sources: Path to text.
        tests: Whether tests may be what names it, as for a dependency of tests alone.
    """
    violations = []
    for folder, names in dependencies.items():
        code = "\n".join(
            text if tests else rust_code(text)
            for path, text in sources.items()
            if path.endswith(".rs") and path.startswith(f"{folder}/")
        )
        violations += [
            f"{folder}/Cargo.toml: `{name}` is named nowhere"
            for name in sorted(names)
            if not re.search(rf"\b{LIBRARY_NAMES.get(name, name.replace('-', '_'))}\b", code)
        ]
    return violations


def foreign_libraries(sources: Sources) -> list[str]:
    """2: an outside library is named only by its owner."""
    return [
        violation
        for library, owners in OWNERS.items()
        for violation in forbid(
            sources, [rf"(?<!::)\b{library}::", rf"\buse {library}\b"], allowed=owners
        )
    ]


def environment_and_output(sources: Sources) -> list[str]:
    """3: library code reads no environment variable and prints nothing."""
    rust = forbid(
        sources,
        [
            r"\benv::vars?(?:_os)?\b",
            r"\b(?:e?print|e?println|dbg)!",
            r"\bstd(?:out|err)\(\)",
        ],
        allowed=(f"{COMPONENTS}/config/", "rust/aikit-cli/src/"),
    )
    python = [
        f"{path}: `{ast.unparse(node)}`"
        for path, text in sources.items()
        if path.startswith("python/aikit/") and not path.endswith(("__main__.py", ".pyi"))
        for node in ast.walk(ast.parse(text))
        if _reads_environment_or_prints(node)
    ]
    return rust + python


def _reads_environment_or_prints(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="print")):
            return True
        case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "getenv"):
            return True
        case _:
            return False


def other_runtimes(sources: Sources) -> list[str]:
    """4: there is one Tokio runtime, and one place that spawns on it."""
    return forbid(
        sources,
        [
            r"\bRuntime::new\b",
            r"\bnew_(?:multi|current)_thread\b",
            r"\btokio::(?:task::)?spawn\b",
            r"#\[tokio::main",
        ],
        allowed=("rust/aikit-core/src/io.rs",),
    )


def files_outside_tables(sources: Sources) -> list[str]:
    """5: every file of a variation folder is in its table."""
    violations: list[str] = []
    for folder, (table, others) in TABLES.items():
        rows = _table(sources.get(f"{folder}/mod.rs", ""), table)
        names = sorted(_modules(sources, folder) - others)
        violations += [f"{folder}/{it}.rs: not in {table}" for it in names if not _names(rows, it)]
    for folder in sorted(_tool_classes(sources)):
        rows = rust_code(sources.get(f"{folder}/mod.rs", ""))
        for name in sorted(_modules(sources, folder)):
            if not re.search(rf"\b{name}::\w", rows):
                violations.append(f"{folder}/{name}.rs: not in the table of its class")
            declared = re.findall(
                r"const NAME: &'static str = \"(.*?)\"", _whole_module(sources, folder, name)
            )
            if declared != [name]:
                violations.append(f"{folder}/{name}.rs: the tool is named {declared}")
    return violations + _repeated_tools(sources)


def _whole_module(sources: Sources, folder: str, name: str) -> str:
    file = f"{folder}/{name}.rs"
    return sources.get(file) or sources.get(f"{folder}/{name}/mod.rs", "")


def _tool_classes(sources: Sources) -> set[str]:
    """Folders of the permission classes."""
    found = (re.match(rf"({TOOLS}/\w+)/mod\.rs$", path) for path in sources)
    return {it.group(1) for it in found if it}


def _repeated_tools(sources: Sources) -> list[str]:
    names = [
        name for folder in sorted(_tool_classes(sources)) for name in _modules(sources, folder)
    ]
    repeated = {it for it in names if names.count(it) > 1}
    odd = {it for it in names if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", it)}
    return [f"{TOOLS}: `{it}` is not a unique `snake_case` name" for it in sorted(repeated | odd)]


def _modules(sources: Sources, folder: str) -> set[str]:
    """Names of the files and folders directly in a folder, without `mod.rs`."""
    found = (re.match(rf"{folder}/(\w+?)(?:\.rs|/mod\.rs)$", path) for path in sources)
    return {it.group(1) for it in found if it} - {"mod"}


def _table(text: str, name: str) -> str:
    """The rows of a constant."""
    found = re.search(rf"\b{name}: .*?= &?\[(.*?)\n?\];", rust_code(text), flags=re.DOTALL)
    return found.group(1) if found else ""


def _names(rows: str, module: str) -> bool:
    """Whether the rows name a module, or the type that bears its name."""
    camel = "".join(it.capitalize() for it in module.split("_"))
    return re.search(rf"\b(?:{module}::|\"{module}\"|{camel}\b)", rows, re.IGNORECASE) is not None


def behaviour_in_wire(sources: Sources) -> list[str]:
    """6: `wire/` is pure data, and `handlers/` writes no JSON."""
    wire = forbid(
        sources,
        [
            r"\basync\b",
            r"\btokio\b",
            r"\bspawn\b",
            r"\bstd::(?:fs|net|process|thread)\b(?!::id\b)",
            r"\bcrate::(?:handlers|socket|kernel|client|capture|history)\b",
        ],
        within=("rust/aikit-kernel/src/wire/",),
    )
    handlers = forbid(
        sources, [r"\bjson!", r"\bserde_json\b"], within=("rust/aikit-kernel/src/handlers/",)
    )
    return wire + handlers


def engines_that_name_modules(sources: Sources) -> list[str]:
    """7: an engine binds the table and names none of its modules, and no component."""
    folder = "rust/aikit-runtime/src/api"
    modules = sorted(_modules(sources, folder) - TABLES[folder][1])
    named = [rf"\bapi::(?:{'|'.join(modules)})\b"] if modules else []
    return forbid(
        sources,
        # `nearest` compares names for hints; it is no component.
        [*named, r"\baikit_components::(?!nearest\b)"],
        within=("rust/aikit-runtime/src/lua/",),
    )


def checks_in_tools(sources: Sources) -> list[str]:
    """8: no tool checks permissions, deadlines or paths itself."""
    return forbid(
        sources,
        [
            r"\bPolicy\b",
            r"\bsecurity::",
            r"\bdeadline\b",
            r"\bis_cancelled\b",
            r"\b(?:std|tokio)::fs\b",
            r"\bcap_std\b",
            r"\bcanonicalize\b",
            r"\breqwest\b",
        ],
        within=tuple(f"{it}/" for it in sorted(_tool_classes(sources))) or ("-",),
    )


_REEXPORTED = {
    "Context": "context",
    "Error": "error",
    "ErrorKind": "error",
    "Result": "error",
    "Value": "value",
}
# A Context carries the hooks, and a hook is called with a Context.
_UPWARD = {("context", "hook")}


def core_order(sources: Sources) -> list[str]:
    """12: a module of the core uses those above it and beside it, in the order that it states."""
    folder = "rust/aikit-core/src/"
    crate = sources.get(f"{folder}lib.rs", "")
    lines = re.findall(r"^//! ((?:[a-z_]+ *)+)$", crate.partition("```text")[2], re.MULTILINE)
    level = {name: number for number, line in enumerate(lines) for name in line.split()}
    declared = set(re.findall(r"^pub mod (\w+);", crate, re.MULTILINE))
    violations = [f"{folder}lib.rs: `{it}` is in no line" for it in sorted(declared - set(level))]
    for path, text in sources.items():
        name = path.removeprefix(folder).partition("/")[0].removesuffix(".rs")
        if path.startswith(folder) and name in level and not path.endswith("/tests.rs"):
            violations += [
                f"{path}: uses `{it}`, which is below `{name}`"
                for it in sorted(_core_names(rust_code(text)) & set(level))
                if level[it] > level[name] and (name, it) not in _UPWARD
            ]
    return violations


def _core_names(code: str) -> set[str]:
    """The modules of its own crate that a file names."""
    names = set(re.findall(r"\bcrate::(\w+)", code))
    for group in re.findall(r"\bcrate::\{(.*?)\};", code, re.DOTALL):
        while "{" in group:
            shorter = re.sub(r"\{[^{}]*\}", "", group)
            if shorter == group:
                break
            group = shorter  # noqa: PLW2901  # without its innermost braces
        names |= {it.strip().partition("::")[0] for it in group.split(",")}
    return {_REEXPORTED.get(it, it) for it in names}


def opening_and_size(sources: Sources) -> list[str]:
    """10: every source file says in its first line what it is, and has at most 800 lines."""
    violations = []
    for path, text in sources.items():
        opening = {".rs": "//! ", ".py": '"""', ".lua": "-- "}.get(Path(path).suffix)
        first = next((it for it in text.splitlines() if not it.startswith("#!")), "")
        if opening is not None and not first.startswith(opening):
            violations.append(f"{path}: opens with `{first}`")
        if opening is not None and text.count("\n") > FILE_LINES_MAX:
            violations.append(f"{path}: {text.count(chr(10))} lines")
    return violations


# Reserved names, and addresses that lead nowhere or back: a test may name them to be refused.
_HARMLESS_HOST = re.compile(
    r"""(?:.*\.)?(?:test|invalid|example|localhost|example\.(?:com|org|net))$  # RFC 2606
    |127\.|0|10\.|172\.(?:1[6-9]|2\d|3[01])\.|192\.168\.|169\.254\.|100\.64\.|2130706433|0177
    |\[|metadata\b|user(?::|@)|\{|%|\$""",
    re.VERBOSE,
)
_CITATIONS = ("json-schema.org", "www.w3.org", "jupyter.org", "github.com", "docs.python.org")


def network_in_tests(sources: Sources) -> list[str]:
    """11: no test names a host that exists, or reads a key."""
    address = r"https?://[^\s\"'/`)<>\\]+"
    key = r"(?:env::var|environ|getenv)\W+\w*_API_KEY\b"
    return [
        f"{path}:{number}: `{found}`"
        for path, text in sources.items()
        for number, found in find(text, [address, key])
        if not _is_harmless(found.split("://")[-1])
    ]


def _is_harmless(host: str) -> bool:
    return _HARMLESS_HOST.match(host) is not None or host in _CITATIONS


def unwanted_crates(lock_file: str) -> list[str]:
    """Crates that need cmake or OpenSSL to build."""
    names = re.findall(r'^name = "(.*)"$', lock_file, flags=re.MULTILINE)
    return sorted({"aws-lc-sys", "cmake", "openssl-sys"} & set(names))


def jobs_that_are_no_target(workflow: str, makefile: str) -> list[str]:
    """Every job of CI runs targets of the Makefile, and the job `required` waits for all others."""
    jobs = re.split(r"^  (?=[a-z-]+:$)", workflow.split("\njobs:\n")[1], flags=re.MULTILINE)[1:]
    names = [it.split(":")[0] for it in jobs]
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    violations = []
    for name, job in zip(names, jobs, strict=True):
        run = [
            it
            for line in re.findall(r"- run: make (.*)$", job, re.MULTILINE)
            for it in line.split()
        ]
        violations += [f"{name}: `make {it}` is no target" for it in run if it not in targets]
        if not run and name != "required":
            violations.append(f"{name}: runs no target")
    needed = set(re.findall(r"[a-z-]+", "".join(re.findall(r"needs: \[(.*)\]", workflow))))
    return violations + [
        f"{it}: is not required" for it in names if it not in {*needed, "required"}
    ]
