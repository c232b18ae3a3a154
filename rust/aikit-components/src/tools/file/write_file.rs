//! `write_file`: makes, replaces or extends a file.

use std::time::Duration;

use aikit_core::{
    Error, Result, Value,
    services::{NewContent, Permission, WriteMode},
    tool::{Tool, ToolContext},
};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default)]
pub(super) struct WriteFile;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Path of the file, relative to the working directory or absolute; missing folders are made.
    path: String,
    /// Text (written as UTF-8) or bytes.
    #[schemars(with = "String")]
    content: Value,
    /// `create` a new file, `overwrite` one that may be there, or `append` at the end.
    #[serde(default)]
    mode: Mode,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Create,
    Overwrite,
    Append,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// The file.
    path: String,
    /// How many bytes were written.
    bytes: usize,
    /// Size of the file now, in bytes.
    total_bytes: u64,
    /// Whether the file is new.
    created: bool,
}

impl Tool for WriteFile {
    const NAME: &'static str = "write_file";
    const SUMMARY: &'static str = "Writes a file: makes a new one, replaces one at once, or adds \
                                   at its end.";
    const PERMISSIONS: &'static [Permission] = &[Permission::FileWrite];
    // Long enough for a person to approve it.
    const TIMEOUT: Duration = Duration::from_mins(10);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let bytes = match args.content {
            Value::String(text) => Bytes::from(text),
            Value::Bytes(bytes) => bytes,
            other => {
                let message = format!("`content` is of type {}", other.type_name());
                return Err(Error::invalid_args(message).with_hint("give a text, or bytes"));
            }
        };
        let count = bytes.len();
        let content = NewContent {
            bytes,
            mode: match args.mode {
                Mode::Create => WriteMode::Create,
                Mode::Overwrite => WriteMode::Overwrite,
                Mode::Append => WriteMode::Append,
            },
            expected: None,
            detail: String::new(),
        };
        let written = cx
            .services
            .files()?
            .write(&cx.context, &args.path, content)
            .await?;
        Ok(Output {
            path: written.path.to_string_lossy().into_owned(),
            bytes: count,
            total_bytes: written.total_bytes,
            created: written.created,
        })
    }
}
