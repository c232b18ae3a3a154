//! How bytes come into a file: whole, or not at all.

use std::{ffi::OsStr, io::Write as _};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _, Permissions};

/// Adds bytes at the end of a file; answers its size.
pub(super) fn append(folder: &Dir, name: &OsStr, bytes: &[u8]) -> std::io::Result<u64> {
    let mut options = OpenOptions::new();
    options
        .append(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    let mut file = folder.open_with(name, &options)?;
    let before = file.metadata()?.len();
    let mut written = 0;
    let done = write_counted(&mut file, bytes, &mut written).and_then(|()| file.sync_all());
    if let Err(error) = done {
        // What could not be written whole is not written, so that a second try repeats nothing;
        // unless others wrote meanwhile, whose part would go as well.
        let ours_is_last = file
            .metadata()
            .is_ok_and(|it| it.len() == before + written as u64);
        if ours_is_last {
            drop(file.set_len(before));
        }
        return Err(error);
    }
    Ok(file.metadata()?.len())
}

fn write_counted(
    file: &mut impl std::io::Write,
    bytes: &[u8],
    written: &mut usize,
) -> std::io::Result<()> {
    while *written < bytes.len() {
        match file.write(&bytes[*written..]) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a new file whole; with `rights` it gets those of the file that it will replace.
pub(super) fn write_temporary(
    folder: &Dir,
    temporary: &str,
    bytes: &[u8],
    rights: Option<Permissions>,
) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if rights.is_some() {
        // Until it has the rights of the file that it replaces, nobody else may read it.
        options.mode(0o600);
    }
    let mut file = folder.open_with(temporary, &options)?;
    file.write_all(bytes)?;
    if let Some(rights) = rights {
        file.set_permissions(rights)?;
    }
    file.sync_all()
}

/// Gives a file its name, unless the name is taken.
pub(super) fn place_new(folder: &Dir, temporary: &str, name: &OsStr) -> std::io::Result<()> {
    match folder.hard_link(temporary, folder, name) {
        Ok(()) => folder.remove_file(temporary),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links: looking first leaves a moment, but nothing half written.
        Err(_) if folder.symlink_metadata(name).is_err() => folder.rename(temporary, folder, name),
        Err(_) => Err(std::io::ErrorKind::AlreadyExists.into()),
    }
}
