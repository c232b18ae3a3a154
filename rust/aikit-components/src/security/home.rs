//! The home folder in a path: what `~` stands for, as people write it.

use std::path::{Path, PathBuf};

use aikit_core::{Error, Result};

const HINT: &str = "write the path below the working directory; a folder named so is `./~`";

/// `given` with a leading `~` or `~/` replaced by `home`; who may touch what is decided
/// afterwards, of the whole path. `~name` and `./~` are names like any other.
///
/// # Errors
///
/// `not_found` where there is no home folder.
pub fn expand(home: Option<&Path>, given: &str) -> Result<PathBuf> {
    let Some(rest) = below(given) else {
        return Ok(PathBuf::from(given));
    };
    match home {
        Some(home) if rest.is_empty() => Ok(home.to_owned()),
        Some(home) => Ok(home.join(rest)),
        None => Err(
            Error::not_found(format!("`{given}`: there is no home folder here")).with_hint(HINT),
        ),
    }
}

/// Fails for a path that begins with `~` where it is not replaced: nobody means a folder of that
/// name.
///
/// # Errors
///
/// `invalid_args`.
pub fn refuse(given: &str) -> Result<()> {
    match below(given) {
        Some(_) => {
            let message = format!("`{given}`: `~` does not stand for a folder here");
            Err(Error::invalid_args(message).with_hint(HINT))
        }
        None => Ok(()),
    }
}

/// What follows `~` where it means the home folder.
fn below(given: &str) -> Option<&str> {
    let rest = given.strip_prefix('~')?;
    // More slashes mean no other place, and must not make the rest absolute.
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_folder_at_the_beginning_only() {
        let home = Path::new("/home/ada");
        for (given, expected) in [
            ("~", "/home/ada"),
            ("~/", "/home/ada"),
            ("~/a/b.txt", "/home/ada/a/b.txt"),
            ("~//etc/passwd", "/home/ada/etc/passwd"),
            ("~/../bob", "/home/ada/../bob"),
            ("~bob/x", "~bob/x"),
            ("./~/x", "./~/x"),
            ("a/~/x", "a/~/x"),
            ("", ""),
        ] {
            assert_eq!(expand(Some(home), given).unwrap(), Path::new(expected));
            let is_meant = given.starts_with('~') && !given.starts_with("~b");
            assert_eq!(expand(None, given).is_err(), is_meant, "{given}");
            assert_eq!(refuse(given).is_err(), is_meant, "{given}");
        }
    }
}
