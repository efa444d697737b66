//! Another window for a bundle's encoder.

use blindroute_routing::bundle::{Bundle, BundleError};
use blindroute_routing::tokenizer::Window;

/// The bundle whose encoder reads prompts through this window, and the names of the routers that were dropped: they were
/// trained on the embeddings of another window. With the bundle's own window, nothing changes.
pub fn with_window(bundle: Bundle, window: Window) -> Result<(Bundle, Vec<String>), BundleError> {
    if bundle.parts().encoder.window == window {
        return Ok((bundle, Vec::new()));
    }
    let mut parts = bundle.into_parts();
    parts.encoder.window = window;
    let dropped: Vec<String> = parts.routers.drain(..).map(|router| router.name).collect();
    let gone = |line: &&str| dropped.iter().any(|name| line.starts_with(&format!("router {name}: ")));
    let origin: Vec<&str> = parts.origin.lines().filter(|line| !gone(line)).collect();
    parts.origin = origin.join("\n");
    Ok((Bundle::new(parts)?, dropped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stop;
    use crate::data::synthetic::synthetic_pool;
    use crate::routers::{Method, NewRouter, train_router};

    #[test]
    fn another_window_drops_routers_and_the_same_window_keeps_them() {
        let (bundle, dataset, embedded) = synthetic_pool(8, 2);
        let method = Method::Direct(Default::default());
        let new = NewRouter { name: "mine", source: "made up", method: &method, lexical: None };
        let trained = train_router(bundle, &dataset, &embedded, new, &mut |_, _| (), &Stop::never()).unwrap().bundle;
        let digest = trained.digest();
        let (same, dropped) = with_window(trained.clone(), Window::Head).unwrap();
        assert_eq!((same.digest(), dropped.len()), (digest, 0));
        let (other, dropped) = with_window(trained, Window::Tail).unwrap();
        assert_eq!(dropped, ["mine"]);
        let parts = other.parts();
        assert_eq!((parts.encoder.window, parts.routers.len()), (Window::Tail, 0));
        assert_eq!(parts.origin, "encoder: made up");
    }
}
