//! Artifacts: stored outputs with a name, a media type and metadata; equal contents are kept once.

mod content;
mod references;

use std::sync::Arc;

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    storage::{Batch, Entry, KeyValueStore, Revision},
    tool::ToolContext,
    tracker::{Operation, track},
    value::Map,
};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use self::references::Counted;
use crate::{
    nearest,
    project::{self, Attempts, Place, Project, escape, unescape},
    sessions::{check_tags, now},
    state::Scope,
};

/// Largest content in bytes.
pub const ARTIFACT_BYTES_MAX: usize = 64 << 20;

/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 500;

/// Longest media type in bytes.
const MIME_BYTES_MAX: usize = 200;

/// Largest description in bytes: name, tags and metadata together.
const INFO_BYTES_MAX: usize = 1 << 20;

/// What a record takes beside its content, in bytes.
const FRAME_BYTES: usize = 64;

/// Most artifacts that are listed.
const ARTIFACTS_MAX: usize = 100_000;

/// Bytes of a file that are read at once.
const PART_BYTES: u64 = 4 << 20;

/// What is known about an artifact.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ArtifactInfo {
    /// Its name.
    pub name: String,
    /// BLAKE3 of the content, in hexadecimal digits; equal contents have equal ones.
    pub hash: String,
    /// How often something was put under this name.
    pub version: u64,
    /// Size of the content.
    pub size_bytes: u64,
    /// Media type.
    pub mime: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What the caller knows about it.
    pub metadata: Map,
    /// When it was put, in seconds since 1970 UTC.
    pub created_s: f64,
}

/// An artifact with its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    /// What is known about it.
    pub info: ArtifactInfo,
    /// The content: a text, data of JSON, or bytes, as its media type says.
    pub value: Value,
}

impl Artifact {
    /// What a front end shows: the content by its media type, and a text.
    pub fn bundle(&self) -> Map {
        content::bundle(&self.info, &self.value)
    }

    /// Description and content as one map, `value` among the fields of the description.
    ///
    /// # Errors
    ///
    /// `internal` when the description is no data.
    pub fn to_value(&self) -> Result<Value> {
        let mut described = Value::from_serialize(&self.info)?;
        if let Value::Map(fields) = &mut described {
            fields.insert("value".to_owned(), self.value.clone());
        }
        Ok(described)
    }
}

/// How to store an artifact.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PutOptions {
    /// Media type; it follows from the content and the name when it is left out.
    pub mime: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What the caller knows about it.
    pub metadata: Map,
}

/// Which artifacts are listed; all when nothing is set.
#[derive(Clone, Debug, Default)]
pub struct ArtifactFilter {
    /// Those that have this tag.
    pub tag: Option<String>,
    /// Those whose names begin so.
    pub prefix: String,
}

/// The artifacts of one scope. A cheap handle.
#[derive(Clone, Debug)]
pub struct Artifacts {
    store: Arc<dyn KeyValueStore>,
    /// The beginning of all keys of the tenant's artifacts: contents are shared among scopes.
    space: String,
    scope: Scope,
}

/// What is stored under a name.
enum Found {
    Nothing,
    Known(ArtifactInfo, Revision),
    /// A description that cannot be read.
    Damaged,
}

impl Artifacts {
    /// Opens the artifacts of a scope in the store of the project.
    ///
    /// # Errors
    ///
    /// As for [`State::open`](crate::state::State::open).
    pub async fn open(cx: &Context, project: &Project, scope: Scope) -> Result<Self> {
        Self::open_at(cx, project, scope, &Place::Project).await
    }

    /// Opens the artifacts of a scope in any store; a program's own path is not checked.
    ///
    /// # Errors
    ///
    /// As for [`State::open`](crate::state::State::open).
    pub async fn open_at(
        cx: &Context,
        project: &Project,
        scope: Scope,
        place: &Place,
    ) -> Result<Self> {
        // The rules of a scope are those of a state.
        crate::state::prefix(cx, project, &scope)?;
        let space = project.space(cx)?.prefix("artifact");
        let store = cx.within(project.open(place)).await??;
        Ok(Self {
            store,
            space,
            scope,
        })
    }

    /// Stores a content under a name, in place of what was there.
    ///
    /// # Errors
    ///
    /// `invalid_args` for what is no name or no content, `limit_exceeded` when it is too large,
    /// those of the store.
    pub async fn put(
        &self,
        cx: &Context,
        name: &str,
        value: &Value,
        options: PutOptions,
    ) -> Result<ArtifactInfo> {
        let (bytes, natural) = content::encode(name, value)?;
        let mime = options.mime.clone().unwrap_or(natural);
        self.put_bytes(
            cx,
            name,
            bytes,
            PutOptions {
                mime: Some(mime),
                ..options
            },
        )
        .await
    }

    /// Stores the content of a file, which passes the path guard.
    ///
    /// # Errors
    ///
    /// As for [`Artifacts::put`], and those of the file.
    pub async fn put_file(
        &self,
        cx: &ToolContext,
        name: &str,
        path: &str,
        options: PutOptions,
    ) -> Result<ArtifactInfo> {
        let files = Arc::clone(cx.services.files()?);
        let mut bytes = BytesMut::new();
        loop {
            let offset = bytes.len() as u64;
            let part = files.read(&cx.context, path, offset, PART_BYTES).await?;
            check_size(usize::try_from(part.total_bytes).unwrap_or(usize::MAX))?;
            bytes.extend_from_slice(&part.bytes);
            check_size(bytes.len())?;
            if part.bytes.is_empty() || bytes.len() as u64 >= part.total_bytes {
                break;
            }
        }
        let bytes = bytes.freeze();
        let mime = options.mime.clone();
        let mime = mime.unwrap_or_else(|| content::mime_of(path, &bytes));
        let options = PutOptions {
            mime: Some(mime),
            ..options
        };
        self.put_bytes(&cx.context, name, bytes, options).await
    }

    /// The artifact `name` with its content.
    ///
    /// # Errors
    ///
    /// `not_found` with the nearest name, `corrupt_record` when the content is damaged.
    pub async fn get(&self, cx: &Context, name: &str) -> Result<Artifact> {
        track(cx, Operation::new("artifact get"), |_| async move {
            let Some((info, _)) = self.read(name).await? else {
                return Err(self.unknown(name).await);
            };
            let damaged = || {
                let message = format!("the content of the artifact `{name}` is damaged");
                Error::new(ErrorKind::CorruptRecord, message).with_hint("store it again")
            };
            let record = self.store.get(&self.content(&info.hash)).await?;
            let bytes = record.ok_or_else(damaged)?.value;
            if hash(&bytes) != info.hash {
                return Err(damaged());
            }
            let value = content::decode(&info.mime, bytes);
            Ok(Artifact { info, value })
        })
        .await
    }

    /// The artifacts, by their names.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn list(&self, cx: &Context, filter: &ArtifactFilter) -> Result<Vec<ArtifactInfo>> {
        track(cx, Operation::new("artifact list"), |_| async move {
            let mut found = self.infos(&filter.prefix).await?;
            found.retain(|info| {
                filter
                    .tag
                    .as_ref()
                    .is_none_or(|tag| info.tags.contains(tag))
            });
            found.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(found)
        })
        .await
    }

    /// Deletes an artifact, and its content when no other has the same; answers whether it was
    /// there.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn delete(&self, cx: &Context, name: &str) -> Result<bool> {
        project::check_name("the name of the artifact", name, NAME_BYTES_MAX)?;
        track(cx, Operation::new("artifact delete"), |cx| async move {
            let mut attempts = Attempts::new(&cx);
            loop {
                let mut batch = Batch {
                    deletes: vec![self.named(name)],
                    ..Batch::default()
                };
                match self.find(name).await? {
                    Found::Nothing => return Ok(false),
                    Found::Known(info, revision) => {
                        batch.expect.push((self.named(name), Some(revision)));
                        self.release(&info.hash, &mut batch).await?;
                    }
                    // Which content it had is lost, so that stays.
                    Found::Damaged => {}
                }
                match self.store.apply(batch).await {
                    Ok(_) => return Ok(true),
                    Err(error) => attempts.again(error).await?,
                }
            }
        })
        .await
    }

    /// Deletes all artifacts of the scope.
    ///
    /// # Errors
    ///
    /// As for [`Artifacts::delete`].
    pub async fn clear(&self, cx: &Context) -> Result<()> {
        for info in self.list(cx, &ArtifactFilter::default()).await? {
            self.delete(cx, &info.name).await?;
        }
        Ok(())
    }

    async fn put_bytes(
        &self,
        cx: &Context,
        name: &str,
        bytes: Bytes,
        options: PutOptions,
    ) -> Result<ArtifactInfo> {
        project::check_name("the name of the artifact", name, NAME_BYTES_MAX)?;
        check_size(bytes.len())?;
        check_tags(&options.tags)?;
        let mime = options.mime.unwrap_or_default();
        check_mime(&mime)?;
        track(cx, Operation::new("artifact put"), |cx| async move {
            let mut info = ArtifactInfo {
                name: name.to_owned(),
                hash: hash(&bytes),
                size_bytes: bytes.len() as u64,
                mime,
                tags: options.tags,
                metadata: options.metadata,
                created_s: now(&cx),
                version: 1,
            };
            let mut attempts = Attempts::new(&cx);
            loop {
                let found = self.find(name).await?;
                info.version = match &found {
                    Found::Known(before, _) => before.version + 1,
                    Found::Nothing | Found::Damaged => 1,
                };
                let batch = self.replacing(&info, found, &bytes).await?;
                match self.store.apply(batch).await {
                    Ok(_) => return Ok(info),
                    Err(error) => attempts.again(error).await?,
                }
            }
        })
        .await
    }

    /// The write of an artifact in place of what was found.
    async fn replacing(&self, info: &ArtifactInfo, found: Found, bytes: &Bytes) -> Result<Batch> {
        let key = self.named(&info.name);
        let what = "the description of the artifact";
        let (expect, before) = match found {
            Found::Nothing => (vec![(key.clone(), None)], None),
            Found::Known(before, revision) => {
                (vec![(key.clone(), Some(revision))], Some(before.hash))
            }
            Found::Damaged => (Vec::new(), None),
        };
        let mut batch = Batch {
            expect,
            puts: vec![(key, project::encode(what, info, INFO_BYTES_MAX)?)],
            ..Batch::default()
        };
        let is_same = before.as_ref() == Some(&info.hash);
        let references = self.references(&info.hash).await?;
        // What is damaged is repaired by what is whole.
        if references.count == 0 || !self.is_whole(&info.hash).await? {
            batch.puts.push((self.content(&info.hash), bytes.clone()));
        }
        if is_same && references.count > 0 {
            return Ok(batch);
        }
        let more = Counted {
            count: references.count + 1,
            ..references
        };
        self.count(&info.hash, more, &mut batch)?;
        if let Some(before) = before.filter(|_| !is_same) {
            self.release(&before, &mut batch).await?;
        }
        Ok(batch)
    }

    async fn read(&self, name: &str) -> Result<Option<(ArtifactInfo, Revision)>> {
        let Some(record) = self.store.get(&self.named(name)).await? else {
            return Ok(None);
        };
        let info = project::decode("the description of the artifact", &record.value)?;
        Ok(Some((info, record.revision)))
    }

    /// As [`Self::read`], but what is damaged is no error: it is there to be replaced or deleted.
    async fn find(&self, name: &str) -> Result<Found> {
        match self.read(name).await {
            Ok(Some((info, revision))) => Ok(Found::Known(info, revision)),
            Ok(None) => Ok(Found::Nothing),
            Err(error) if error.kind() == ErrorKind::CorruptRecord => Ok(Found::Damaged),
            Err(error) => Err(error),
        }
    }

    async fn infos(&self, prefix: &str) -> Result<Vec<ArtifactInfo>> {
        // Not by the prefix of the name: a part of an escaped letter is no prefix of it.
        let all = self.named("");
        let read = |entry: Entry| {
            let name = entry.key.strip_prefix(&all).map(unescape)?;
            if !name.starts_with(prefix) {
                return None;
            }
            // One that is damaged does not hide the others.
            project::decode("an artifact", &entry.record.ok()?.value).ok()
        };
        let infos = project::collect(&*self.store, &all, ARTIFACTS_MAX, read).await?;
        Ok(infos.into_iter().flatten().collect())
    }

    async fn unknown(&self, name: &str) -> Error {
        let infos = self.infos("").await.unwrap_or_default();
        let names = infos.iter().map(|info| info.name.as_str());
        let otherwise = "list the artifacts to see their names".to_owned();
        let message = format!("no artifact `{name}` in the scope `{}`", self.scope);
        Error::not_found(message).with_hint(nearest::hint(name, names, otherwise))
    }

    /// Where the descriptions of all scopes are.
    fn all_named(&self) -> String {
        format!("{}named/", self.space)
    }

    fn named(&self, name: &str) -> String {
        let scope = escape(&self.scope.to_string());
        format!("{}{scope}/{}", self.all_named(), escape(name))
    }

    fn content(&self, hash: &str) -> String {
        format!("{}content/{hash}", self.space)
    }

    fn counted(&self, hash: &str) -> String {
        format!("{}count/{hash}", self.space)
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn check_size(bytes: usize) -> Result<()> {
    if bytes <= ARTIFACT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the content has more than {ARTIFACT_BYTES_MAX} bytes");
    Err(Error::new(ErrorKind::LimitExceeded, message)
        .with_hint("write it to a file and store its path"))
}

fn check_mime(mime: &str) -> Result<()> {
    let is_part = |it: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
        !it.is_empty() && it.chars().all(is_allowed)
    };
    let essence = mime.split(';').next().unwrap_or_default().trim();
    let is_mime = essence
        .split_once('/')
        .is_some_and(|(a, b)| is_part(a) && is_part(b));
    if is_mime && mime.len() <= MIME_BYTES_MAX && !mime.chars().any(char::is_control) {
        return Ok(());
    }
    let shown: String = mime.chars().take(40).collect();
    Err(
        Error::invalid_args(format!("`{}` is no media type", shown.escape_debug()))
            .with_hint("write it as `image/png` or `text/plain`"),
    )
}
