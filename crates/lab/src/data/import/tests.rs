use super::*;
use crate::data::{DataError, Dataset, Split, check};
use std::fs;
use std::path::Path;

mod embedllm_files;
mod mixinstruct_files;
mod routerbench_files;

/// What no error may say.
const SECRET: &str = "a secret question";

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("from")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join("from").join(name), text).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn job(&self) -> Job {
        Job { from: self.path("from"), out: self.path("out"), prices: None, drop_incomplete: false }
    }

    fn set(&self) -> Dataset {
        Dataset::load(&self.path("out")).unwrap()
    }

    /// The error, after looking that nothing was written and nothing is left over.
    #[track_caller]
    fn refused(&self, answer: Result<Imported, DataError>, says: &str) {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not contain {says:?}");
        assert!(!error.contains(SECRET), "an error holds a prompt: {error}");
        let mut names: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name != "from" && name != "prices.csv");
        assert!(names.is_empty(), "left over: {names:?}");
    }
}

fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not there");
    text.replacen(from, to, 1)
}
