//! Standard input as scripts read it: lines, numbers, bytes, all of it.

use std::io::{BufRead, Read as _};

use aikit_core::{Error, ErrorKind, Result, services::Reading};

/// Most bytes of one reading: what may cross into a script at once.
const TEXT_BYTES_MAX: usize = 1 << 26;

/// Longest text of a number; Lua gives up at 200 characters as well.
const NUMBER_BYTES_MAX: usize = 200;

/// Reads once; `None` at the end. The end of the input is an empty text for [`Reading::All`].
///
/// # Errors
///
/// What the system says; `limit_exceeded` when a line, or all there is, is larger than
/// [`TEXT_BYTES_MAX`], or more than that is asked for.
pub(crate) fn read(input: &mut impl BufRead, reading: Reading) -> Result<Option<Vec<u8>>> {
    // One more than is allowed tells that there is more.
    let mut limited = input.by_ref().take(TEXT_BYTES_MAX as u64 + 1);
    let mut bytes = Vec::new();
    match reading {
        Reading::Line | Reading::WholeLine => {
            if limited.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            check_size(bytes.len())?;
            if reading == Reading::Line {
                let length = bytes.strip_suffix(b"\n").map_or(bytes.len(), <[u8]>::len);
                bytes.truncate(length);
            }
        }
        Reading::All => {
            limited.read_to_end(&mut bytes)?;
            check_size(bytes.len())?;
        }
        Reading::Bytes(count) => {
            check_size(count)?;
            // Asking for nothing says whether there is something.
            if input.fill_buf()?.is_empty() {
                return Ok(None);
            }
            input.take(count as u64).read_to_end(&mut bytes)?;
        }
        Reading::Number => {
            skip(input, |byte| byte.is_ascii_whitespace(), |_| true)?;
            let is_part = |byte: u8| byte.is_ascii_hexdigit() || b"+-.xXpP".contains(&byte);
            skip(input, is_part, |byte| {
                bytes.push(byte);
                bytes.len() < NUMBER_BYTES_MAX
            })?;
            if bytes.is_empty() {
                return Ok(None);
            }
        }
    }
    Ok(Some(bytes))
}

fn check_size(bytes: usize) -> Result<()> {
    if bytes <= TEXT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("more than {TEXT_BYTES_MAX} bytes of standard input at once");
    Err(Error::new(ErrorKind::LimitExceeded, message)
        .with_hint("read it in parts, as with `io.read(65536)`"))
}

/// Takes bytes while they fit and `take` wants more.
fn skip(
    input: &mut impl BufRead,
    fits: impl Fn(u8) -> bool,
    mut take: impl FnMut(u8) -> bool,
) -> Result<()> {
    while let Some(byte) = input
        .fill_buf()?
        .first()
        .copied()
        .filter(|byte| fits(*byte))
    {
        input.consume(1);
        if !take(byte) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_taken_and_the_rest_stays() {
        let mut input = &b"one\n\n  12.5e1\t0x1F\nab\r\nrest\nof it"[..];
        let cases: [(Reading, Option<&[u8]>); 13] = [
            (Reading::Line, Some(b"one")),
            (Reading::Line, Some(b"")),
            (Reading::Number, Some(b"12.5e1")),
            (Reading::Number, Some(b"0x1F")),
            (Reading::Bytes(1), Some(b"\n")),
            (Reading::Bytes(0), Some(b"")),
            (Reading::WholeLine, Some(b"ab\r\n")),
            (Reading::Bytes(2), Some(b"re")),
            (Reading::All, Some(b"st\nof it")),
            (Reading::All, Some(b"")),
            (Reading::Bytes(0), None),
            (Reading::Line, None),
            (Reading::Number, None),
        ];
        for (reading, expected) in cases {
            let read = read(&mut input, reading).unwrap();
            assert_eq!(read.as_deref(), expected, "{reading:?}");
        }
    }
    #[test]
    fn input_without_an_end_is_refused_at_the_limit() {
        let endless = || std::io::BufReader::new(std::io::repeat(b'x'));
        for reading in [
            Reading::Line,
            Reading::WholeLine,
            Reading::All,
            Reading::Bytes(TEXT_BYTES_MAX + 1),
        ] {
            let error = read(&mut endless(), reading).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{reading:?}");
            assert!(error.hint().is_some());
        }
        let largest = read(&mut endless(), Reading::Bytes(TEXT_BYTES_MAX));
        assert_eq!(largest.unwrap().unwrap().len(), TEXT_BYTES_MAX);
    }
}
