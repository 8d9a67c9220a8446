//! What files are, by their names' ends.

/// Of the page's own files.
pub(crate) fn of_page(name: &str) -> &'static str {
    match extension(name).as_str() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        other => of_data(other),
    }
}

/// Of a user's file. Nothing that a browser would run: what is a page or a script is told as text.
pub(crate) fn of_file(name: &str) -> &'static str {
    of_data(&extension(name))
}

fn of_data(extension: &str) -> &'static str {
    match extension {
        "json" | "map" | "webmanifest" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "md" | "markdown" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "txt" | "log" | "ini" | "cfg" | "conf" | "jsonc" | "jsonl" | "html" | "htm" | "xhtml" | "xml" | "svg"
        | "js" | "mjs" | "ts" | "css" | "rs" | "py" | "sh" | "c" | "h" | "go" | "java" | "sql" => {
            "text/plain; charset=utf-8"
        }
        _ => "application/octet-stream",
    }
}

fn extension(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-2, SERVE-7: a user's file is never a page or a script to a browser.
    #[test]
    fn nothing_runs() {
        for name in ["a.html", "a.HTM", "b/c.svg", "x.js", "x.mjs", "a.xhtml", "a.xml", "a.css"] {
            assert_eq!(of_file(name), "text/plain; charset=utf-8", "{name}");
        }
        assert_eq!(of_file("a/b.json"), "application/json");
        assert_eq!(of_file("a.json/b"), "application/octet-stream");
        assert_eq!(of_page("index.html"), "text/html; charset=utf-8");
    }
}
