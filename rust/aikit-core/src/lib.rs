//! aikit-core.
