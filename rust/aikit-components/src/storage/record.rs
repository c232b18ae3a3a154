//! The envelope of a stored record: one format byte, a checksum, and MessagePack with named fields.

use aikit_core::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};

/// The format written by this version; older ones have lower numbers.
const FORMAT: u8 = 1;

/// Bytes of the checksum: BLAKE3 cut to 128 bits, enough against damage (not against forgery).
const CHECKSUM_BYTES: usize = 16;

/// Wraps `value`; the checksum covers `key` too, so that a record moved to another key is noticed.
pub(crate) fn encode<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>> {
    let body = rmp_serde::to_vec_named(value).map_err(|error| {
        Error::invalid_args(format!("the value of `{key}` cannot be stored")).with_source(error)
    })?;
    let mut record = Vec::with_capacity(1 + CHECKSUM_BYTES + body.len());
    record.push(FORMAT);
    record.extend_from_slice(&checksum(key, &body));
    record.extend_from_slice(&body);
    Ok(record)
}

/// Unwraps what [`encode`] wrote.
///
/// # Errors
///
/// `version_mismatch` for a newer format, `corrupt_record` for anything else that does not fit.
pub(crate) fn decode<T: DeserializeOwned>(key: &str, record: &[u8]) -> Result<T> {
    let Some((&format, rest)) = record.split_first() else {
        return Err(damaged(key));
    };
    if format > FORMAT {
        let message = format!("the record `{key}` has format {format}, newer than {FORMAT}");
        return Err(Error::new(ErrorKind::VersionMismatch, message)
            .with_hint("open the store with the version of aikit that wrote it, or a newer one"));
    }
    let Some((sum, body)) = rest.split_at_checked(CHECKSUM_BYTES) else {
        return Err(damaged(key));
    };
    if format != FORMAT || sum != checksum(key, body) {
        return Err(damaged(key));
    }
    rmp_serde::from_slice(body).map_err(|error| damaged(key).with_source(error))
}

fn checksum(key: &str, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    // The length separates the two, else `ab` + `c` and `a` + `bc` would be the same.
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key.as_bytes());
    hasher.update(body);
    let mut sum = [0; CHECKSUM_BYTES];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

fn damaged(key: &str) -> Error {
    Error::new(
        ErrorKind::CorruptRecord,
        format!("the record `{key}` is damaged"),
    )
    .with_hint("the other records are readable; write or ingest this one again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_byte_is_noticed() {
        let record = encode("key", &("value", 7)).unwrap();
        assert_eq!(
            decode::<(String, i64)>("key", &record).unwrap(),
            ("value".to_owned(), 7)
        );
        for place in 0..record.len() {
            let mut damaged = record.clone();
            damaged[place] ^= 0x55;
            let kind = decode::<(String, i64)>("key", &damaged).unwrap_err().kind();
            let expected = if place == 0 {
                ErrorKind::VersionMismatch
            } else {
                ErrorKind::CorruptRecord
            };
            assert_eq!(kind, expected, "byte {place}");
        }
    }

    #[test]
    fn a_record_cut_anywhere_or_moved_to_another_key_is_damaged() {
        let record = encode("key", &"value").unwrap();
        for length in 0..record.len() {
            let error = decode::<String>("key", &record[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CorruptRecord, "length {length}");
        }
        let error = decode::<String>("other", &record).unwrap_err();
        assert_eq!(error.message(), "the record `other` is damaged");
    }
}
