//! The store of a project, `.aikit/aikit.db`: opened on first use, shared by all that one session
//! keeps, and divided among tenants.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aikit_core::{
    Context, Error, ErrorKind, Result,
    storage::{Entry, KeyValueStore},
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    config,
    security::{folder, home, policy::Profile},
    storage,
};

/// The file, below the working directory.
pub const STORE_PATH: &str = ".aikit/aikit.db";

/// Fewest entries that are read at once, but where they are large.
const PAGE_MIN: usize = 16;

/// Most entries that are read at once.
const PAGE_MAX: usize = 512;

/// What is read at once shall not be larger.
const PAGE_BYTES: usize = 1 << 20;

/// How often a write is tried when others write the same keys.
const ATTEMPTS_MAX: u32 = 64;

/// Longest pause between two attempts is 2 to this power in milliseconds.
const PAUSE_EXPONENT_MAX: u32 = 6;

/// What a session keeps beyond its end. A cheap handle.
#[derive(Clone, Debug)]
pub struct Project(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    working_directory: PathBuf,
    profile: Profile,
    home: Option<PathBuf>,
    opened: Mutex<Option<Opened>>,
}

/// The store, and which file it was when it was opened.
#[derive(Clone, Debug)]
struct Opened {
    identity: Option<(u64, u64)>,
    keys: Arc<dyn KeyValueStore>,
}

/// Where a store is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Place {
    /// The file of the project.
    #[default]
    Project,
    /// A SQLite file.
    File(PathBuf),
    /// In memory, as long as its handles.
    Memory,
}

impl Place {
    /// Reads `sqlite:PATH` or `memory:`; nothing means the file of the project.
    ///
    /// # Errors
    ///
    /// `invalid_args` for anything else.
    pub fn parse(url: Option<&str>) -> Result<Self> {
        let Some(url) = url else {
            return Ok(Self::Project);
        };
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.trim().is_empty() && !path.contains('\0') => {
                Ok(Self::File(PathBuf::from(path)))
            }
            _ => Err(
                Error::invalid_args(format!("`{url}` is no place of a store")).with_hint(
                    "give `sqlite:PATH` or `memory:`, or nothing for the project's store",
                ),
            ),
        }
    }
}

impl Project {
    /// The project whose working directory is `working_directory`; nothing is opened yet.
    pub fn new(working_directory: PathBuf, profile: Profile) -> Self {
        Self::with_home(working_directory, profile, None)
    }

    /// The same, where `~` at the beginning of a path stands for `home`.
    pub fn with_home(working_directory: PathBuf, profile: Profile, home: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner {
            working_directory,
            profile,
            home,
            opened: Mutex::default(),
        }))
    }

    /// Where a given path leads.
    fn located(&self, given: &Path) -> Result<PathBuf> {
        let given = match given.to_str() {
            Some(given) => home::expand(self.0.home.as_deref(), given)?,
            None => given.to_owned(),
        };
        Ok(self.0.working_directory.join(given))
    }

    /// The file of the store.
    pub fn path(&self) -> PathBuf {
        self.0.working_directory.join(STORE_PATH)
    }

    /// The store of the project, made when there is none.
    ///
    /// # Errors
    ///
    /// `denied` when a symbolic link leads elsewhere, those of the store.
    pub async fn keys(&self) -> Result<Arc<dyn KeyValueStore>> {
        let path = self.path();
        let is_same = |opened: &Opened| opened.identity == storage::identity(&path);
        // A file that was deleted or replaced is opened anew; handles of the old one say so.
        if let Some(opened) = self.opened().clone().filter(is_same) {
            return Ok(opened.keys);
        }
        self.check_inside(&path, Path::new(STORE_PATH))?;
        let keys = open_file(path.clone()).await?;
        let opened = Opened {
            identity: storage::identity(&path),
            keys,
        };
        let mut kept = self.opened();
        // Whoever was first is kept, so that one process has one thread that writes.
        match kept.clone().filter(is_same) {
            Some(first) => Ok(first.keys),
            None => Ok(kept.insert(opened).keys.clone()),
        }
    }

    /// The store at `place`, for a program: any path.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn open(&self, place: &Place) -> Result<Arc<dyn KeyValueStore>> {
        match place {
            Place::Project => self.keys().await,
            Place::File(path) => open_file(self.located(path)?).await,
            Place::Memory => Ok(storage::find("memory")?.open(None).await?.keys),
        }
    }

    /// The store at `place`, for a script: nothing outside the working directory.
    ///
    /// # Errors
    ///
    /// `denied` for a path that leads elsewhere, by a symbolic link too, or is the configuration's;
    /// those of the store.
    pub async fn open_inside(&self, place: &Place) -> Result<Arc<dyn KeyValueStore>> {
        if let Place::File(given) = place {
            let path = self.located(given)?;
            if path.file_name() == Some(config::FILE_NAME.as_ref()) {
                let message = format!("`{}` is the place of the configuration", given.display());
                return Err(
                    Error::new(ErrorKind::Denied, message).with_hint("give the store another name")
                );
            }
            self.check_inside(&path, given)?;
        }
        self.open(place).await
    }

    fn check_inside(&self, path: &Path, given: &Path) -> Result<()> {
        if folder::is_inside(&self.0.working_directory, path) {
            return Ok(());
        }
        let given = given.display();
        let message = format!("a store at `{given}` would be outside the working directory");
        Err(Error::new(ErrorKind::Denied, message)
            .with_hint("give a path below the working directory, without `..` and links elsewhere"))
    }

    /// The part of a store that belongs to the tenant of a call.
    ///
    /// # Errors
    ///
    /// `denied` without a tenant where many users share the process.
    pub fn space(&self, cx: &Context) -> Result<Space> {
        match (&cx.principal().tenant_id, self.0.profile) {
            (Some(tenant), _) => Ok(Space(format!("t-{}", escape(tenant)))),
            (None, Profile::Notebook) => Ok(Space("-".to_owned())),
            (None, Profile::Served) => {
                let message = "a session of the profile `served` keeps nothing without a tenant";
                Err(Error::new(ErrorKind::Denied, message)
                    .with_hint("the host names the tenant when it starts the session"))
            }
        }
    }

    /// Who uses this process.
    pub(crate) fn profile(&self) -> Profile {
        self.0.profile
    }

    fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
        // A std mutex: it is never held across an await.
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open_file(path: PathBuf) -> Result<Arc<dyn KeyValueStore>> {
    if path.is_dir() {
        return Err(
            Error::invalid_args(format!("the store `{}` is a folder", path.display()))
                .with_hint("give the path of a file, which is made when it does not exist"),
        );
    }
    Ok(storage::find("sqlite")?.open(Some(path)).await?.keys)
}

/// The keys of one tenant in a store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Space(String);

impl Space {
    /// The beginning of all keys of `subject`, with a slash at its end.
    pub fn prefix(&self, subject: &str) -> String {
        format!("{subject}/{}/", self.0)
    }
}

/// A part of a key, without the slash that separates parts.
pub(crate) fn escape(part: &str) -> String {
    part.replace('%', "%25").replace('/', "%2F")
}

/// The part that [`escape`] wrote.
pub(crate) fn unescape(part: &str) -> String {
    part.replace("%2F", "/").replace("%25", "%")
}

/// Refuses what cannot be an identity or a name: empty, too long, with control characters.
pub(crate) fn check_name(what: &str, name: &str, bytes_max: usize) -> Result<()> {
    let problem = if name.trim().is_empty() {
        "is empty".to_owned()
    } else if name.len() > bytes_max {
        format!("is longer than {bytes_max} bytes")
    } else if name.chars().any(char::is_control) {
        "has control characters".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(40).collect();
    let shown = shown.escape_debug();
    Err(Error::invalid_args(format!("{what} `{shown}` {problem}"))
        .with_hint(format!("give up to {bytes_max} bytes of printable text")))
}

/// What is stored of `value`; `what` names it in errors.
///
/// # Errors
///
/// `limit_exceeded` when it is larger than `bytes_max`.
pub(crate) fn encode<T: Serialize>(what: &str, value: &T, bytes_max: usize) -> Result<Bytes> {
    let encoded = rmp_serde::to_vec_named(value).map_err(|error| {
        Error::invalid_args(format!("{what} cannot be stored: {error}")).with_source(error)
    })?;
    if encoded.len() > bytes_max {
        let message = format!(
            "{what} takes {} bytes, more than {bytes_max}",
            encoded.len()
        );
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("store it in parts, or as an artifact"));
    }
    Ok(Bytes::from(encoded))
}

/// What [`encode`] wrote.
///
/// # Errors
///
/// `corrupt_record` for anything else.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    rmp_serde::from_slice(bytes).map_err(|error| {
        Error::new(ErrorKind::CorruptRecord, format!("{what} cannot be read"))
            .with_hint("write it again; the others are readable")
            .with_source(error)
    })
}

/// What `take` makes of the first `most` entries below `prefix`. They are read in pages that hold
/// few of them where they are large.
pub(crate) async fn collect<T: Send>(
    keys: &dyn KeyValueStore,
    prefix: &str,
    most: usize,
    mut take: impl FnMut(Entry) -> T + Send,
) -> Result<Vec<T>> {
    let mut found: Vec<T> = Vec::new();
    let mut after: Option<String> = None;
    let mut page = PAGE_MIN;
    loop {
        let limit = page.min(most.saturating_sub(found.len()));
        let entries = keys.scan(prefix, after.as_deref(), limit).await?;
        let Some(last) = entries.last() else {
            return Ok(found);
        };
        after = Some(last.key.clone());
        let records = entries
            .iter()
            .filter_map(|entry| entry.record.as_ref().ok());
        let bytes: usize = records.map(|record| record.value.len()).sum();
        page = if bytes > PAGE_BYTES {
            (page / 2).max(1)
        } else {
            (page * 2).min(PAGE_MAX)
        };
        found.extend(entries.into_iter().map(&mut take));
    }
}

/// The attempts of a write that others may get in the way of.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    cx: &'a Context,
    made: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) const fn new(cx: &'a Context) -> Self {
        Self { cx, made: 0 }
    }

    /// Waits a moment after a conflict, so that the write is tried again.
    ///
    /// # Errors
    ///
    /// `error` itself when it is no conflict, or one too many; why the call was stopped.
    pub(crate) async fn again(&mut self, error: Error) -> Result<()> {
        self.made += 1;
        if error.kind() != ErrorKind::Conflict {
            return Err(error);
        }
        if self.made == ATTEMPTS_MAX {
            let message = format!("{}, after {ATTEMPTS_MAX} attempts", error.message());
            return Err(Error::new(ErrorKind::Conflict, message)
                .with_hint("others write the same keys all the time: try again later"));
        }
        let clock = self.cx.clock();
        // Of several that were in each other's way, each waits for another time.
        let most_us = 1_000_u32 << self.made.min(PAUSE_EXPONENT_MAX);
        let pause = Duration::from_micros(u64::from(most_us)).mul_f64(clock.jitter());
        self.cx.within(clock.sleep(pause)).await
    }
}

#[cfg(test)]
mod tests {
    use aikit_core::{
        context::{Overrides, Principal},
        io,
    };

    use super::*;

    fn of_tenant(tenant: Option<&str>) -> Context {
        Context::create(Overrides {
            principal: Some(Principal {
                tenant_id: tenant.map(str::to_owned),
                ..Principal::default()
            }),
            ..Overrides::default()
        })
    }

    #[test]
    fn parts_of_keys_come_back_as_they_were() {
        for part in ["", "a", "a/b", "%2F", "100%", "/%/", "é\u{1f980}"] {
            assert!(!escape(part).contains('/'), "{part}");
            assert_eq!(unescape(&escape(part)), part);
        }
    }

    #[test]
    fn tenants_do_not_share_a_prefix_and_served_needs_one() {
        let folder = PathBuf::from("/none");
        let open = Project::new(folder.clone(), Profile::Notebook);
        let prefix = |tenant| open.space(&of_tenant(tenant)).unwrap().prefix("state");
        assert_eq!(prefix(None), "state/-/");
        assert_eq!(prefix(Some("-")), "state/t--/");
        assert_eq!(prefix(Some("a/b")), "state/t-a%2Fb/");
        let served = Project::new(folder, Profile::Served);
        let refused = served.space(&of_tenant(None)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied);
        assert!(served.space(&of_tenant(Some("a"))).is_ok());
    }

    #[test]
    fn places_are_urls_and_stay_inside_for_a_script() {
        let file = |path: &str| Ok(Place::File(PathBuf::from(path)));
        for (url, expected) in [
            (None, Ok(Place::Project)),
            (Some("memory:"), Ok(Place::Memory)),
            (Some("sqlite:a/b.db"), file("a/b.db")),
            (Some("sqlite:"), Err(ErrorKind::InvalidArgs)),
            (Some("memory:x"), Err(ErrorKind::InvalidArgs)),
            (Some("a.db"), Err(ErrorKind::InvalidArgs)),
        ] {
            let parsed = Place::parse(url).map_err(|error| error.kind());
            assert_eq!(parsed, expected, "{url:?}");
        }
        let home = tempfile::tempdir().unwrap();
        let above = home.path().parent().map(Path::to_owned);
        let project = Project::with_home(home.path().to_owned(), Profile::Notebook, above);
        let name = home.path().file_name().unwrap().to_str().unwrap();
        let from_home = format!("~/{name}/b.db");
        for (path, allowed) in [
            (&*from_home, true),
            ("~/b.db", false),
            ("a.db", true),
            ("below/a.db", true),
            ("../a.db", false),
            ("/etc/a.db", false),
            ("aikit.toml", false),
        ] {
            let (project, place) = (project.clone(), Place::File(PathBuf::from(path)));
            let opened = async move { project.open_inside(&place).await.map(drop) };
            let opened = io::wait(opened, || Ok(())).unwrap();
            assert_eq!(opened.is_ok(), allowed, "{path}: {opened:?}");
        }
    }

    #[test]
    fn a_store_that_was_deleted_is_opened_anew() {
        let home = tempfile::tempdir().unwrap();
        let project = Project::new(home.path().to_owned(), Profile::Notebook);
        let opened = async move {
            let first = project.keys().await?;
            assert!(Arc::ptr_eq(&first, &project.keys().await?));
            std::fs::remove_file(project.path())?;
            let second = project.keys().await?;
            Ok::<_, Error>(Arc::ptr_eq(&first, &second))
        };
        assert!(!io::wait(opened, || Ok(())).unwrap().unwrap());
    }
}
