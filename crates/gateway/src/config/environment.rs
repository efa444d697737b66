//! Environment variables, which tests replace.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Finds the value of a variable.
type Find = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where a configuration reads keys, and the user's folders, from.
#[derive(Clone)]
pub struct Environment(Arc<Find>);

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn process() -> Self {
        // A value that is no UTF-8 is neither a key nor a folder that can be shown.
        Self::of(|name| std::env::var(name).ok())
    }

    /// The variables that this function knows.
    #[must_use]
    pub fn of(find: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// The value of a variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// The user's folder for the gateway's data.
    pub(super) fn data_folder(&self) -> Option<PathBuf> {
        // A relative XDG_DATA_HOME is to be ignored.
        let data = self.get("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let data = data.or_else(|| Some(PathBuf::from(self.get("HOME")?).join(".local/share")));
        data.map(|data| data.join("blindroute").join("gateway"))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_is_the_user_s() {
        let folder = |variables: &'static [(&str, &str)]| {
            let find = |name: &str| Some((*variables.iter().find(|(known, _)| *known == name)?.1).to_owned());
            Environment::of(find).data_folder()
        };
        assert_eq!(folder(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]), Some("/x/blindroute/gateway".into()));
        assert_eq!(
            folder(&[("XDG_DATA_HOME", "x"), ("HOME", "/h")]),
            Some("/h/.local/share/blindroute/gateway".into())
        );
        assert_eq!(folder(&[("HOME", "")]), None);
    }
}
