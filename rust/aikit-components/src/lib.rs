//! aikit-components.
