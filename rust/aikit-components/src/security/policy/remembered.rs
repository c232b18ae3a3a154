//! What the user allowed for the rest of a session.

use std::path::{Path, PathBuf};

use aikit_core::{
    Context,
    services::{ChangeKind, Permission, ProcessRequest, Target},
};

use super::{TablePolicy, kinds::is_run_by_programs};
use crate::security::allowed::Allowed;

/// What `always` allowed.
pub(super) type Remembered = Allowed<Key>;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Key {
    /// Changes of files in a folder; deletions are apart.
    Folder(PathBuf, bool),
    /// One exact argument vector, in one folder, with one set of variables.
    Command(PathBuf, Vec<String>, String, Vec<(String, String)>),
}

impl Key {
    /// `roots` are the folders that may be written.
    fn new(target: Target<'_>, roots: &[PathBuf]) -> Option<Self> {
        match target {
            // What else will be in a folder by then, nobody knows.
            Target::Change { change, .. }
                if change.kind == ChangeKind::Delete
                    && (change.old_bytes.is_none() || change.entries > 0) =>
            {
                None
            }
            // Who allows files of data does not think of files that are run.
            Target::Change { path, change }
                if change.kind != ChangeKind::Delete && is_run_by_programs(below(path, roots)) =>
            {
                None
            }
            Target::Change { path, change } => {
                let folder = path.parent()?.to_owned();
                Some(Self::Folder(folder, change.kind == ChangeKind::Delete))
            }
            // What a program reads is as good as an argument, and too large to remember.
            Target::Process(request)
                if request.stdin.is_empty() && !runs_what_may_change(request, roots) =>
            {
                let program = std::iter::once(request.program.clone());
                Some(Self::Command(
                    request.path.clone(),
                    program.chain(request.args.clone()).collect(),
                    request.folder.clone(),
                    request.variables.clone(),
                ))
            }
            _ => None,
        }
    }
}

/// Whether a command names a file that an agent may be allowed to write: the same command would
/// run something else by then.
fn runs_what_may_change(request: &ProcessRequest, roots: &[PathBuf]) -> bool {
    let is_writable = |path: &Path| roots.iter().any(|root| path.starts_with(root));
    let folder = Path::new(&request.folder);
    let names_one = |word: &String| {
        // `--file=x` names `x`.
        let name = word.rsplit('=').next().unwrap_or(word);
        let path: PathBuf = folder.join(name).components().collect();
        let is_like_a_path = !name.contains(char::is_whitespace) && name.contains(['.', '/']);
        !name.is_empty() && is_writable(&path) && (is_like_a_path || path.exists())
    };
    is_writable(&request.path) || request.args.iter().any(names_one)
}

/// The part of a path that is below a root: what is above it was chosen by the user.
fn below<'a>(path: &'a Path, roots: &[PathBuf]) -> &'a Path {
    let mut parts = roots.iter().filter_map(|root| path.strip_prefix(root).ok());
    parts.next().unwrap_or(path)
}

impl TablePolicy {
    /// What `always` would allow.
    pub(super) fn scope_of(&self, permission: Permission, target: Target<'_>) -> Option<String> {
        match (permission, Key::new(target, &self.writable)?) {
            (Permission::FileWrite, Key::Folder(folder, is_deletion)) => {
                let what = if is_deletion {
                    "every deletion of a file"
                } else {
                    "every writing of files"
                };
                Some(format!("{what} directly in `{}`", folder.display()))
            }
            (Permission::Process, Key::Command(..)) => Some(
                "this exact command again, whatever is in the files that it reads by then"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Allows it to the user of `cx` for the rest of the session.
    pub(super) fn keep(&self, cx: &Context, target: Target<'_>) {
        if let Some(key) = Key::new(target, &self.writable) {
            self.remembered.add(cx, key);
        }
    }

    /// Whether the user of `cx` said `always` to what this is a case of. An agent with a
    /// function of its own asks that function, which may be stricter.
    pub(super) fn was_allowed(&self, cx: &Context, target: Target<'_>) -> bool {
        let key = Key::new(target, &self.writable);
        cx.approver().is_none() && key.is_some_and(|it| self.remembered.holds(cx, &it))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Profile,
            changes::tests::{change, request},
        },
        *,
    };
    use crate::security::allowed::tests::of;

    fn policy(root: &str) -> TablePolicy {
        TablePolicy::new(Profile::Notebook, vec![PathBuf::from(root)], Vec::new())
    }

    fn holds(policy: &TablePolicy, target: Target<'_>) -> bool {
        policy.was_allowed(&Context::default(), target)
    }

    fn keep(policy: &TablePolicy, target: Target<'_>) {
        policy.keep(&Context::default(), target);
    }

    #[test]
    fn what_one_user_allows_is_asked_of_another() {
        let policy = policy("/work");
        let request = request(&["status"]);
        let target = Target::Process(&request);
        policy.keep(&of("ann", Some("a")), target);
        assert!(policy.was_allowed(&of("ann", Some("a")), target));
        assert!(!policy.was_allowed(&of("ben", Some("a")), target));
        assert!(!policy.was_allowed(&of("ann", Some("b")), target));
    }

    #[test]
    fn a_folder_that_is_allowed_leaves_out_files_that_are_run() {
        let policy = policy("/home/me/.local/work");
        let (write, delete) = (change(ChangeKind::Write), change(ChangeKind::Delete));
        let target = |path, change| Target::Change {
            path: Path::new(path),
            change,
        };
        keep(&policy, target("/home/me/.local/work/notes.md", &write));
        keep(&policy, target("/home/me/.local/work/notes.md", &delete));
        let run = [
            "/home/me/.local/work/Makefile",
            "/home/me/.local/work/conftest.py",
            "/home/me/.local/work/pyproject.toml",
            "/home/me/.local/work/vite.config.ts",
            "/home/me/.local/work/rules.mk",
            "/home/me/.local/work/.pre-commit-config.yaml",
        ];
        for path in run {
            assert!(!holds(&policy, target(path, &write)), "{path}");
            assert_eq!(
                policy.scope_of(Permission::FileWrite, target(path, &write)),
                None
            );
            assert!(holds(&policy, target(path, &delete)), "{path}");
        }
        keep(
            &policy,
            target("/home/me/.local/work/.github/workflows/ci.yml", &write),
        );
        for path in [
            "/home/me/.local/work/data.csv",
            "/home/me/.local/work/config.json",
            "/home/me/.local/work/makefiles.md",
        ] {
            assert!(holds(&policy, target(path, &write)), "{path}");
        }
        let beside = target("/home/me/.local/work/.github/workflows/other.yml", &write);
        assert!(!holds(&policy, beside));
    }

    #[test]
    fn what_is_remembered_is_the_folder_or_the_exact_command() {
        let policy = policy("/work");
        let write = change(ChangeKind::Write);
        let target = |path, change| Target::Change {
            path: Path::new(path),
            change,
        };
        keep(&policy, target("/work/a/one", &write));
        assert!(holds(&policy, target("/work/a/two", &write)));
        assert!(!holds(&policy, target("/work/a/b/two", &write)));
        assert!(!holds(&policy, target("/work/two", &write)));
        let file = change(ChangeKind::Delete);
        assert!(!holds(&policy, target("/work/a/one", &file)));
        let mut folder = change(ChangeKind::Delete);
        (folder.old_bytes, folder.entries) = (None, 3);
        keep(&policy, target("/work/a/one", &file));
        assert!(holds(&policy, target("/work/a/two", &file)));
        assert!(!holds(&policy, target("/work/a/sub", &folder)));
        assert_eq!(
            policy.scope_of(Permission::FileWrite, target("/work/a/sub", &folder)),
            None
        );
        keep(&policy, Target::Process(&request(&["status"])));
        assert!(holds(&policy, Target::Process(&request(&["status"]))));
        for args in [&["status", ""][..], &["push"], &[]] {
            assert!(!holds(&policy, Target::Process(&request(args))));
        }
        let mut other = request(&["status"]);
        other.folder = "/".to_owned();
        assert!(!holds(&policy, Target::Process(&other)));
        let mut other = request(&["status"]);
        other.path = PathBuf::from("/work/git");
        assert!(!holds(&policy, Target::Process(&other)));
        let mut fed = request(&["apply"]);
        fed.stdin = "patch".into();
        keep(&policy, Target::Process(&fed));
        assert!(
            !holds(&policy, Target::Process(&fed)),
            "what it reads is not remembered"
        );
    }

    #[test]
    fn a_command_that_names_a_file_of_the_project_is_asked_each_time() {
        let policy = policy("/work");
        for args in [
            &["gen.py"][..],
            &["./gen"],
            &["--file=gen.lua"],
            &["-m", "/work/x"],
        ] {
            let request = request(args);
            let target = Target::Process(&request);
            keep(&policy, target);
            assert!(!holds(&policy, target), "{args:?}");
            assert_eq!(policy.scope_of(Permission::Process, target), None);
        }
        let mut own = request(&["status"]);
        own.path = PathBuf::from("/work/build.sh");
        assert_eq!(
            policy.scope_of(Permission::Process, Target::Process(&own)),
            None
        );
        for args in [
            &["log", "--oneline"][..],
            &["-c", "two words."],
            &["/etc/hosts"],
        ] {
            let request = request(args);
            assert!(
                policy
                    .scope_of(Permission::Process, Target::Process(&request))
                    .is_some()
            );
        }
    }
}
