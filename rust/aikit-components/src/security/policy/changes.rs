//! The rules for writing and deleting files and for running programs.

use std::{fmt::Write as _, path::Path};

use aikit_core::{
    Context,
    context::Caller,
    services::{Change, ChangeKind, Decision, ProcessRequest, Target},
};

use super::{
    Profile, TablePolicy, deny,
    kinds::{is_key_file, names},
};

impl TablePolicy {
    pub(super) fn decide_write(&self, cx: &Context, target: Target<'_>) -> Decision {
        let caller = cx.caller();
        let Target::Change { path, change } = target else {
            return Decision::Allow;
        };
        if !self.writable.iter().any(|root| path.starts_with(root)) {
            return self.not_writable(path);
        }
        if self.writable.iter().any(|root| path == root) {
            return deny(
                format!("`{}` is the folder of the session itself", path.display()),
                "name a file or folder below it",
            );
        }
        if let Some(denial) = protected(caller, path) {
            return denial;
        }
        match (caller, self.profile) {
            (Caller::User, _) => Decision::Allow,
            (Caller::Agent, Profile::Served) if change.kind != ChangeKind::Delete => {
                Decision::Allow
            }
            (Caller::Agent, _) if self.was_allowed(cx, target) => Decision::Allow,
            (Caller::Agent, _) => Decision::Ask(describe_change(path, change)),
        }
    }

    pub(super) fn decide_process(&self, cx: &Context, target: Target<'_>) -> Decision {
        if self.profile == Profile::Served {
            return deny(
                "programs are not run for others: the profile is `served`",
                "no setting allows it; run the program elsewhere and give the session its output",
            );
        }
        match (cx.caller(), target) {
            (Caller::Agent, Target::Process(_)) if self.was_allowed(cx, target) => Decision::Allow,
            (Caller::Agent, Target::Process(request)) => Decision::Ask(describe_process(request)),
            _ => Decision::Allow,
        }
    }

    fn not_writable(&self, path: &Path) -> Decision {
        let folder = path.parent().unwrap_or(path).display();
        let hint = match self.profile {
            Profile::Notebook => format!(
                "add `{folder}` to `write_roots` in the section `[security]` of `aikit.toml`; for \
                 one run, set `AIKIT_SECURITY__WRITE_ROOTS={folder}`"
            ),
            Profile::Served => format!(
                "who runs the server can allow it with `AIKIT_SECURITY__WRITE_ROOTS={folder}`"
            ),
        };
        let path = path.display();
        deny(
            format!(
                "`{path}` is outside the folders that may be written: the working directory and `write_roots`"
            ),
            hint,
        )
    }
}

/// What nobody, or no agent, changes.
fn protected(caller: Caller, path: &Path) -> Option<Decision> {
    let shown = path.display();
    let names = names(path);
    let has = |name: &str| names.iter().any(|it| it == name);
    if has(".aikit") {
        return Some(deny(
            format!("`{shown}` belongs to the store of the project, which only aikit writes"),
            "change what it holds through state, sessions and retrieval; delete the folder by \
             hand to begin anew",
        ));
    }
    if has(".git") {
        return Some(deny(
            format!("`{shown}` belongs to git, which runs what it finds there"),
            "change it with the command `git`",
        ));
    }
    if caller == Caller::User {
        return None;
    }
    if is_key_file(path) {
        return Some(deny(
            format!("agents may not change `{shown}`: it may hold keys"),
            "change the file yourself",
        ));
    }
    let is_settings = has(crate::config::FILE_NAME)
        || [".ipython", ".jupyter"].into_iter().any(has)
        || names
            .last()
            .is_some_and(|it| STARTED.contains(&it.as_str()));
    is_settings.then(|| {
        deny(
            format!(
                "agents may not change `{shown}`: it decides what may be done or is run unasked"
            ),
            "change the file yourself",
        )
    })
}

/// Files that programs run when they start.
const STARTED: [&str; 25] = [
    ".bash_aliases",
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".cshrc",
    ".envrc",
    ".exrc",
    ".gitconfig",
    ".inputrc",
    ".login",
    ".luarc",
    ".pdbrc",
    ".profile",
    ".tcshrc",
    ".tmux.conf",
    ".vimrc",
    ".xinitrc",
    ".xprofile",
    ".zlogin",
    ".zprofile",
    ".zshenv",
    ".zshrc",
    "sitecustomize.py",
    "usercustomize.py",
];

fn describe_change(path: &Path, change: &Change) -> String {
    let path = path.display();
    let bytes = |count: u64| match count {
        1 => "1 byte".to_owned(),
        count => format!("{count} bytes"),
    };
    let new = bytes(change.new_bytes);
    match (change.kind, change.old_bytes) {
        (ChangeKind::Delete, Some(old)) if change.entries == 0 => {
            format!("the agent wants to delete `{path}` ({})", bytes(old))
        }
        (ChangeKind::Delete, _) => {
            let count = change.entries;
            format!("the agent wants to delete the folder `{path}` with {count} files and folders")
        }
        (ChangeKind::Edit, _) => format!("the agent wants to edit `{path}` as shown"),
        (ChangeKind::Append, Some(old)) => format!(
            "the agent wants to add {new} at the end of `{path}`, which has {}",
            bytes(old)
        ),
        (ChangeKind::Write, Some(old)) => format!(
            "the agent wants to write {new} in place of the {} of `{path}`",
            bytes(old)
        ),
        (_, None) => format!("the agent wants to write {new} into the new file `{path}`"),
    }
}

fn describe_process(request: &ProcessRequest) -> String {
    // Each argument as a text in quotes: where one ends is part of what is approved.
    let words = std::iter::once(&request.program).chain(&request.args);
    let words: Vec<String> = words.map(|it| format!("{it:?}")).collect();
    let mut text = format!("the agent wants to run [{}]", words.join(", "));
    let _ = write!(text, ", the file `{}`,", request.path.display());
    let _ = write!(text, " in `{}`", request.folder);
    for (name, value) in &request.variables {
        let _ = write!(text, " with {name}={value:?}");
    }
    if !request.stdin.is_empty() {
        let count = request.stdin.len();
        let _ = write!(text, " reading {count} bytes from the agent");
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use std::{path::PathBuf, time::Duration};

    use aikit_core::{
        context::Overrides,
        services::{Permission, Policy as _},
    };

    use super::*;

    const COLUMNS: [(Profile, Caller); 4] = [
        (Profile::Notebook, Caller::User),
        (Profile::Notebook, Caller::Agent),
        (Profile::Served, Caller::User),
        (Profile::Served, Caller::Agent),
    ];

    /// The four columns of the table, one letter each: allow, ask, deny.
    fn row(permission: Permission, target: Target<'_>) -> String {
        let decide = |(profile, caller)| {
            let roots = vec![
                PathBuf::from("/work"),
                PathBuf::from("/read"),
                "/write".into(),
            ];
            let policy = TablePolicy::new(profile, roots, Vec::new());
            let policy = policy.with_write_roots([PathBuf::from("/write")]);
            let overrides = Overrides {
                caller: Some(caller),
                ..Overrides::default()
            };
            match policy.decide(&Context::create(overrides), permission, target) {
                Decision::Allow => 'a',
                Decision::Ask(_) => '?',
                Decision::Deny { rule, hint } => {
                    assert!(!rule.is_empty() && !hint.is_empty());
                    'd'
                }
            }
        };
        let row: String = COLUMNS.into_iter().map(decide).collect();
        for pair in row.as_bytes().chunks(2) {
            // An agent never gets more than the user.
            assert!(
                matches!(pair, [b'a', _] | [b'd', b'd'] | [b'?', b'?' | b'd']),
                "{row}"
            );
        }
        row
    }

    pub(in super::super) fn change(kind: ChangeKind) -> Change {
        Change {
            kind,
            old_bytes: Some(3),
            new_bytes: 5,
            entries: 0,
            detail: String::new(),
        }
    }

    #[test]
    fn changes_are_decided_as_the_table_says() {
        let cases = [
            ("/work/notes.md", "a?aa", "a?a?"),
            ("/work/deep/er/data.csv", "a?aa", "a?a?"),
            ("/write/notes.md", "a?aa", "a?a?"),
            ("/read/notes.md", "dddd", "dddd"),
            ("/etc/passwd", "dddd", "dddd"),
            ("/workshop/notes.md", "dddd", "dddd"),
            ("/work", "dddd", "dddd"),
            ("/work/.env", "adad", "adad"),
            ("/work/.ssh/config", "adad", "adad"),
            ("/work/aikit.toml", "adad", "adad"),
            ("/work/.bashrc", "adad", "adad"),
            ("/work/.gitconfig", "adad", "adad"),
            ("/work/.git/hooks/post-merge", "dddd", "dddd"),
            ("/work/sub/.GIT/config", "dddd", "dddd"),
            ("/work/.aikit/aikit.db", "dddd", "dddd"),
            ("/work/.github/ci.yml", "a?aa", "a?a?"),
        ];
        for (path, writing, deleting) in cases {
            for (kind, expected) in [
                (ChangeKind::Write, writing),
                (ChangeKind::Append, writing),
                (ChangeKind::Edit, writing),
                (ChangeKind::Delete, deleting),
            ] {
                let change = &change(kind);
                let path = Path::new(path);
                let row = row(Permission::FileWrite, Target::Change { path, change });
                assert_eq!(row, expected, "{kind:?} {path:?}");
            }
        }
        assert_eq!(row(Permission::FileWrite, Target::Any), "aaaa");
    }

    pub(in super::super) fn request(args: &[&str]) -> ProcessRequest {
        ProcessRequest {
            program: "git".to_owned(),
            path: PathBuf::from("/usr/bin/git"),
            args: args.iter().map(|it| (*it).to_owned()).collect(),
            stdin: bytes::Bytes::new(),
            folder: "/work".to_owned(),
            variables: Vec::new(),
            timeout: Duration::from_secs(1),
            max_bytes: 10,
        }
    }

    #[test]
    fn programs_are_decided_as_the_table_says() {
        let request = request(&["status"]);
        assert_eq!(row(Permission::Process, Target::Process(&request)), "a?dd");
        assert_eq!(row(Permission::Process, Target::Any), "aadd");
    }

    #[test]
    fn a_question_says_exactly_what_would_be_done() {
        let mut with = request(&["log", "a b", "\"x\n"]);
        with.variables = vec![("GIT_DIR".to_owned(), "/x y".to_owned())];
        with.stdin = "12".into();
        assert_eq!(
            describe_process(&with),
            r#"the agent wants to run ["git", "log", "a b", "\"x\n"], the file `/usr/bin/git`, in `/work` with GIT_DIR="/x y" reading 2 bytes from the agent"#
        );
        let path = Path::new("/work/a");
        let mut made = change(ChangeKind::Write);
        assert_eq!(
            describe_change(path, &made),
            "the agent wants to write 5 bytes in place of the 3 bytes of `/work/a`"
        );
        made.old_bytes = None;
        assert_eq!(
            describe_change(path, &made),
            "the agent wants to write 5 bytes into the new file `/work/a`"
        );
        let mut deleted = change(ChangeKind::Delete);
        (deleted.old_bytes, deleted.entries) = (None, 7);
        assert_eq!(
            describe_change(path, &deleted),
            "the agent wants to delete the folder `/work/a` with 7 files and folders"
        );
    }
}
