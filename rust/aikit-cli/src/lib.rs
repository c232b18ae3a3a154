//! aikit-cli.
