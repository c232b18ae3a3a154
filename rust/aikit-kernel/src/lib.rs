//! aikit-kernel.
