//! aikit-py.
