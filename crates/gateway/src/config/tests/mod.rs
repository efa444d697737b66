mod errors;
mod reloading;
mod secrets;
mod template;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

/// A key that must not be seen anywhere.
const CANARY: &str = "sk-canary-8f3b2c91d7";

/// A folder with a configuration, and an environment with the variable CANARY_KEY.
struct Home(TempDir);

impl Home {
    fn new(text: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write(text);
        home
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gateway.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.path(), &pool(), &environment())
    }

    /// A file with a key.
    fn key(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        set_mode(&path, mode);
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn environment() -> Environment {
    Environment::of(|name| match name {
        "HOME" => Some("/home/somebody".to_owned()),
        "CANARY_KEY" | "OPENAI_API_KEY" | "BLINDROUTE_GATEWAY_TOKEN" => Some(CANARY.to_owned()),
        "SHORT" => Some("short".to_owned()),
        "SPACES" => Some("two words of a key".to_owned()),
        _ => None,
    })
}

fn pool() -> Vec<PoolModel> {
    let model =
        |name: &str, price| PoolModel { name: name.to_owned(), price, price_unit: "USD per 1M tokens".to_owned() };
    vec![model("small", 0.15), model("middle", 1.0), model("large", 15.0)]
}

/// A good configuration with two providers and models.
const GOOD: &str = r#"
[route]
default_model = "mini"
[[provider]]
name = "one"
dialects = ["responses", "chat", "chat"]
base_url = "https://one.example/v1/"
key_env = "CANARY_KEY"
[[provider]]
name = "two"
dialects = ["messages"]
base_url = "http://127.0.0.1:9/v1"
[[model]]
name = "mini"
provider = "one"
upstream = "mini-2024"
pool = ["small"]
input = 0.15
cached_input = "0.075"
output = 0.60
context = 128_000
max_output = 0x4000
[[model]]
name = "maxi"
provider = "two"
input = 3
output = 15
images = true
tools = false
[budget]
daily = 5
ceiling = "10.5"
reference_model = "maxi"
"#;
