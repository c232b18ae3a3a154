//! Patterns of Lua: the matcher of `lstrlib.c` (Lua 5.4), over slices, which can be stopped.
//!
//! A pattern that backtracks may take longer than anybody waits. The original cannot be left before
//! it has an answer; this one asks every few thousand steps whether it must stop.

use std::ffi::CStr;

/// Most captures of a pattern.
pub(super) const CAPTURES_MAX: usize = 32;
/// How deep matching may nest.
const DEPTH_MAX: u32 = 200;
/// So many steps are taken between two questions whether to stop.
const STEPS_BETWEEN_LOOKS: u32 = 4096;
/// What makes the next character of a pattern special, or ordinary.
pub(super) const ESCAPE: u8 = b'%';

/// Why matching ended without an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// The pattern is wrong, or asks for too much.
    Malformed(&'static CStr),
    /// It names a capture that there is not, counted from 1.
    NoCapture(u32),
    /// It was told to stop.
    Stopped,
}

/// What a capture holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Extent {
    /// Its end is not found yet.
    #[default]
    Open,
    /// A position only.
    Position,
    /// So many bytes.
    Bytes(usize),
}

#[derive(Clone, Copy, Debug, Default)]
struct Capture {
    start: usize,
    extent: Extent,
}

/// What a capture stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Captured<'a> {
    /// A piece of the subject.
    Text(&'a [u8]),
    /// A place in it, counted from 1.
    Position(usize),
}

type Match = Result<Option<usize>, Fault>;

/// A subject and a pattern.
#[derive(Debug)]
pub(super) struct Matcher<'a, F> {
    subject: &'a [u8],
    pattern: &'a [u8],
    captures: [Capture; CAPTURES_MAX],
    level: usize,
    depth: u32,
    steps: u32,
    must_stop: F,
}

impl<'a, F: FnMut() -> bool> Matcher<'a, F> {
    /// A matcher that asks `must_stop` from time to time.
    pub(super) const fn new(subject: &'a [u8], pattern: &'a [u8], must_stop: F) -> Self {
        Self {
            subject,
            pattern,
            captures: [Capture {
                start: 0,
                extent: Extent::Open,
            }; CAPTURES_MAX],
            level: 0,
            depth: DEPTH_MAX,
            steps: 0,
            must_stop,
        }
    }

    /// Where the pattern ends when it matches at `start`.
    ///
    /// # Errors
    ///
    /// A [`Fault`].
    pub(super) fn match_at(&mut self, start: usize) -> Match {
        (self.level, self.depth) = (0, DEPTH_MAX);
        self.step()?;
        self.run(start, 0)
    }

    /// How many values a match has: its captures, or itself when it has none.
    pub(super) const fn values(&self) -> usize {
        if self.level == 0 { 1 } else { self.level }
    }

    /// How many captures it has.
    pub(super) const fn captures(&self) -> usize {
        self.level
    }

    /// The match from `start` to `end` itself.
    pub(super) fn whole(&self, start: usize, end: usize) -> Captured<'a> {
        Captured::Text(&self.subject[start..end])
    }

    /// Value `index`, from 0, of the match from `start` to `end`.
    ///
    /// # Errors
    ///
    /// When there is none, or it has no end.
    pub(super) fn value(
        &self,
        index: usize,
        start: usize,
        end: usize,
    ) -> Result<Captured<'a>, Fault> {
        if index >= self.level {
            if index != 0 {
                return Err(no_capture(index));
            }
            return Ok(self.whole(start, end));
        }
        let Capture { start, extent } = self.captures[index];
        match extent {
            Extent::Open => Err(Fault::Malformed(c"unfinished capture")),
            Extent::Position => Ok(Captured::Position(start + 1)),
            Extent::Bytes(length) => Ok(Captured::Text(&self.subject[start..start + length])),
        }
    }

    fn step(&mut self) -> Result<(), Fault> {
        self.work(1)
    }

    /// Notes so many steps: what looks at a set or compares a text takes one a byte.
    fn work(&mut self, bytes: usize) -> Result<(), Fault> {
        let steps = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.steps = self.steps.saturating_add(steps);
        if self.steps >= STEPS_BETWEEN_LOOKS {
            self.steps = 0;
            if (self.must_stop)() {
                return Err(Fault::Stopped);
            }
        }
        Ok(())
    }

    /// The byte of the pattern at `at`; zero at its end, where Lua's texts have one.
    fn at(&self, at: usize) -> u8 {
        self.pattern.get(at).copied().unwrap_or(0)
    }

    /// Matches what begins at `p` in the pattern with what begins at `s` in the subject.
    fn run(&mut self, s: usize, p: usize) -> Match {
        if self.depth == 0 {
            return Err(Fault::Malformed(c"pattern too complex"));
        }
        self.depth -= 1;
        let found = self.run_items(s, p);
        self.depth += 1;
        found
    }

    fn run_items(&mut self, mut s: usize, mut p: usize) -> Match {
        while p < self.pattern.len() {
            self.step()?;
            match self.at(p) {
                b'(' if self.at(p + 1) == b')' => {
                    return self.start_capture(s, p + 2, Extent::Position);
                }
                b'(' => return self.start_capture(s, p + 1, Extent::Open),
                b')' => return self.end_capture(s, p + 1),
                b'$' if p + 1 == self.pattern.len() => {
                    return Ok((s == self.subject.len()).then_some(s));
                }
                ESCAPE if self.at(p + 1) == b'b' => {
                    let Some(end) = self.balance(s, p + 2)? else {
                        return Ok(None);
                    };
                    (s, p) = (end, p + 4);
                    continue;
                }
                ESCAPE if self.at(p + 1) == b'f' => {
                    p += 2;
                    if self.at(p) != b'[' {
                        return Err(Fault::Malformed(c"missing '[' after '%f' in pattern"));
                    }
                    let end = self.class_end(p)?;
                    let before = s.checked_sub(1).map_or(0, |at| self.subject[at]);
                    let here = self.subject.get(s).copied().unwrap_or(0);
                    if self.in_set(before, p, end - 1) || !self.in_set(here, p, end - 1) {
                        return Ok(None);
                    }
                    p = end;
                    continue;
                }
                ESCAPE if self.at(p + 1).is_ascii_digit() => {
                    let Some(end) = self.back_reference(s, self.at(p + 1))? else {
                        return Ok(None);
                    };
                    (s, p) = (end, p + 2);
                    continue;
                }
                _ => {}
            }
            let end = self.class_end(p)?;
            self.work(end - p)?;
            let fits = self.fits(s, p, end);
            match self.at(end) {
                b'?' => {
                    if fits && let Some(found) = self.run(s + 1, end + 1)? {
                        return Ok(Some(found));
                    }
                    p = end + 1;
                }
                b'*' | b'-' if !fits => p = end + 1,
                b'+' if !fits => return Ok(None),
                b'+' => return self.expand(s + 1, p, end),
                b'*' => return self.expand(s, p, end),
                b'-' => return self.expand_least(s, p, end),
                _ if !fits => return Ok(None),
                _ => (s, p) = (s + 1, end),
            }
        }
        Ok(Some(s))
    }

    /// As many of the item at `p` as there are, then fewer.
    fn expand(&mut self, s: usize, p: usize, end: usize) -> Match {
        let mut count = 0;
        while self.fits(s + count, p, end) {
            self.work(end - p)?;
            count += 1;
        }
        loop {
            if let Some(found) = self.run(s + count, end + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    /// As few of the item at `p` as possible, then more.
    fn expand_least(&mut self, mut s: usize, p: usize, end: usize) -> Match {
        loop {
            if let Some(found) = self.run(s, end + 1)? {
                return Ok(Some(found));
            }
            self.work(end - p)?;
            if !self.fits(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn start_capture(&mut self, s: usize, p: usize, extent: Extent) -> Match {
        if self.level >= CAPTURES_MAX {
            return Err(Fault::Malformed(c"too many captures"));
        }
        self.captures[self.level] = Capture { start: s, extent };
        self.level += 1;
        let found = self.run(s, p)?;
        if found.is_none() {
            self.level -= 1;
        }
        Ok(found)
    }

    fn end_capture(&mut self, s: usize, p: usize) -> Match {
        let open = self.captures[..self.level]
            .iter()
            .rposition(|capture| capture.extent == Extent::Open)
            .ok_or(Fault::Malformed(c"invalid pattern capture"))?;
        self.captures[open].extent = Extent::Bytes(s - self.captures[open].start);
        let found = self.run(s, p)?;
        if found.is_none() {
            self.captures[open].extent = Extent::Open;
        }
        Ok(found)
    }

    fn back_reference(&mut self, s: usize, digit: u8) -> Match {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let capture = self.captures[..self.level].get(index);
        let capture = capture.filter(|it| it.extent != Extent::Open);
        let Some(Capture { start, extent }) = capture.copied() else {
            return Err(no_capture(index));
        };
        // A position is longer than any rest, as its length is in the original.
        let Extent::Bytes(length) = extent else {
            return Ok(None);
        };
        self.work(length)?;
        let wanted = &self.subject[start..start + length];
        Ok(self.subject[s..].starts_with(wanted).then_some(s + length))
    }

    fn balance(&mut self, s: usize, p: usize) -> Match {
        if p + 1 >= self.pattern.len() {
            let reason = c"malformed pattern (missing arguments to '%b')";
            return Err(Fault::Malformed(reason));
        }
        let (begin, end) = (self.at(p), self.at(p + 1));
        if self.subject.get(s) != Some(&begin) {
            return Ok(None);
        }
        let mut open = 1_usize;
        for at in s + 1..self.subject.len() {
            self.step()?;
            let byte = self.subject[at];
            if byte == end {
                open -= 1;
                if open == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == begin {
                open += 1;
            }
        }
        Ok(None)
    }

    /// Where the single-character item that begins at `p` ends.
    fn class_end(&self, p: usize) -> Result<usize, Fault> {
        let end = self.pattern.len();
        match self.at(p) {
            ESCAPE if p + 1 >= end => Err(Fault::Malformed(c"malformed pattern (ends with '%')")),
            ESCAPE => Ok(p + 2),
            b'[' => {
                let mut at = p + 1;
                if self.at(at) == b'^' {
                    at += 1;
                }
                // The first may be the closing bracket itself.
                loop {
                    if at >= end {
                        return Err(Fault::Malformed(c"malformed pattern (missing ']')"));
                    }
                    let is_escape = self.at(at) == ESCAPE;
                    at += 1;
                    if is_escape && at < end {
                        at += 1;
                    }
                    if self.at(at) == b']' && at < end {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// Whether the byte at `s` is one of the item from `p` to `end`.
    fn fits(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.subject.get(s) else {
            return false;
        };
        match self.at(p) {
            b'.' => true,
            ESCAPE => is_of_class(byte, self.at(p + 1)),
            b'[' => self.in_set(byte, p, end - 1),
            other => other == byte,
        }
    }

    /// Whether a byte is in the set whose brackets stand at `p` and `end`.
    fn in_set(&self, byte: u8, mut p: usize, end: usize) -> bool {
        let is_positive = self.at(p + 1) != b'^';
        if !is_positive {
            p += 1;
        }
        p += 1;
        while p < end {
            if self.at(p) == ESCAPE {
                p += 1;
                if is_of_class(byte, self.at(p)) {
                    return is_positive;
                }
            } else if self.at(p + 1) == b'-' && p + 2 < end {
                if (self.at(p)..=self.at(p + 2)).contains(&byte) {
                    return is_positive;
                }
                p += 2;
            } else if self.at(p) == byte {
                return is_positive;
            }
            p += 1;
        }
        !is_positive
    }
}

/// Whether a byte belongs to the class that a letter names; an upper-case letter names all others,
/// and anything else itself.
fn is_of_class(byte: u8, class: u8) -> bool {
    let belongs = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        // Deprecated, and still there.
        b'z' => byte == 0,
        _ => return byte == class,
    };
    belongs != class.is_ascii_uppercase()
}

/// The capture `index`, from 0, that there is not; that before the first is the one of `%0`.
fn no_capture(index: usize) -> Fault {
    Fault::NoCapture(u32::try_from(index.wrapping_add(1)).unwrap_or(0))
}

/// Whether a pattern is a plain text: none of its characters means something else.
pub(super) fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte))
}
