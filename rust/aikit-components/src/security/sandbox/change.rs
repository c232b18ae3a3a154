//! Writing and deleting below the folders of a session. The folder of a file is held open from
//! the moment its path is resolved, so what was approved is what is changed.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    context::Caller,
    io,
    services::{Change, ChangeKind, Decision, NewContent, Permission, Target, WriteMode, Written},
};
use cap_std::fs::{Dir, Metadata, MetadataExt as _, Permissions};

use super::{
    PathGuard, PlaceKind, Root, denied, enforce, explain, lost, names_folder, not_regular,
    put::{append, place_new, write_temporary},
};

/// Largest file that is written at once.
const WRITE_BYTES_MAX: usize = 64 << 20;

/// How often a path is looked for that others make and take away meanwhile.
const LOOKS_MAX: usize = 16;

/// Most files and folders that one call deletes.
const DELETED_MAX: usize = 10_000;

/// Where something is changed.
struct Spot {
    /// The nearest folder that is there.
    folder: Dir,
    /// Folders below it that are missing.
    missing: PathBuf,
    name: OsString,
    absolute: PathBuf,
    found: Option<Found>,
}

/// What is there now.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Found {
    kind: PlaceKind,
    is_link: bool,
    bytes: u64,
    /// Device, number, and time of the last change in seconds and nanoseconds: a file that was
    /// replaced or written has others.
    version: (u64, u64, i64, i64),
}

impl From<&Metadata> for Found {
    fn from(metadata: &Metadata) -> Self {
        let place = (metadata.dev(), metadata.ino());
        Self {
            kind: PlaceKind::of(metadata.file_type()),
            is_link: metadata.file_type().is_symlink(),
            bytes: metadata.len(),
            version: (place.0, place.1, metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Found {
    /// Whether it is the same file, whatever is in it now.
    fn is_same_file(self, other: Self) -> bool {
        let place = |it: Self| (it.kind, it.is_link, it.version.0, it.version.1);
        place(self) == place(other)
    }
}

impl PathGuard {
    pub(super) async fn write_file(
        &self,
        cx: &Context,
        path: &str,
        content: NewContent,
    ) -> Result<Written> {
        if content.bytes.len() > WRITE_BYTES_MAX {
            let message = format!("`content` is larger than {WRITE_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("write it in parts, with `mode` = `append`"));
        }
        if names_folder(path) {
            return Err(Error::invalid_args(format!("`{path}` names a folder"))
                .with_hint("name a file in it; missing folders are made with the file"));
        }
        let spot = self.spot(cx, path, true).await?;
        let old_bytes = match spot.found.map(|it| (it.kind, it.bytes)) {
            None => None,
            Some((PlaceKind::Folder, _)) => {
                return Err(Error::invalid_args(format!("`{path}` is a folder"))
                    .with_hint("name a file in it"));
            }
            Some((PlaceKind::Other(what), _)) => return Err(not_regular(path, what)),
            Some((PlaceKind::File, bytes)) => Some(bytes),
        };
        let kind = match (content.mode, content.expected.is_some()) {
            (WriteMode::Append, _) => ChangeKind::Append,
            (_, true) => ChangeKind::Edit,
            (_, false) => ChangeKind::Write,
        };
        let change = Change {
            kind,
            old_bytes,
            new_bytes: content.bytes.len() as u64,
            entries: 0,
            detail: if content.detail.is_empty() && cx.caller() == Caller::Agent {
                String::from_utf8_lossy(&content.bytes).into_owned()
            } else {
                content.detail.clone()
            },
        };
        if content.mode == WriteMode::Create && old_bytes.is_some() {
            // Whoever may not write here is not told what there is, and nobody is asked in vain.
            self.refuse(cx, &spot.absolute, &change)?;
            return Err(exists(path));
        }
        self.enforce_change(cx, &spot.absolute, &change).await?;
        let shown = self.shown(&spot.absolute);
        // An identity: what a script draws of a cassette does not depend on what is written.
        let temporary = format!(".aikit-{}.tmp", cx.clock().uuid().simple());
        let named = path.to_owned();
        // What the user's own code writes was described to nobody.
        let was_described = cx.caller() == Caller::Agent;
        let written = move || spot.write(&named, &content, &temporary, was_described);
        Ok(Written {
            path: shown,
            total_bytes: io::spawn_blocking(written).await?,
            created: old_bytes.is_none(),
        })
    }

    pub(super) async fn delete_path(
        &self,
        cx: &Context,
        path: &str,
        recursive: bool,
        dry_run: bool,
    ) -> Result<Vec<PathBuf>> {
        let spot = self.spot(cx, path, false).await?;
        let Some(found) = spot.found else {
            return Err(explain(path, std::io::ErrorKind::NotFound.into()));
        };
        let is_folder = found.kind == PlaceKind::Folder && !found.is_link;
        let spot = Arc::new(spot);
        let inner = if is_folder {
            let (spot, cx, named) = (Arc::clone(&spot), cx.clone(), path.to_owned());
            io::spawn_blocking(move || spot.inner(&cx, &named)).await?
        } else {
            Vec::new()
        };
        if !inner.is_empty() && !recursive {
            let message = format!("the folder `{path}` is not empty");
            return Err(Error::invalid_args(message).with_hint(
                "set `recursive` to delete what is in it as well; `dry_run` says what that is",
            ));
        }
        let change = Change {
            kind: ChangeKind::Delete,
            old_bytes: (!is_folder).then_some(found.bytes),
            new_bytes: 0,
            entries: inner.len() as u64,
            detail: String::new(),
        };
        // What may not be deleted may not be deleted with its folder either.
        let all = || inner.iter().chain([&spot.absolute]);
        for path in all() {
            self.refuse(cx, path, &change)?;
        }
        let shown = all().map(|it| self.shown(it)).collect();
        if dry_run {
            return Ok(shown);
        }
        self.enforce_change(cx, &spot.absolute, &change).await?;
        let (cx, named) = (cx.clone(), path.to_owned());
        io::spawn_blocking(move || spot.delete(&cx, &named, is_folder, &inner)).await?;
        Ok(shown)
    }

    /// Fails where the change is not possible, whoever is asked.
    fn refuse(&self, cx: &Context, path: &Path, change: &Change) -> Result<()> {
        let target = Target::Change { path, change };
        match self.policy.decide(cx, Permission::FileWrite, target) {
            Decision::Deny { rule, hint } => Err(denied(&rule, &hint)),
            _ => Ok(()),
        }
    }

    async fn enforce_change(&self, cx: &Context, path: &Path, change: &Change) -> Result<()> {
        let (policy, ask) = (&*self.policy, self.ask.as_deref());
        let target = Target::Change { path, change };
        enforce(cx, policy, ask, Permission::FileWrite, target).await
    }

    /// Where `path` leads; with `follow` a link in its last part is followed.
    async fn spot(&self, cx: &Context, path: &str, follow: bool) -> Result<Spot> {
        let (absolute, root) = self.root_of(path)?;
        let Some(root) = root.filter(|it| it.path != absolute) else {
            // The policy says why; one that would allow it cannot give what is not held open.
            let change = Change {
                kind: ChangeKind::Write,
                old_bytes: None,
                new_bytes: 0,
                entries: 0,
                detail: String::new(),
            };
            self.enforce_change(cx, &absolute, &change).await?;
            return Err(denied(
                &format!("`{path}` is not below the folders of this session"),
                "name a file below the working directory",
            ));
        };
        let relative = absolute.strip_prefix(&root.path);
        let relative = relative.unwrap_or(&absolute).to_owned();
        let named = path.to_owned();
        io::spawn_blocking(move || {
            Spot::find(&root, &relative, follow).map_err(|error| match error {
                Lost::System(error) => lost(&root, &relative, &named, error),
                Lost::Dangling => {
                    let message = format!("`{named}` is a link that leads nowhere");
                    Error::invalid_args(message).with_hint("delete the link, or name another file")
                }
            })
        })
        .await
    }
}

/// Why a path leads nowhere.
enum Lost {
    System(std::io::Error),
    Dangling,
}

impl From<std::io::Error> for Lost {
    fn from(error: std::io::Error) -> Self {
        Self::System(error)
    }
}

impl Spot {
    fn find(root: &Root, relative: &Path, follow: bool) -> Result<Self, Lost> {
        let resolved = if follow {
            canonical(&root.folder, relative)?
        } else {
            None
        };
        let path = resolved.as_deref().unwrap_or(relative);
        let name = path.file_name().unwrap_or_default().to_owned();
        let mut start = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut missing = PathBuf::new();
        let start = loop {
            if start.as_os_str().is_empty() {
                break start;
            }
            if let Some(found) = canonical(&root.folder, &start)? {
                break found;
            }
            let last = start.file_name().unwrap_or_default().to_owned();
            missing = Path::new(&last).join(missing);
            start.pop();
        };
        let here = if start.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &start
        };
        let folder = root.folder.open_dir(here)?;
        let found = folder.symlink_metadata(&name).ok();
        let found = found
            .filter(|_| missing.as_os_str().is_empty())
            .map(|it| Found::from(&it));
        // Put together anew: joining with nothing leaves a slash behind.
        let absolute = root.path.join(here).join(&missing).join(&name);
        Ok(Self {
            absolute: absolute.components().collect(),
            folder,
            missing,
            name,
            found,
        })
    }

    /// Writes; answers the size of the file.
    fn write(
        &self,
        named: &str,
        content: &NewContent,
        temporary: &str,
        was_described: bool,
    ) -> Result<u64> {
        let fail = |error| failed(named, "written", error);
        let made;
        let folder = if self.missing.as_os_str().is_empty() {
            &self.folder
        } else {
            self.folder.create_dir_all(&self.missing).map_err(fail)?;
            made = self.folder.open_dir(&self.missing).map_err(fail)?;
            &made
        };
        let is_append = content.mode == WriteMode::Append;
        let found = folder.symlink_metadata(&self.name).ok();
        let found = found.as_ref().map(Found::from);
        let is_same = if was_described {
            self.is_still(found, is_append)
        } else {
            found.is_none_or(|it| it.kind == PlaceKind::File && !it.is_link)
        };
        if !is_same {
            return Err(changed(named));
        }
        let add = || append(folder, &self.name, &content.bytes).map_err(fail);
        if is_append && found.is_some() {
            return add();
        }
        let rights = self.still_expected(folder, named, content)?;
        let written = write_temporary(folder, temporary, &content.bytes, rights);
        let placed = written.and_then(|()| match content.mode {
            WriteMode::Overwrite if self.found.is_some() || !was_described => {
                folder.rename(temporary, folder, &self.name)
            }
            _ => place_new(folder, temporary, &self.name),
        });
        if let Err(error) = placed {
            drop(folder.remove_file(temporary));
            return match error.kind() {
                // Another one has begun the file.
                std::io::ErrorKind::AlreadyExists if is_append && !was_described => add(),
                std::io::ErrorKind::AlreadyExists => Err(changed(named)),
                _ => Err(fail(error)),
            };
        }
        // The name is to be on the disk too; some file systems do not synchronise folders.
        if let Ok(folder) = folder.open(".") {
            drop(folder.sync_all());
        }
        Ok(content.bytes.len() as u64)
    }

    /// Whether the same is there as when the change was described and approved. What is added at
    /// the end of a file may follow what others added.
    fn is_still(&self, found: Option<Found>, is_append: bool) -> bool {
        match (found, self.found) {
            (Some(now), Some(then)) if is_append => now.is_same_file(then),
            (now, then) => now == then,
        }
    }

    /// Deletes what was listed and nothing else.
    fn delete(&self, cx: &Context, named: &str, is_folder: bool, inner: &[PathBuf]) -> Result<()> {
        let fail = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::DirectoryNotEmpty => changed(named),
            _ => failed(named, "deleted", error),
        };
        if !is_folder {
            let found = self.folder.symlink_metadata(&self.name).ok();
            if !self.is_still(found.as_ref().map(Found::from), false) {
                return Err(changed(named));
            }
            return self.folder.remove_file(&self.name).map_err(fail);
        }
        if self.inner(cx, named)? != inner {
            return Err(changed(named));
        }
        let parent = self.absolute.parent().unwrap_or(&self.absolute);
        // What is in a folder comes after it.
        for path in inner.iter().rev() {
            cx.check()?;
            let below = path.strip_prefix(parent).unwrap_or(path);
            let metadata = self.folder.symlink_metadata(below).map_err(fail)?;
            let deleted = if metadata.is_dir() {
                self.folder.remove_dir(below)
            } else {
                self.folder.remove_file(below)
            };
            deleted.map_err(fail)?;
        }
        self.folder.remove_dir(&self.name).map_err(fail)
    }

    /// The rights of the file that is replaced; fails when its content is not what was read.
    fn still_expected(
        &self,
        folder: &Dir,
        named: &str,
        content: &NewContent,
    ) -> Result<Option<Permissions>> {
        if content.mode == WriteMode::Create {
            return Ok(None);
        }
        let metadata = folder.symlink_metadata(&self.name).ok();
        let rights = metadata
            .filter(Metadata::is_file)
            .map(|it| it.permissions());
        if let Some(expected) = &content.expected {
            let found = rights.as_ref().and_then(|_| folder.read(&self.name).ok());
            if found.as_deref() != Some(&expected[..]) {
                return Err(changed(named));
            }
        }
        Ok(rights)
    }

    /// All that is in the folder, sorted.
    fn inner(&self, cx: &Context, named: &str) -> Result<Vec<PathBuf>> {
        let fail = |error| explain(named, error);
        let parent = self.absolute.parent().unwrap_or(&self.absolute);
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::from(&self.name)];
        while let Some(folder) = folders.pop() {
            cx.check()?;
            for entry in self.folder.read_dir(&folder).map_err(fail)? {
                let entry = entry.map_err(fail)?;
                let path = folder.join(entry.file_name());
                found.push(parent.join(&path));
                if entry.file_type().map_err(fail)?.is_dir() {
                    folders.push(path);
                }
                if found.len() > DELETED_MAX {
                    let message =
                        format!("`{named}` has more than {DELETED_MAX} files and folders");
                    return Err(Error::new(ErrorKind::LimitExceeded, message)
                        .with_hint("delete the folders below it one by one"));
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Where a path below `folder` leads, if something is there.
fn canonical(folder: &Dir, path: &Path) -> Result<Option<PathBuf>, Lost> {
    for _ in 0..LOOKS_MAX {
        match folder.canonicalize(path) {
            Ok(found) => return Ok(Some(found)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        match folder.symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => return Err(Lost::Dangling),
            // It has appeared between the two looks.
            Ok(_) => {}
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

fn changed(named: &str) -> Error {
    let message = format!("`{named}` was changed by somebody else meanwhile");
    Error::new(ErrorKind::Conflict, message).with_hint("look at it again and repeat the change")
}

fn exists(named: &str) -> Error {
    Error::invalid_args(format!("`{named}` exists already")).with_hint(
        "set `mode` to `overwrite` or `append`, change parts of it with `edit_file`, or choose \
         another name",
    )
}

fn failed(named: &str, done: &str, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Kind;
    let (kind, hint) = match error.kind() {
        Kind::PermissionDenied => (
            ErrorKind::Denied,
            "change the permissions of its folder, or run as a user who may write there",
        ),
        Kind::StorageFull | Kind::QuotaExceeded => (ErrorKind::NoSpace, "free some space"),
        Kind::ReadOnlyFilesystem => (ErrorKind::Denied, "choose a folder that can be written"),
        _ => (ErrorKind::Io, "look at the folder it stands in"),
    };
    Error::new(kind, format!("`{named}` cannot be {done}: {error}"))
        .with_hint(hint)
        .with_source(error)
}
