//! Kinds of files that are read under rules of their own.

use std::path::{Component, Path};

/// Whether a path is in the folder where the conversations, values and documents of all who use the
/// project are kept.
pub(super) fn is_kept_by_aikit(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str().eq_ignore_ascii_case(".aikit"))
}

/// Whether a path is one under which the system shows processes, their environments and devices.
pub(super) fn is_of_the_system(path: &Path) -> bool {
    ["/dev", "/proc", "/sys"]
        .iter()
        .any(|it| path.starts_with(it))
}

/// Whether a file is of the kind that holds keys or passwords.
pub(super) fn is_key_file(path: &Path) -> bool {
    const FOLDERS: [&str; 5] = [".aws", ".azure", ".gnupg", ".kube", ".ssh"];
    const NAMES: [&str; 12] = [
        ".env",
        ".git-credentials",
        ".htpasswd",
        ".netrc",
        ".npmrc",
        ".pgpass",
        ".pypirc",
        "aikit.toml",
        "application_default_credentials.json",
        "credentials",
        "secret",
        "secrets",
    ];
    // Names that mean something in these folders only.
    const INSIDE: [(&str, &str); 4] = [
        (".cargo", "credentials.toml"),
        (".docker", "config.json"),
        (".git", "config"),
        ("gh", "hosts.yml"),
    ];
    const PREFIXES: [&str; 5] = [".env.", "id_dsa", "id_ecdsa", "id_ed25519", "id_rsa"];
    const ENDINGS: [&str; 6] = [".env", ".jks", ".key", ".p12", ".pem", ".pfx"];

    let parts = names(path);
    let Some((name, folders)) = parts.split_last() else {
        return false;
    };
    let is_inside = folders.last().is_some_and(|folder| {
        let is_meant = |(place, it): &(&str, &str)| folder == place && name == it;
        INSIDE.iter().any(is_meant)
    });
    // `secrets.yaml`, `credentials.json`; not a program or a page about them.
    let is_named_so = name.rsplit_once('.').is_some_and(|(stem, ending)| {
        let words = [
            "credential",
            "credentials",
            "secret",
            "secrets",
            "token",
            "tokens",
        ];
        let endings = ["ini", "json", "toml", "txt", "yaml", "yml"];
        words.contains(&stem) && endings.contains(&ending)
    });
    is_inside
        || is_named_so
        || folders.iter().any(|it| FOLDERS.contains(&it.as_str()))
        || NAMES.contains(&name.as_str())
        || PREFIXES.iter().any(|it| name.starts_with(it))
        || ENDINGS.iter().any(|it| name.ends_with(it))
}

/// Whether programs run what is in a file, or do what it says, without being told its name: the
/// settings of tools, whose names or folders begin with a dot, and what builds and tests begin
/// with. The path is from the folder of the project on.
pub(super) fn is_run_by_programs(path: &Path) -> bool {
    const NAMES: [&str; 37] = [
        "agents.md",
        "build.gradle",
        "build.gradle.kts",
        "build.rs",
        "build.zig",
        "cargo.toml",
        "claude.md",
        "cmakelists.txt",
        "compose.yaml",
        "compose.yml",
        "configure",
        "conftest.py",
        "containerfile",
        "docker-compose.yaml",
        "docker-compose.yml",
        "dockerfile",
        "gemfile",
        "gnumakefile",
        "go.mod",
        "gulpfile.js",
        "jenkinsfile",
        "justfile",
        "kernel.json",
        "makefile",
        "manage.py",
        "meson.build",
        "noxfile.py",
        "package.json",
        "pip.conf",
        "pom.xml",
        "pyproject.toml",
        "pytest.ini",
        "rakefile",
        "setup.cfg",
        "setup.py",
        "tox.ini",
        "vagrantfile",
    ];
    const ENDINGS: [&str; 3] = [".mk", ".pth", ".service"];
    // `vite.config.ts`, `eslint.config.js` and their like are programs.
    const INSIDE: &str = ".config.";

    let parts = names(path);
    let Some(name) = parts.last() else {
        return false;
    };
    parts.iter().any(|it| it.starts_with('.'))
        || NAMES.contains(&name.as_str())
        || ENDINGS.iter().any(|it| name.ends_with(it))
        || name.contains(INSIDE)
}

/// The names in a path, in small letters.
pub(super) fn names(path: &Path) -> Vec<String> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().to_lowercase()),
        _ => None,
    });
    parts.collect()
}
