//! The folder of an application's state on this machine: its lock, its process id, its database.
//!
//! ```text
//! <state.dir>/<application.id>/
//!   .lock                           held while an instance of the application runs here
//!   kafka-streams-process-metadata  {"processId":"…"}, as Java writes it
//!   sled/                           one database for all tasks
//! ```
//! Java's instances keep their tasks in folders of their own beside these, so that the two never
//! read each other's state; sharing one state directory is refused by the lock all the same.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const LOCK_FILE: &str = ".lock";
const PROCESS_FILE: &str = "kafka-streams-process-metadata";

/// Why an application's state folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDirError {
    /// Another process runs the application on this folder.
    #[error(
        "the state directory {} is in use by another process: give each instance its own state.dir",
        .0.display()
    )]
    InUse(PathBuf),
    /// The folder cannot be made or written.
    #[error("the state directory {} cannot be used", .path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// An application's state folder, locked for this process until dropped.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    process_id: Uuid,
    /// The lock lives as long as the open file.
    _lock: File,
}

/// Java's `StateDirectory.StateDirectoryProcessFile`.
#[derive(Debug, Deserialize, Serialize)]
struct ProcessFile {
    #[serde(rename = "processId")]
    process_id: Uuid,
}

impl StateDir {
    /// Makes and locks the folder of `application_id` below `state_dir`.
    ///
    /// # Errors
    /// [`StateDirError::InUse`] if another process holds it.
    pub(crate) fn open(state_dir: &Path, application_id: &str) -> Result<Self, StateDirError> {
        let path = state_dir.join(application_id);
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |cause| StateDirError::Io { path, cause }
        };
        fs::create_dir_all(&path).map_err(io(&path))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => StateDirError::InUse(path.clone()),
            other => io(&lock_path)(other.into()),
        })?;
        let process_id = process_id(&path.join(PROCESS_FILE)).map_err(io(&path))?;
        Ok(Self { path, process_id, _lock: lock })
    }

    /// The id of this instance, kept over restarts so that the leader knows its state again.
    pub(crate) const fn process_id(&self) -> Uuid {
        self.process_id
    }

    /// Where the database lies.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("sled")
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads the process id, or makes one where there is none or it cannot be read.
fn process_id(path: &Path) -> io::Result<Uuid> {
    if let Ok(text) = fs::read(path)
        && let Ok(file) = serde_json::from_slice::<ProcessFile>(&text)
    {
        return Ok(file.process_id);
    }
    let file = ProcessFile { process_id: Uuid::new_v4() };
    // Written aside and renamed: a crash leaves the old file or the new one.
    let aside = path.with_extension("tmp");
    fs::write(&aside, serde_json::to_vec(&file).map_err(io::Error::other)?)?;
    fs::rename(&aside, path)?;
    Ok(file.process_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_and_free_again_after_drop() {
        let dir = tempfile::tempdir().unwrap();
        let held = StateDir::open(dir.path(), "app").unwrap();
        let error = StateDir::open(dir.path(), "app").unwrap_err();
        assert!(matches!(error, StateDirError::InUse(_)), "{error}");
        StateDir::open(dir.path(), "other").unwrap();
        let first = held.process_id();
        drop(held);
        assert_eq!(StateDir::open(dir.path(), "app").unwrap().process_id(), first);
    }

    #[test]
    fn javas_process_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("app")).unwrap();
        let text = r#"{"processId":"01020304-0506-0708-090a-0b0c0d0e0f10"}"#;
        fs::write(dir.path().join("app").join(PROCESS_FILE), text).unwrap();
        let opened = StateDir::open(dir.path(), "app").unwrap();
        assert_eq!(opened.process_id().to_string(), "01020304-0506-0708-090a-0b0c0d0e0f10");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = StateDir::open(file.path(), "app").unwrap_err();
        assert!(error.to_string().contains("cannot be used"), "{error}");
    }
}
