//! Sources of an ingest: the files that paths and globs lead to, pages, records, and their texts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    time::Duration,
};

use aikit_core::{
    Error, ErrorKind, Result, io,
    services::{HttpRequest, ListOptions},
    storage::DocumentHead,
    tool::ToolContext,
    value::Map,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    ingest::Skipped,
    loaders::{self, Loader},
};

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Largest page that is read, after decompression, and how long it may take.
const PAGE_BYTES_MAX: u64 = 16 << 20;
const PAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// Most files of one source.
const FILES_MAX: usize = 100_000;

/// Where documents come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file, a folder with everything below, a glob such as `docs/*.md` or `docs/**/*.md`, or the
    /// address of a page, `https://…`.
    Path(String),
    /// A text given by the caller.
    Record(Record),
}

/// A text given by the caller.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Identity; a later record with it replaces this one.
    pub id: String,
    /// The text.
    pub text: String,
    /// Its title; the first heading when it is not given.
    #[serde(default)]
    pub title: Option<String>,
    /// Name of a loader such as `markdown`; plain text when it is not given.
    #[serde(default)]
    pub format: Option<String>,
    /// What is known about it; comes back with hits.
    #[serde(default)]
    pub metadata: Map,
}

/// One document to be.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) origin: Option<String>,
    pub(super) content: Content,
    pub(super) metadata: Map,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    File,
    Page,
    Record(Record),
}

/// What the sources lead to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) items: BTreeMap<String, Item>,
    ids: BTreeSet<String>,
    /// Folders that were listed, as ids write them.
    folders: Vec<PathBuf>,
    /// Sources that lead nowhere.
    pub(super) failed: Vec<(String, Error)>,
    /// Files of folders that no loader is for.
    unknown: BTreeSet<String>,
}

pub(super) type Heads = HashMap<String, DocumentHead>;

/// Finds what `sources` lead to; every document of theirs has the metadata `given`.
///
/// # Errors
///
/// What ends the whole call, and the first source's own when nothing at all was found.
pub(super) async fn find(
    cx: &ToolContext,
    sources: Vec<Source>,
    given: &Map,
    heads: &Heads,
) -> Result<Found> {
    let mut found = Found::default();
    for source in sources {
        match source {
            Source::Record(record) if found.ids.contains(&record.id) => {
                found.failed.push((record.id, given_twice()));
            }
            Source::Record(record) => {
                let mut metadata = given.clone();
                metadata.extend(record.metadata.clone());
                found.push(Item {
                    id: record.id.clone(),
                    origin: None,
                    content: Content::Record(record),
                    metadata,
                });
            }
            Source::Path(address) if is_address(&address) => found.push(Item {
                id: address.split('#').next().unwrap_or_default().to_owned(),
                origin: None,
                content: Content::Page,
                metadata: given.clone(),
            }),
            Source::Path(path) => match list(cx, &path, heads).await {
                Ok(listing) => {
                    found.folders.extend(listing.folder);
                    found.unknown.extend(listing.unknown);
                    for file in listing.files {
                        found.push(Item {
                            id: file,
                            origin: Some(path.clone()),
                            content: Content::File,
                            metadata: given.clone(),
                        });
                    }
                }
                Err(error) if ends_the_call(&error) => return Err(error),
                Err(error) => found.failed.push((path, error)),
            },
        }
    }
    // Nothing to ingest at all is a mistake of the caller, not a detail of a report.
    if found.items.is_empty() && found.folders.is_empty() && !found.failed.is_empty() {
        return Err(found.failed.swap_remove(0).1);
    }
    Ok(found)
}

fn given_twice() -> Error {
    Error::invalid_args("another source of the same call has this id")
        .with_hint("give each record an id of its own")
}

/// Errors that concern the whole call, not one source.
pub(super) fn ends_the_call(error: &Error) -> bool {
    use ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::Cancelled
            | Kind::Interrupted
            | Kind::Timeout
            | Kind::Unavailable
            | Kind::ModelAuth
            | Kind::NoSpace
            | Kind::Internal
    )
}

impl Found {
    fn push(&mut self, item: Item) {
        self.ids.insert(item.id.clone());
        self.items.insert(item.id.clone(), item);
    }

    /// The files that were left out; not those that another source names by themselves.
    pub(super) fn skipped(&self) -> Vec<Skipped> {
        let files = self.unknown.iter().filter(|it| !self.ids.contains(*it));
        let skipped = files.map(|file| Skipped {
            source: file.clone(),
            reason: match Path::new(file).extension() {
                Some(ending) => format!("no loader reads `.{}`", ending.to_string_lossy()),
                None => "its name has no ending".to_owned(),
            },
        });
        skipped.collect()
    }

    /// Whether a stored document came from a file below a folder that was listed, but was not
    /// found there.
    pub(super) fn misses(&self, head: &DocumentHead) -> bool {
        !self.ids.contains(&head.id) && self.folders.iter().any(|it| is_below(it, head))
    }
}

/// Whether a document came from a file below `folder`.
fn is_below(folder: &Path, head: &DocumentHead) -> bool {
    let id = Path::new(&head.id);
    // An empty path is the working directory; what is outside of it has an absolute id.
    let is_inside = id.starts_with(folder) && (id.is_relative() || folder.is_absolute());
    // Pages and records have no origin: they are below no folder.
    is_inside && head.origin.is_some()
}

/// What a path or a glob leads to.
#[derive(Debug)]
struct Listing {
    /// The folder that was listed, as ids write it; `None` for a file named by itself.
    folder: Option<PathBuf>,
    files: Vec<String>,
    /// Other files of the folder, which no loader is for.
    unknown: Vec<String>,
}

/// The files a path or a glob leads to. A file named by itself is taken whatever its name.
async fn list(cx: &ToolContext, path: &str, heads: &Heads) -> Result<Listing> {
    let files = cx.services.files()?;
    // A file may have a name that reads like a glob.
    let is_there = || async { files.resolve(&cx.context, path).await.is_ok() };
    let (folder, glob) = match split_glob(path) {
        (_, Some(_)) if is_there().await => (path, None),
        split => split,
    };
    let options = ListOptions {
        hidden: false,
        // What the caller names is read, also where it is generated and not versioned.
        honour_ignore: false,
        // The slash binds it to the folder: without one, a glob fits at any depth.
        include: glob.iter().map(|it| format!("/{it}")).collect(),
        exclude: Vec::new(),
        max_entries: FILES_MAX,
    };
    let found = files.list(&cx.context, folder, options).await?;
    if found.len() >= FILES_MAX {
        let message = format!("`{path}` leads to {FILES_MAX} files or more");
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("ingest its folders one by one"));
    }
    let resolved = files.resolve(&cx.context, folder).await?;
    let found = found
        .into_iter()
        .map(|file| file.to_string_lossy().into_owned());
    let found: Vec<String> = found.collect();
    if found.len() == 1 && Path::new(&found[0]) == resolved {
        return Ok(Listing {
            folder: None,
            files: found,
            unknown: Vec::new(),
        });
    }
    let (known, unknown): (Vec<String>, Vec<String>) =
        found.into_iter().partition(|it| Loader::find(it).is_some());
    // A folder that was emptied since is not the same as one that never had any document.
    let had_some = || heads.values().any(|head| is_below(&resolved, head));
    if known.is_empty() && !had_some() {
        let endings = loaders::LOADERS.iter().flat_map(|it| it.extensions);
        let endings: Vec<&str> = endings.copied().collect();
        let hint = format!("files that end in one of {} are read", endings.join(", "));
        return Err(Error::not_found(format!("no documents found at `{path}`")).with_hint(hint));
    }
    Ok(Listing {
        folder: Some(resolved),
        files: known,
        unknown,
    })
}

/// `docs/**/*.md` → `docs` and `**/*.md`; a path without a glob is all folder.
fn split_glob(path: &str) -> (&str, Option<&str>) {
    let Some(special) = path.find(['*', '?', '[', '{']) else {
        return (path, None);
    };
    match path[..special].rfind('/') {
        Some(0) => ("/", Some(&path[1..])),
        Some(end) => (&path[..end], Some(&path[end + 1..])),
        None => (".", Some(path)),
    }
}

/// Whether a source is the address of a page, not a path.
fn is_address(source: &str) -> bool {
    let scheme = source.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|it| it.eq_ignore_ascii_case("http") || it.eq_ignore_ascii_case("https"))
}

/// The text of an item, what reads it, and its title where the caller gave one.
pub(super) async fn read(
    cx: &ToolContext,
    item: &Item,
) -> Result<(String, &'static Loader, Option<String>)> {
    match &item.content {
        Content::File => read_file(cx, &item.id).await,
        Content::Page => read_page(cx, &item.id).await,
        Content::Record(record) => {
            let loader = match record.format.as_deref() {
                None => Loader::plain(),
                Some(name) => Loader::named(name)?,
            };
            Ok((record.text.clone(), loader, record.title.clone()))
        }
    }
}

async fn read_file(
    cx: &ToolContext,
    path: &str,
) -> Result<(String, &'static Loader, Option<String>)> {
    let files = cx.services.files()?;
    let part = files.read(&cx.context, path, 0, FILE_BYTES_MAX).await?;
    if part.total_bytes > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes", part.total_bytes);
        return Err(Error::new(ErrorKind::LimitExceeded, message)
            .with_hint(format!("files up to {FILE_BYTES_MAX} bytes are read")));
    }
    let loader = Loader::find(path).unwrap_or_else(Loader::plain);
    let text = io::spawn_blocking(move || {
        loader
            .decode(&part.bytes, None)
            .ok_or_else(|| is_binary("the file is binary, not text"))
    });
    Ok((text.await?, loader, None))
}

/// Fetches a page through the guarded client.
async fn read_page(
    cx: &ToolContext,
    address: &str,
) -> Result<(String, &'static Loader, Option<String>)> {
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: address.to_owned(),
        headers: vec![(
            "accept".to_owned(),
            "text/html, text/markdown, text/plain, */*;q=0.5".to_owned(),
        )],
        body: None,
        timeout: PAGE_TIMEOUT,
        max_bytes: PAGE_BYTES_MAX,
    };
    let response = cx.services.http()?.send(&cx.context, request).await?;
    if !(200..300).contains(&response.status) {
        let message = format!("the server answered with status {}", response.status);
        let kind = match response.status {
            404 | 410 => ErrorKind::NotFound,
            _ => ErrorKind::Network,
        };
        return Err(Error::new(kind, message).with_hint("open the address in a browser"));
    }
    let headers = response.headers.iter();
    let mut content_type = headers.filter(|(name, _)| name == "content-type");
    let content_type = content_type.next().map(|(_, value)| value.clone());
    let path = Url::parse(&response.url).map_or_else(|_| String::new(), |it| it.path().to_owned());
    let said = content_type.as_deref().unwrap_or_default();
    let loader = Loader::of_media_type(said, &path)
        .ok_or_else(|| is_binary(&format!("the page is `{said}`, not text")))?;
    let text = io::spawn_blocking(move || {
        loader
            .decode(&response.body, content_type.as_deref())
            .ok_or_else(|| is_binary("the page is binary, not text"))
    });
    Ok((text.await?, loader, None))
}

fn is_binary(message: &str) -> Error {
    let names: Vec<&str> = loaders::LOADERS.iter().map(|it| it.name).collect();
    Error::invalid_args(message).with_hint(format!("convert it to one of {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_path() {
        for address in ["http://a.b/c", "HTTPS://a"] {
            assert!(is_address(address), "{address}");
        }
        for path in ["https", "a/http://b", "ftp://a", "docs", "file:///a"] {
            assert!(!is_address(path), "{path}");
        }
    }

    #[test]
    fn a_glob_is_split_from_the_folder_it_begins_in() {
        assert_eq!(split_glob("docs"), ("docs", None));
        assert_eq!(split_glob("docs/**/*.md"), ("docs", Some("**/*.md")));
        assert_eq!(split_glob("a/b?/c.md"), ("a", Some("b?/c.md")));
        assert_eq!(split_glob("*.md"), (".", Some("*.md")));
        assert_eq!(split_glob("/*.md"), ("/", Some("*.md")));
    }
}
