//! The reader of command blocks itself: what it takes from a page, and what it tells a person whose
//! page is wrong.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

use super::support::blocks::console::{Exchange, Said, console, heard, matches, session, varying};
use super::support::blocks::read::{Act, parse};
use super::support::blocks::tally::Tally;
use super::support::blocks::walk::{Scene, hear, step};
use super::support::child::{bare, output, text};
use super::support::dir::Dir;

/// A page that has everything.
const PAGE: &str = "\
# A page

```sh
true
```

```three marks``` in a line are none.

<!-- test: file lockkeeper.toml -->
```toml
[init]
```

- in a list
  <!-- test: in box -->
  ```console
  $ cat lockkeeper.toml
  [init]
    indented
  ```

<!-- test: in box -->
<!-- test: not run: no engine here -->
```sh
docker build .
```

```json
{}
```
";

#[test]
fn every_block_of_a_page_is_run_written_shown_or_named_as_not_run() {
    let blocks = parse(Path::new("page.md"), PAGE);
    let seen: Vec<_> = blocks
        .iter()
        .map(|block| (block.line, block.place.as_deref(), &block.act))
        .collect();
    let file = Act::File("lockkeeper.toml".into());
    let not = Act::NotRun("no engine here".into());
    let expected = [
        (3, None, &Act::Script),
        (10, None, &file),
        (16, Some("box"), &Act::Console),
        (24, Some("box"), &not),
        (28, None, &Act::Shown),
    ];
    assert_eq!(seen, expected);
    assert_eq!(
        blocks[2].text,
        "$ cat lockkeeper.toml\n[init]\n  indented\n"
    );
    let mut tally = Tally::new("page.md");
    for block in &blocks {
        tally.count(block);
    }
    tally.note("the agent is a script");
    assert_eq!(
        tally.text(),
        "page.md: 2 blocks run, 1 file, 1 not run, 1 shown only\n    \
         line 24, sh: not run: no engine here\n    \
         line 28, json: shown only: {}\n    \
         the agent is a script\n"
    );
}

#[test]
fn a_block_without_an_end_and_a_comment_that_steers_nothing_are_found() {
    for (page, says) in [
        ("a\n```sh\ntrue\n", "page.md:2: this block has no end"),
        (
            "<!-- test: in box -->\n\n```sh\n```\n",
            "page.md:2: `test: in box` steers no block",
        ),
        ("<!-- test: in box -->\n", "steers no block"),
        (
            "<!--test: no run: because -->\n```sh\n```\n",
            "page.md:2: nobody knows what `test: no run: because` is",
        ),
    ] {
        let panic = catch_unwind(|| parse(Path::new("page.md"), page)).unwrap_err();
        let said = panic.downcast_ref::<String>().unwrap();
        assert!(said.contains(says), "{said}");
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_console_is_commands_and_what_each_says() {
    let exchange = |line, command: &str, expected: &str| Exchange {
        line,
        command: command.into(),
        expected: lines(expected),
    };
    let got = console("$ for i in 1 2\n> do echo $i; done\n1\n2\n> 3\n$ true\n").unwrap();
    let expected = [
        exchange(0, "for i in 1 2\ndo echo $i; done", "1\n2\n> 3"),
        exchange(5, "true", ""),
    ];
    assert_eq!(got, expected);
    assert!(console("1\n$ true\n").unwrap_err().contains("\"1\""));
}

#[test]
fn an_ellipsis_stands_for_text_in_a_line_and_alone_for_lines() {
    for (expected, got) in [
        ("", ""),
        ("a", "a  "),
        ("a … c", "a b c"),
        ("…c", "c"),
        ("a…b…c", "a b b c"),
        ("…", ""),
        ("a\n…", "a\nb\nc"),
        ("a\n…\nc", "a\nc\nc"),
        ("…\nb…\n…\nd", "a\nb1\nb2\nc\nd"),
    ] {
        assert_eq!(matches(&lines(expected), got), Ok(()), "{expected}");
    }
    for (expected, got, at) in [
        ("", "a", (0, 0)),
        ("a", "", (0, 0)),
        ("a", " a", (0, 0)),
        ("a…a", "a", (0, 0)),
        ("a\nb\nc", "a\nx\nc", (1, 1)),
        ("a\n…\nc\nd", "a\nb\nc\nx", (3, 3)),
        ("a\nb", "a\nb\nc", (2, 2)),
        ("a…b…c", "a c b", (0, 0)),
    ] {
        let difference = matches(&lines(expected), got).unwrap_err();
        assert_eq!((difference.expected, difference.got), at, "{expected}");
    }
}

#[test]
fn times_and_names_of_runs_vary_where_a_page_says_so() {
    let page = "lock \"/l\" (run 5f0c2a9e11d3b874, since 2026-11-21T07:00:00Z)\n\
                held  12m4s  5b203d37\n3d 4h ago";
    let said = "lock \"/l\" (run 0000000000000000, since 2027-01-01T00:00:00Z)\n\
                held 2.7s     deadbeef\n40s ago";
    assert_eq!(varying(page), varying(said));
    for (one, other) in [
        ("5 held", "6 held"),
        ("75", "78"),
        ("3s", "held"),
        ("1m", "mm"),
    ] {
        assert_ne!(varying(one), varying(other));
    }
}

/// A folder and the machine's own shell.
struct Folder(Dir);

impl Scene for Folder {
    fn run(&mut self, place: Option<&str>, script: &str) -> Said {
        assert_eq!(place, None);
        let mut command = Command::new("sh");
        let command = bare(&mut command).args(["-c", script]);
        hear(command.current_dir(&*self.0))
    }

    fn file(&mut self, place: Option<&str>, path: &str, text: &str) {
        assert_eq!(place, None);
        fs::write(self.0.join(path), text).unwrap();
    }
}

fn steps(page: &str) -> Result<(), String> {
    let mut folder = Folder(Dir::new());
    let mut wrong = String::new();
    for block in parse(Path::new("page.md"), page) {
        wrong += &step("page.md", &block, &mut folder)
            .err()
            .unwrap_or_default();
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

#[test]
fn the_commands_of_a_console_share_a_shell_and_their_statuses_are_promised() {
    let page = "<!-- test: file word -->\n```ini\nit's\n```\n```console\n$ read -r word <word\n\
        $ echo \"$word\"; echo 'error' >&2\nit's\nerror\n$ printf 'no end'\nno end\n\
        $ (exit 75)\n$ echo $?\n75\n$ cat\n```\n```sh\nset | grep -q '^word=' && exit 1\ntrue\n```\n";
    assert_eq!(steps(page), Ok(()));
}

#[test]
fn what_is_said_otherwise_is_shown_with_its_line_in_the_page() {
    let page = "```console\n$ echo a; \\\n> echo b; echo c\na\nx\nc\n$ false\n$ true\n```\n\
        ```sh\necho why >&2\nfalse\n```\n```console\n$ exit 3\n$ true\n```\n";
    let said = steps(page).unwrap_err();
    let expected = "\
page.md:5: `echo a; \\
> echo b; echo c` says something else:
  expected:
    a
  > x
    c
  said:
    a
  > b
    c
page.md:7: `false` ended with 1; where that is meant, `$ echo $?` follows
page.md:11: the block ended with 1, having said:
    why
page.md:15: `exit 3` ended the shell, with 3
page.md:16: `true` was not reached
";
    assert_eq!(said, expected);
}

#[test]
fn what_a_session_said_is_told_apart_by_command() {
    let script = session(&console("$ echo a\n$ false\n$ exit 3\n").unwrap());
    let mut command = Command::new("sh");
    let said = output(bare(&mut command).args(["-c", &script]));
    let said_by = |text: &str, status| Said {
        text: text.into(),
        status,
    };
    let expected = [
        said_by("a", Some(0)),
        said_by("", Some(1)),
        said_by("", None),
    ];
    assert_eq!(heard(&text(&said.stdout)), expected);
    let through_a_terminal = heard("a\r\n\u{1e}0\u{1e}b\n");
    assert_eq!(
        through_a_terminal,
        [said_by("a", Some(0)), said_by("b", None)]
    );
}
