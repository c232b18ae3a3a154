//! `local:PATH`: a BERT model in a folder on disk, computed in this process.

use std::sync::Arc;

use aikit_core::{Error, Result, services::Services};

use crate::rag::{embedding::Embed, local_model::LocalModel};

/// What a name begins with.
const PREFIX: &str = "local:";

/// The embedder of a folder, `None` for another kind of name.
pub(super) fn by_name(name: &str, services: &Services) -> Option<Result<Arc<dyn Embed>>> {
    let path = name.strip_prefix(PREFIX)?;
    Some(open(name, path, services))
}

fn open(name: &str, path: &str, services: &Services) -> Result<Arc<dyn Embed>> {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Err(Error::invalid_args(format!("`{name}` names no folder"))
            .with_hint("write `local:PATH`, such as `local:models/all-MiniLM-L6-v2`"));
    }
    Ok(Arc::new(LocalModel::at(
        name,
        path,
        Arc::clone(services.files()?),
    )))
}
