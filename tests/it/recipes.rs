//! packaging/recipes.md: each recipe is followed as it stands, with real parts.
//!
//! | file | shows |
//! | --- | --- |
//! | `host` | the host on which somebody follows a recipe |
//! | `bare` | the recipes that need no container |
//! | `containers` | those in which something runs in one |

mod bare;
mod containers;
mod host;

use std::fs;

use super::support::blocks::read::{Act, Block, read};
use super::support::blocks::tally::Tally;
use super::support::{docker, made};

#[test]
fn each_block_of_the_recipes_is_counted_and_each_recipe_is_followed_by_a_test() {
    let mut tally = Tally::new(host::PAGE);
    for block in read(host::PAGE) {
        tally.count(&block);
    }
    for what in docker::STAND_INS.into_iter().chain(host::STAND_INS) {
        tally.note(what);
    }
    tally.tell();
    let tests: String = ["bare", "containers"]
        .map(|name| made::root().join(format!("tests/it/recipes/{name}.rs")))
        .map(|path| fs::read_to_string(path).unwrap())
        .concat();
    let titles = host::titles();
    for (_, title) in &titles {
        let runs = |block: &Block| matches!(block.act, Act::Script | Act::Console);
        let is_recipe = host::recipe(title).iter().any(runs);
        let followed = tests.contains(&format!("{title:?}"));
        assert_eq!(is_recipe, followed, "{title}");
    }
    assert!(titles.len() > 9, "{titles:?}");
}

/// What GitHub makes of a title, for links to it.
fn anchor(title: &str) -> String {
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || " -".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn the_links_of_the_recipes_lead_somewhere() {
    let text = fs::read_to_string(made::root().join(host::PAGE)).unwrap();
    let mut links = 0;
    for link in text.split("](").skip(1) {
        let link = link.split_once(')').unwrap().0;
        let (file, place) = link.split_once('#').unwrap_or((link, ""));
        let target = match file {
            "" => made::root().join(host::PAGE),
            file => made::root().join("packaging").join(file),
        };
        let there = fs::read_to_string(&target).unwrap_or_else(|_| panic!("{link}"));
        let mut titles = there.lines().filter_map(|line| line.strip_prefix("## "));
        assert!(
            place.is_empty() || titles.any(|title| anchor(title) == place),
            "{link}"
        );
        links += 1;
    }
    assert!(links > 15, "{links}");
}
