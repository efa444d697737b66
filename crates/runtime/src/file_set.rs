//! Writing files that belong together: a folder gets all of them or none, and existing files are replaced only on
//! request.
//!
//! The files are first written into a temporary folder, and moved when all of them are on disk. A target folder that
//! does not exist yet is created by one renaming. Into an existing folder the files are moved one by one, in the order
//! of the list. The set must be unusable without its last file, so that a crash in between leaves nothing that looks
//! complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::messages::SessionId;

/// A file of a set.
#[derive(Clone, Copy)]
pub struct NewFile<'a> {
    /// Its name in the folder.
    pub name: &'a str,
    /// What it holds.
    pub content: &'a [u8],
    /// Whether only its owner may read it, whatever the mode of a file that it replaces.
    pub private: bool,
}

impl std::fmt::Debug for NewFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewFile({:?}, {} bytes)", self.name, self.content.len())
    }
}

/// What to do with existing files of the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Write nothing.
    Refuse,
    /// Replace them.
    Replace,
}

/// Why a set of files was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileSetError {
    /// Some of the files exist already.
    #[error("{folder} already holds {names}; nothing was written", folder = folder.display(), names = names.join(", "))]
    Exists {
        /// The folder.
        folder: PathBuf,
        /// The names that are taken.
        names: Vec<String>,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}; choose a folder that this user may write to", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Those of these names that exist in the folder.
pub fn taken<'a>(folder: &Path, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let taken = |name: &&str| fs::symlink_metadata(folder.join(name)).is_ok();
    names.into_iter().filter(taken).map(str::to_owned).collect()
}

/// Writes all of the files or none.
///
/// # Errors
/// If some of them exist and must not be replaced, or the disk fails.
pub fn write_together(folder: &Path, files: &[NewFile<'_>], existing: Existing) -> Result<(), FileSetError> {
    let names = taken(folder, files.iter().map(|file| file.name));
    if existing == Existing::Refuse && !names.is_empty() {
        return Err(FileSetError::Exists { folder: folder.to_owned(), names });
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| FileSetError::Write { path, source }
    };
    // The temporary folder is beside the new folder or inside the existing one: the same file system, so files can be
    // renamed.
    let new = (!folder.exists()).then(|| folder.file_name()).flatten();
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let base = if new.is_some() { parent } else { folder };
    create_private_directory(base).map_err(at(base))?;
    let number = SessionId::generate().map_err(io::Error::other).map_err(at(base))?;
    let partial = Partial(base.join(format!(".blindroute-{number}.partial")));
    create_private_directory(&partial.0).map_err(at(&partial.0))?;
    for file in files {
        let path = partial.0.join(file.name);
        write_new(&path, file).map_err(at(&path))?;
    }
    sync(&partial.0).map_err(at(&partial.0))?;
    if new.is_some() {
        fs::rename(&partial.0, folder).map_err(at(folder))?;
    } else {
        move_into(folder, &partial.0, files, &names)?;
    }
    sync(base).map_err(at(base))
}

/// Writes one file that only its owner may read, or leaves the one of this name as it is.
///
/// # Errors
/// If the disk fails.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let number = SessionId::generate().map_err(io::Error::other)?;
    let name = format!(".blindroute-{number}.partial");
    let partial = folder.join(&name);
    let written = write_new(&partial, &NewFile { name: &name, content, private: true })
        .and_then(|()| fs::rename(&partial, path))
        .and_then(|()| sync(folder));
    if written.is_err() {
        fs::remove_file(&partial).ok();
    }
    written
}

/// Moves the files in their order. If nothing was replaced, a failure removes the files that were already moved.
fn move_into(folder: &Path, partial: &Path, files: &[NewFile<'_>], old: &[String]) -> Result<(), FileSetError> {
    let write = |path: PathBuf| move |source| FileSetError::Write { path, source };
    if let Some(last) = files.last().filter(|last| old.iter().any(|name| name == last.name)) {
        // From here on the old set is unusable.
        let path = folder.join(last.name);
        fs::remove_file(&path).and_then(|()| sync(folder)).map_err(write(path))?;
    }
    for (index, file) in files.iter().enumerate() {
        let path = folder.join(file.name);
        if let Err(source) = fs::rename(partial.join(file.name), &path) {
            if old.is_empty() {
                // A file that cannot be removed stays. The last file is missing, so the rest does not look complete.
                files[..index].iter().for_each(|moved| drop(fs::remove_file(folder.join(moved.name))));
            }
            return Err(FileSetError::Write { path, source });
        }
    }
    Ok(())
}

fn write_new(path: &Path, file: &NewFile<'_>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if file.private { 0o600 } else { 0o644 });
    let mut opened = options.open(path)?;
    opened.write_all(file.content)?;
    opened.sync_all()
}

/// Makes changes of a folder's names durable, if the system can.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// A folder that is removed when dropped, unless it was renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // After the renaming there is nothing to remove. If removing fails, nothing can be done about it here.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Creates a directory that only its owner may enter.
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files<'a>(content: &'a str) -> [NewFile<'a>; 3] {
        [("one", true), ("two", true), ("last", false)].map(|(name, private)| NewFile {
            name,
            content: content.as_bytes(),
            private,
        })
    }

    fn held(folder: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let read = |entry: fs::DirEntry| {
            let content = fs::read_to_string(entry.path()).unwrap_or_else(|_| "(a folder)".to_owned());
            (entry.file_name().into_string().unwrap(), content)
        };
        let mut held: Vec<_> = entries.map(read).collect();
        held.sort();
        held
    }

    fn expected(content: &str) -> Vec<(String, String)> {
        ["last", "one", "two"].map(|name| (name.to_owned(), content.to_owned())).to_vec()
    }

    #[test]
    fn a_set_is_written_completely_in_new_and_existing_folders() {
        let home = tempfile::tempdir().unwrap();
        let existing = home.path().join("existing");
        fs::create_dir(&existing).unwrap();
        for folder in [existing, home.path().join("deep/new")] {
            write_together(&folder, &files("a"), Existing::Refuse).unwrap();
            assert_eq!(held(&folder), expected("a"));
            let error = write_together(&folder, &files("b"), Existing::Refuse).unwrap_err().to_string();
            assert!(error.contains("already holds one, two, last") && error.contains("nothing"), "{error}");
            assert_eq!(held(&folder), expected("a"));
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
                // The mode of a replaced file is not kept.
                fs::set_permissions(folder.join("one"), fs::Permissions::from_mode(0o644)).unwrap();
                write_together(&folder, &files("c"), Existing::Replace).unwrap();
                assert_eq!([mode("one"), mode("two")], [0o600; 2]);
            }
            write_together(&folder, &files("d"), Existing::Replace).unwrap();
            assert_eq!(held(&folder), expected("d"));
        }
        assert_eq!(held(home.path()).len(), 2, "no temporary folder stays");
    }

    #[test]
    fn one_file_of_a_set_is_enough_to_refuse() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("two"), "old").unwrap();
        let error = write_together(home.path(), &files("a"), Existing::Refuse).unwrap_err();
        assert!(matches!(error, FileSetError::Exists { ref names, .. } if names == &["two"]), "{error}");
        assert_eq!(held(home.path()), [("two".to_owned(), "old".to_owned())]);
    }

    #[test]
    fn a_failure_in_the_middle_leaves_no_complete_set() {
        let home = tempfile::tempdir().unwrap();
        // Nothing can be renamed over a folder: the second file fails after the first was moved.
        write_together(home.path(), &files("old"), Existing::Refuse).unwrap();
        fs::remove_file(home.path().join("two")).unwrap();
        fs::create_dir(home.path().join("two")).unwrap();
        write_together(home.path(), &files("new"), Existing::Replace).unwrap_err();
        assert!(!home.path().join("last").exists(), "a mixture of two sets looks complete");
        // With nothing to replace, what was moved is taken back.
        let fresh = tempfile::tempdir().unwrap();
        let partial = fresh.path().join("partial");
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join("one"), "a").unwrap();
        move_into(fresh.path(), &partial, &files("a"), &[]).unwrap_err();
        assert_eq!(held(fresh.path()), [("partial".to_owned(), "(a folder)".to_owned())]);
    }
}
