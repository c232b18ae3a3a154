//! One suite for every row of `BACKENDS`.

mod documents;
mod keys;

use std::path::PathBuf;

use aikit_components::storage::{BACKENDS, Backend, Stores};
use aikit_core::io;

/// A backend with a place of its own.
pub(crate) struct Place {
    pub(crate) backend: &'static Backend,
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("below/store.db")
    }

    pub(crate) fn open(&self) -> Stores {
        let opened = io::wait(self.backend.open(Some(self.path())), || Ok(()));
        opened.unwrap().unwrap()
    }

    /// Another store beside it.
    pub(crate) fn other(&self) -> Stores {
        let path = self.folder.path().join("other.db");
        let opened = io::wait(self.backend.open(Some(path)), || Ok(()));
        opened.unwrap().unwrap()
    }

    /// Two handles on one store: of two processes where the backend can, else of one.
    pub(crate) fn open_twice(&self) -> (Stores, Stores) {
        let first = self.open();
        let second = if self.backend.is_persistent {
            self.open()
        } else {
            first.clone()
        };
        (first, second)
    }
}

/// One place for each backend.
pub(crate) fn places() -> impl Iterator<Item = Place> {
    BACKENDS.iter().map(|backend| Place {
        backend,
        folder: tempfile::tempdir().unwrap(),
    })
}

/// Waits for a future as a caller outside of the runtime does.
pub(crate) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    io::wait(future, || Ok(())).unwrap()
}
