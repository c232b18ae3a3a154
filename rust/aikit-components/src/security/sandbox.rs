//! The path guard: the only code that opens files a user or an agent names.

mod change;
mod entries;
mod lost;
mod put;

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use aikit_core::{
    Context, Error, ErrorKind, Result, io,
    services::{
        Ask, Decision, Entry, EntryOptions, FilePart, Files, ListOptions, NewContent, Permission,
        Policy, Target, Written,
    },
};
use cap_std::{
    ambient_authority,
    fs::{Dir, FileTypeExt as _, OpenOptions, OpenOptionsExt as _},
};
use futures::future::BoxFuture;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use ignore::{DirEntry, WalkBuilder};

use self::lost::{lost, names_folder, no_folder};
use super::{denied, enforce, home};

/// Longest path that is looked at, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// Largest part of a file read at once.
const READ_BYTES_MAX: u64 = 64 << 20;

/// Files below the folders of a session. Folders are held open, and a path is resolved below
/// them step by step, so no symbolic link and no `..` leads outside.
#[derive(Debug)]
pub struct PathGuard {
    roots: Vec<Arc<Root>>,
    policy: Arc<dyn Policy>,
    ask: Option<Arc<dyn Ask>>,
    home: Option<PathBuf>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    folder: Dir,
}

/// A path that was found below a root: `relative` to it, links resolved.
struct Place {
    root: Arc<Root>,
    relative: PathBuf,
    kind: PlaceKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PlaceKind {
    File,
    Folder,
    /// Neither: what it is, for messages.
    Other(&'static str),
}

impl PlaceKind {
    fn of(kind: cap_std::fs::FileType) -> Self {
        if kind.is_file() {
            return Self::File;
        }
        if kind.is_dir() {
            return Self::Folder;
        }
        Self::Other(if kind.is_fifo() {
            "a pipe"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        })
    }
}

impl Place {
    fn absolute(&self) -> PathBuf {
        if self.relative == Path::new(".") {
            return self.root.path.clone();
        }
        self.root.path.join(&self.relative)
    }
}

impl PathGuard {
    /// Guards the folders `roots`, as [`roots::resolve`](super::roots::resolve) answers
    /// them; relative paths start at the first.
    ///
    /// # Errors
    ///
    /// `config` when a folder cannot be opened.
    pub fn new(
        roots: &[PathBuf],
        policy: Arc<dyn Policy>,
        ask: Option<Arc<dyn Ask>>,
    ) -> Result<Self> {
        let open = |path: &PathBuf| {
            let folder = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| {
                let message = format!("the folder `{}` cannot be opened", path.display());
                Error::new(ErrorKind::Config, message).with_source(error)
            })?;
            Ok(Arc::new(Root {
                path: path.clone(),
                folder,
            }))
        };
        let roots = roots.iter().map(open).collect::<Result<_>>()?;
        Ok(Self {
            roots,
            policy,
            ask,
            home: None,
        })
    }

    /// The same guard where `~` stands for `home`; what is below it still has to be below a root.
    #[must_use]
    pub fn with_home(mut self, home: Option<PathBuf>) -> Self {
        self.home = home;
        self
    }

    async fn enforce(&self, cx: &Context, path: &Path) -> Result<()> {
        let (policy, ask) = (&*self.policy, self.ask.as_deref());
        enforce(cx, policy, ask, Permission::FileRead, Target::Path(path)).await
    }

    /// Finds `path` below a root, resolves its links and asks the policy.
    async fn locate(&self, cx: &Context, path: &str) -> Result<Place> {
        let (absolute, root) = self.root_of(path)?;
        let Some(root) = root else {
            // The policy says why; one that would allow it cannot give what is not held open.
            self.enforce(cx, &absolute).await?;
            return Err(denied(
                &format!("`{path}` is outside the folders of this session"),
                "copy the file into the working directory",
            ));
        };
        let relative = absolute
            .strip_prefix(&root.path)
            .unwrap_or(&absolute)
            .to_owned();
        let named = path.to_owned();
        let place = io::spawn_blocking(move || {
            let held = Arc::clone(&root);
            resolve(root, &relative).map_err(|error| lost(&held, &relative, &named, error))
        })
        .await?;
        self.enforce(cx, &place.absolute()).await?;
        if place.kind == PlaceKind::File && names_folder(path) {
            return Err(no_folder(path, path.trim_end_matches('/')));
        }
        Ok(place)
    }

    /// The absolute form of `path` without `.` and `..`, and the root that holds it.
    fn root_of(&self, path: &str) -> Result<(PathBuf, Option<Arc<Root>>)> {
        if path.is_empty() || path.contains('\0') || path.len() > PATH_BYTES_MAX {
            let shown: String = path
                .chars()
                .take(40)
                .collect::<String>()
                .escape_debug()
                .collect();
            return Err(Error::invalid_args(format!("`{shown}` is not a path"))
                .with_hint("give a path relative to the working directory"));
        }
        let start = self.roots.first().map_or(Path::new("/"), |root| &root.path);
        let mut absolute = PathBuf::new();
        let path = home::expand(self.home.as_deref(), path)?;
        for part in start.join(path).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(absolute.pop()),
                other => absolute.push(other),
            }
        }
        let holding = self
            .roots
            .iter()
            .filter(|root| absolute.starts_with(&root.path));
        let nearest = holding
            .max_by_key(|root| root.path.as_os_str().len())
            .cloned();
        Ok((absolute, nearest))
    }

    /// How a path below a root is shown: relative to the working directory where it is inside.
    fn shown(&self, absolute: &Path) -> PathBuf {
        let start = self.roots.first().map(|root| &root.path);
        let relative = start.and_then(|start| absolute.strip_prefix(start).ok());
        relative.unwrap_or(absolute).to_owned()
    }

    /// Whether a listed file may be read without a question.
    fn is_readable(&self, cx: &Context, path: &Path) -> bool {
        self.policy
            .decide(cx, Permission::FileRead, Target::Path(path))
            == Decision::Allow
    }
}

impl Files for PathGuard {
    fn read<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<'a, Result<FilePart>> {
        Box::pin(async move {
            let place = self.locate(cx, path).await?;
            let named = path.to_owned();
            io::spawn_blocking(move || read_part(&place, &named, offset, limit)).await
        })
    }

    fn resolve<'a>(&'a self, cx: &'a Context, path: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        Box::pin(async move {
            let place = self.locate(cx, path).await?;
            Ok(self.shown(&place.absolute()))
        })
    }

    fn list<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        options: ListOptions,
    ) -> BoxFuture<'a, Result<Vec<PathBuf>>> {
        Box::pin(async move {
            let place = self.locate(cx, path).await?;
            match place.kind {
                PlaceKind::Folder => {}
                PlaceKind::File => return Ok(vec![self.shown(&place.absolute())]),
                PlaceKind::Other(what) => return Err(not_regular(path, what)),
            }
            let globs = Globs::new(&options)?;
            let cancelled = cx.clone();
            let most = options.max_entries;
            let found = io::spawn_blocking(move || {
                walk(&cancelled, &place.absolute(), &options, &globs, ENTRIES_MAX)
            })
            .await?;
            // What needs a question is left out: listing a folder must not ask for each key file.
            let readable = found.into_iter().filter(|path| self.is_readable(cx, path));
            Ok(readable.take(most).map(|path| self.shown(&path)).collect())
        })
    }

    fn entries<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        options: EntryOptions,
    ) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(self.list_entries(cx, path, options))
    }

    fn write<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        content: NewContent,
    ) -> BoxFuture<'a, Result<Written>> {
        Box::pin(self.write_file(cx, path, content))
    }

    fn delete<'a>(
        &'a self,
        cx: &'a Context,
        path: &'a str,
        recursive: bool,
        dry_run: bool,
    ) -> BoxFuture<'a, Result<Vec<PathBuf>>> {
        Box::pin(self.delete_path(cx, path, recursive, dry_run))
    }
}

fn not_regular(named: &str, what: &str) -> Error {
    Error::invalid_args(format!("`{named}` is {what}"))
        .with_hint("name a regular file; a pipe or a device would block or never end")
}

fn resolve(root: Arc<Root>, relative: &Path) -> std::io::Result<Place> {
    let relative = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    let relative = root.folder.canonicalize(relative)?;
    let relative = if relative.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        relative
    };
    let kind = PlaceKind::of(root.folder.metadata(&relative)?.file_type());
    Ok(Place {
        root,
        relative,
        kind,
    })
}

fn read_part(place: &Place, named: &str, offset: u64, limit: u64) -> Result<FilePart> {
    let fail = |error| explain(named, error);
    let mut options = OpenOptions::new();
    // What is opened is asked what it is, not its name, which may lead elsewhere a moment later;
    // and opening must not wait for the other end of a pipe.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let opened = place.root.folder.open_with(&place.relative, &options);
    let mut file = opened.map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        // A pipe or a device would block or never end.
        return Err(match PlaceKind::of(metadata.file_type()) {
            PlaceKind::Other(what) => not_regular(named, what),
            _ => Error::invalid_args(format!("`{named}` is a folder"))
                .with_hint("name a file; `list_directory` and `search_files` look into folders"),
        });
    }
    if offset > 0 {
        file.seek(SeekFrom::Start(offset)).map_err(fail)?;
    }
    let mut bytes = Vec::new();
    let mut part = file.take(limit.min(READ_BYTES_MAX));
    part.read_to_end(&mut bytes).map_err(fail)?;
    Ok(FilePart {
        bytes: bytes.into(),
        total_bytes: metadata.len(),
    })
}

/// Says what went wrong with a path, without telling what lies outside the roots.
fn explain(named: &str, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        // The guard's own refusal carries no code of the operating system.
        Kind::PermissionDenied if error.raw_os_error().is_none() => denied(
            &format!("`{named}` leads outside the folders of this session"),
            "symbolic links and `..` are followed inside the working directory and the listed \
             roots only; add the folder to `roots` in the section `[security]` of `aikit.toml`",
        ),
        Kind::PermissionDenied => Error::new(
            ErrorKind::Denied,
            format!("the operating system does not let `{named}` be read"),
        )
        .with_hint("change the permissions of the file, or run as a user who may read it")
        .with_source(error),
        Kind::NotFound | Kind::NotADirectory => {
            Error::not_found(format!("there is no file or folder `{named}`"))
                .with_hint("paths are relative to the working directory")
                .with_source(error)
        }
        Kind::InvalidFilename | Kind::InvalidInput => {
            Error::invalid_args(format!("`{named}` is not a usable path"))
                .with_hint("give a path relative to the working directory")
                .with_source(error)
        }
        _ => Error::new(ErrorKind::Io, format!("`{named}` cannot be read: {error}"))
            .with_source(error),
    }
}

/// Walks a folder without following links; only names are read here.
fn walk(
    cx: &Context,
    folder: &Path,
    options: &ListOptions,
    globs: &Globs,
    entries_max: usize,
) -> Result<Vec<PathBuf>> {
    let (start, excluded) = (folder.to_owned(), globs.exclude.clone());
    let is_wanted = move |entry: &DirEntry| {
        let relative = entry.path().strip_prefix(&start).unwrap_or(entry.path());
        relative.as_os_str().is_empty() || !excluded.is_match(relative)
    };
    let entries = WalkBuilder::new(folder)
        .follow_links(false)
        .hidden(!options.hidden)
        .ignore(options.honour_ignore)
        .git_ignore(options.honour_ignore)
        .git_exclude(false)
        .git_global(false)
        .require_git(false)
        .parents(false)
        .sort_by_file_path(Path::cmp)
        .filter_entry(is_wanted)
        .build();
    let mut found = Vec::new();
    for (count, entry) in entries.enumerate() {
        cx.check()?;
        if count > entries_max {
            let message = format!("the folder has more than {entries_max} files and folders");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("name a folder below it, or leave folders out with `exclude`"));
        }
        // A folder that cannot be read is left out, as by other searching programs.
        let Ok(entry) = entry else { continue };
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        if is_file
            && globs
                .include
                .as_ref()
                .is_none_or(|it| it.is_match(relative))
        {
            found.push(entry.into_path());
            if found.len() >= FOUND_MAX {
                break;
            }
        }
    }
    Ok(found)
}

/// Most files and folders one walk looks at.
const ENTRIES_MAX: usize = 1_000_000;

/// Most files one walk finds.
const FOUND_MAX: usize = 100_000;

struct Globs {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Globs {
    fn new(options: &ListOptions) -> Result<Self> {
        let include = (!options.include.is_empty()).then(|| glob_set(&options.include));
        Ok(Self {
            include: include.transpose()?,
            exclude: glob_set(&options.exclude)?,
        })
    }
}

/// A glob without a slash matches a name at any depth.
fn glob_set(globs: &[String]) -> Result<GlobSet> {
    let wrong = |glob: &str, error: globset::Error| {
        Error::invalid_args(format!("`{glob}` is not a glob: {}", error.kind()))
            .with_hint("write globs such as `*.md`, `docs/**/*.rst` or `{a,b}.txt`")
    };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let anywhere = format!("**/{glob}");
        let pattern = if glob.contains('/') {
            glob.trim_start_matches('/')
        } else {
            &anywhere
        };
        let built = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(built.map_err(|error| wrong(glob, error))?);
    }
    set.build().map_err(|error| wrong("…", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_bounded_by_what_it_looks_at() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.txt", "b.txt", "c.md", "d.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let options = ListOptions {
            hidden: false,
            honour_ignore: false,
            include: vec!["*.md".to_owned()],
            exclude: Vec::new(),
            max_entries: 10,
        };
        let globs = Globs::new(&options).unwrap();
        let found = |most| walk(&Context::default(), folder.path(), &options, &globs, most);
        assert_eq!(found(4).unwrap(), [folder.path().join("c.md")]);
        let error = found(3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.hint().unwrap().contains("`exclude`"));
    }
}
