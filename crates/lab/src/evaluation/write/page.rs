//! The frame of an HTML page: everything it needs is inside it.

use super::escape::escape;

/// Colours for light and dark mode. Curves also differ in lightness, markers and dashes.
const STYLE: &str = include_str!("page.css");

/// A page with this title, which is text, and this body, which is HTML.
pub(crate) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
         {body}</main>\n</body>\n</html>\n"
    )
}
