//! Where a script may let a file of its own be made: below the working directory.

use std::path::{Component, Path, PathBuf};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    services::{Change, ChangeKind, Decision, Permission, Policy, Target},
};

use super::{denied, folder, home};
use crate::config;

/// The path of the file that a script names, below `working_directory`.
///
/// # Errors
///
/// `invalid_args` for what is no path of a file, `denied` for a path that leads elsewhere, by a
/// symbolic link too, or is the configuration's.
pub fn below(working_directory: &Path, given: &str) -> Result<PathBuf> {
    let refused = |what: &str| {
        let message = format!("`{given}` {what}");
        Error::new(ErrorKind::Denied, message)
            .with_hint("give a path below the working directory, without `..`")
    };
    if given.trim().is_empty() || given.contains('\0') {
        let message = format!("`{given}` is no path of a file");
        return Err(Error::invalid_args(message).with_hint("give a path such as `run.cassette`"));
    }
    home::refuse(given)?;
    let path = working_directory.join(given);
    if !folder::is_inside(working_directory, &path) {
        return Err(refused("is outside the working directory"));
    }
    if path.is_dir() {
        let message = format!("`{given}` is a folder");
        return Err(Error::invalid_args(message).with_hint("give the path of a file"));
    }
    if path.file_name().is_some_and(|it| it == config::FILE_NAME) {
        return Err(refused("is the place of the configuration"));
    }
    Ok(path)
}

/// Folders that no file of a script's own is made in, and who writes there.
const RESERVED: [(&str, &str); 2] = [
    (
        ".aikit",
        "is in the store of a project, which only aikit writes",
    ),
    (".git", "belongs to git, which runs what it finds there"),
];

/// Fails for a path in the store of a project or in what belongs to git, by a symbolic link too.
///
/// # Errors
///
/// `denied`.
pub fn refuse_reserved(path: &Path) -> Result<()> {
    let path = std::path::absolute(path)?;
    let resolved = resolved(&path);
    let parts = path.components().chain(resolved.components());
    let names = parts.filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().to_lowercase()),
        _ => None,
    });
    for name in names {
        if let Some((_, what)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
            let message = format!("`{}` {what}", path.display());
            return Err(Error::new(ErrorKind::Denied, message)
                .with_hint("give a path in another folder, such as `run.cassette`"));
        }
    }
    Ok(())
}

/// Fails where `policy` does not let the caller of `cx` write a file without asking: a cassette is
/// written when it ends, where nobody is asked.
///
/// # Errors
///
/// `denied`, with its rule; `approval_needed`.
pub fn refuse_denied(cx: &Context, policy: &dyn Policy, path: &Path) -> Result<()> {
    let path = resolved(path);
    let change = Change {
        kind: ChangeKind::Write,
        old_bytes: None,
        new_bytes: 0,
        entries: 0,
        detail: String::new(),
    };
    let target = Target::Change {
        path: &path,
        change: &change,
    };
    match policy.decide(cx, Permission::FileWrite, target) {
        Decision::Deny { rule, hint } => Err(denied(&rule, &hint)),
        Decision::Ask(action) => {
            let message = format!("an approval is needed: {action}");
            Err(Error::new(ErrorKind::ApprovalNeeded, message)
                .with_hint("let the user's own code record, or give a path that needs none"))
        }
        Decision::Allow => Ok(()),
    }
}

/// The path with the links in that part of it that is there resolved.
fn resolved(path: &Path) -> PathBuf {
    let known = path
        .ancestors()
        .find_map(|it| Some((it, it.canonicalize().ok()?)));
    match known {
        Some((start, found)) => match path.strip_prefix(start) {
            Ok(rest) if !rest.as_os_str().is_empty() => found.join(rest),
            _ => found,
        },
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::policy::{Profile, TablePolicy};

    #[test]
    fn the_store_and_what_belongs_to_git_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        std::fs::create_dir(home.join(".git")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(home.join(".git"), home.join("link")).unwrap();
        let cx = Context::create(aikit_core::context::Overrides::default());
        let policy = TablePolicy::new(Profile::Notebook, vec![home.clone()], Vec::new());
        for given in [".aikit/aikit.db", ".git/config", "a/.GIT/x", "link/config"] {
            let path = home.join(given);
            let error = refuse_reserved(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied, "{given}");
            let error = refuse_denied(&cx, &policy, &path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied, "{given}");
        }
        let path = home.join("new/.github/x.cassette");
        refuse_reserved(&path).unwrap();
        refuse_denied(&cx, &policy, &path).unwrap();
        assert!(refuse_denied(&cx, &policy, Path::new("/elsewhere/x")).is_err());
    }

    #[test]
    fn what_the_user_would_be_asked_for_is_not_allowed() {
        #[derive(Debug)]
        struct Asks;
        impl Policy for Asks {
            fn decide(&self, _: &Context, _: Permission, _: Target<'_>) -> Decision {
                Decision::Ask("write a file".to_owned())
            }
        }
        let cx = Context::create(aikit_core::context::Overrides::default());
        let error = refuse_denied(&cx, &Asks, Path::new("/home/x.cassette")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApprovalNeeded, "{error}");
        assert!(error.message().contains("write a file") && error.hint().is_some());
    }

    #[test]
    fn a_path_stays_below_the_working_directory() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        std::fs::create_dir(home.join("folder")).unwrap();
        let absolute = home.join("x.cassette").display().to_string();
        let cases = [
            ("x.cassette", None),
            ("new/x.cassette", None),
            (&*absolute, None),
            ("../x", Some(ErrorKind::Denied)),
            ("/etc/x", Some(ErrorKind::Denied)),
            ("~/x", Some(ErrorKind::InvalidArgs)),
            ("aikit.toml", Some(ErrorKind::Denied)),
            ("folder", Some(ErrorKind::InvalidArgs)),
            (" ", Some(ErrorKind::InvalidArgs)),
        ];
        for (given, expected) in cases {
            let kind = below(&home, given).err().map(|error| error.kind());
            assert_eq!(kind, expected, "{given}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_is_refused() {
        let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), home.path().join("out")).unwrap();
        let error = below(home.path(), "out/x.cassette").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
}
