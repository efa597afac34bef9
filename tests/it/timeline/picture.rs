//! The picture as a browser draws it: measured, in both themes.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{drawn, root};
use crate::support::child::{bare, read};
use crate::support::dir::Dir;
use crate::support::need::need;

/// What the script has found, in a page with this picture.
fn measured(svg: &str, dark: bool) -> Value {
    let dir = Dir::new();
    let script = fs::read_to_string(root().join("tests/it/timeline/picture.js")).unwrap();
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><body style=\"margin:0\">{svg}\
         <script type=\"text/plain\" id=\"source\">{svg}</script>\
         <pre id=\"found\"></pre><script>{script}</script>"
    );
    let file = dir.join("page.html");
    fs::write(&file, page).unwrap();
    let mut chromium = Command::new("chromium");
    bare(&mut chromium).env("HOME", &*dir).args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1000,2000",
    ]);
    // 0 is dark (`PreferredColorScheme` in its source).
    let theme = u8::from(!dark);
    chromium.arg(format!("--blink-settings=preferredColorScheme={theme}"));
    chromium.arg(format!("--user-data-dir={}", dir.join("profile").display()));
    let page = read(
        chromium
            .arg("--dump-dom")
            .arg(format!("file://{}", file.display())),
    );
    let (_, found) = page.split_once("<pre id=\"found\">").unwrap();
    let (found, _) = found.split_once("</pre>").unwrap();
    let found = found
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    serde_json::from_str(&found).unwrap_or_else(|error| panic!("{error}: {found:?}"))
}

#[track_caller]
fn is_fit_to_be_seen(svg: &str) {
    for dark in [false, true] {
        let found = measured(svg, dark);
        let at = |name: &str| found.get(name).unwrap_or(&Value::Null);
        let number = |name: &str| at(name).as_f64().unwrap();
        assert_eq!((at("xml"), at("dark")), (&"svg".into(), &dark.into()));
        let none = Value::Array(Vec::new());
        assert_eq!((at("outside"), at("overlaps")), (&none, &none));
        assert!(number("texts") > 20.0 && number("shapes") > 20.0, "{found}");
        assert!(number("titles") > 5.0, "{found}");
        assert!(number("text") >= 4.5 && number("mark") >= 3.0, "{found}");
    }
}

#[test]
fn no_text_of_the_picture_leaves_it_or_overlaps_and_all_can_be_read_in_both_themes() {
    need!("chromium");
    is_fit_to_be_seen(&drawn("packaging/timeline.jsonl"));
}

#[test]
fn nor_does_one_of_hostile_names_crowds_and_many_runs_at_once() {
    need!("chromium");
    is_fit_to_be_seen(&drawn("tests/golden/timeline/hostile.jsonl"));
}
