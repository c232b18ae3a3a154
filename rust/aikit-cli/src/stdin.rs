//! Standard input as scripts read it: lines, numbers, bytes, all of it.

use std::io::{BufRead, Read as _, Result};

use aikit_core::services::Reading;

/// Longest text of a number; Lua gives up at 200 characters as well.
const NUMBER_BYTES_MAX: usize = 200;

/// Reads once; `None` at the end. The end of the input is an empty text for [`Reading::All`].
///
/// # Errors
///
/// What the system says.
pub(crate) fn read(input: &mut impl BufRead, reading: Reading) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match reading {
        Reading::Line | Reading::WholeLine => {
            if input.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            if reading == Reading::Line {
                let length = bytes.strip_suffix(b"\n").map_or(bytes.len(), <[u8]>::len);
                bytes.truncate(length);
            }
        }
        Reading::All => drop(input.read_to_end(&mut bytes)?),
        Reading::Bytes(count) => {
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
}
