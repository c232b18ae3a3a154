//! aikit-runtime.
