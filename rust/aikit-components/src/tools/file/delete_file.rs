//! `delete_file`: deletes a file, a link or a folder.

use std::time::Duration;

use aikit_core::{
    Result,
    services::Permission,
    tool::{Tool, ToolContext},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most paths that are told.
const PATHS_MAX: usize = 200;

#[derive(Debug, Default)]
pub(super) struct DeleteFile;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Path of the file or folder; of a link, the link itself is deleted.
    path: String,
    /// Whether a folder is deleted with all that is in it; without it, only an empty one.
    #[serde(default)]
    recursive: bool,
    /// Whether to only say what would be deleted.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// What was or would be deleted: the first 200 paths.
    paths: Vec<String>,
    /// How many files and folders that are.
    count: usize,
    /// Whether they are deleted.
    deleted: bool,
}

impl Tool for DeleteFile {
    const NAME: &'static str = "delete_file";
    const SUMMARY: &'static str = "Deletes a file or a folder, or says what would be deleted.";
    const PERMISSIONS: &'static [Permission] = &[Permission::FileWrite];
    // Long enough for a person to approve it.
    const TIMEOUT: Duration = Duration::from_mins(10);
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let files = cx.services.files()?;
        let paths = files
            .delete(&cx.context, &args.path, args.recursive, args.dry_run)
            .await?;
        let shown = paths.iter().take(PATHS_MAX);
        Ok(Output {
            count: paths.len(),
            paths: shown.map(|it| it.to_string_lossy().into_owned()).collect(),
            deleted: !args.dry_run,
        })
    }
}
