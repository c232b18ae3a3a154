//! What every benchmark shares.
