use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn secrets(values: &[&str]) -> Arc<Secrets> {
    let values = values.iter().map(|value| value.as_bytes().to_vec());
    Arc::new(Secrets::new(values))
}

/// What of `text` is shown where it arrives in pieces that end at `cuts`.
fn shown(secrets: &Arc<Secrets>, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut mask = Mask::new(secrets);
    let (mut out, mut from) = (Vec::new(), 0);
    for cut in cuts {
        let cut = (*cut).clamp(from, text.len());
        mask.feed(&text[from..cut], &mut out);
        from = cut;
    }
    mask.feed(&text[from..], &mut out);
    mask.end(&mut out);
    out
}

#[track_caller]
fn check(values: &[&str], text: &str, expected: &str) {
    let secrets = secrets(values);
    for cut in 0..=text.len() {
        let got = shown(&secrets, text.as_bytes(), &[cut]);
        assert_eq!(String::from_utf8_lossy(&got), expected, "cut at {cut}");
    }
    let each: Vec<usize> = (0..text.len()).collect();
    let got = shown(&secrets, text.as_bytes(), &each);
    assert_eq!(String::from_utf8_lossy(&got), expected, "byte by byte");
}

#[test]
fn a_secret_is_hidden_wherever_a_read_cuts_it() {
    check(
        &["hunter22"],
        "it is hunter22, hunter22!",
        "it is ***, ***!",
    );
    check(
        &["hunter22"],
        "hunter2 hhunter2hunter22",
        "hunter2 hhunter2***",
    );
}

#[test]
fn secrets_that_begin_inside_another_are_hidden_with_it() {
    check(&["abcd", "cdef"], "xabcdefx", "x***x");
    check(&["abab"], "xababababx", "x***x");
    check(&["abcd", "abcdefgh"], "abcdefg abcdefgh", "***efg ***");
    check(&["aaaa"], "aaa aaaaaaa", "aaa ***");
}

#[test]
fn a_secret_that_the_end_cuts_is_hidden_from_four_bytes_on() {
    check(&["hunter22"], "it is hunter2", "it is ***");
    check(&["hunter22"], "it is hun", "it is hun");
}

#[test]
fn a_secret_is_hidden_as_json_writes_it_too() {
    check(&["a\"b\\c\n"], r#"{"x":"a\"b\\c\n"}"#, r#"{"x":"***"}"#);
}

#[test]
fn each_long_line_of_a_secret_is_hidden() {
    let key = "-----BEGIN-----\nMIIEvQIBADANBgkqh\nabc\n";
    check(&[key], "> MIIEvQIBADANBgkqh\n> abc\n", "> ***\n> abc\n");
}

#[test]
fn a_value_too_short_to_be_told_from_other_text_is_no_secret() {
    check(&["abc", ""], "abc", "abc");
}

#[test]
fn what_stands_behind_a_secret_name_is_hidden() {
    for (text, expected) in [
        ("GH_TOKEN=ghp_1 rest", "GH_TOKEN=*** rest"),
        ("export A_KEY='x y' B=c", "export A_KEY='***' B=c"),
        ("A_SECRET = \"x\\\"y\" z", "A_SECRET = \"***\" z"),
        ("DB_PASSWORD: hunter2\nx", "DB_PASSWORD: ***\nx"),
        ("DB_PASS2024=x", "DB_PASS2024=***"),
        ("12:30:45 A_KEY=x", "12:30:45 A_KEY=***"),
        ("PASSPHRASE=a\tb", "PASSPHRASE=***\tb"),
        (
            r#"{"accessToken":"sk-1","n":2}"#,
            r#"{"accessToken":"***","n":2}"#,
        ),
        (r#"{"api_key" : "sk-1"}"#, r#"{"api_key" : "***"}"#),
        (
            r#"{"text":"{\"refreshToken\":\"sk-\\\\1\",\"n\":2}"}"#,
            r#"{"text":"{\"refreshToken\":\"***\",\"n\":2}"}"#,
        ),
        (r#"{"text":"A_KEY=x"}"#, r#"{"text":"A_KEY=***"}"#),
        (r#"{"text":"A_KEY=x\"}"#, r#"{"text":"A_KEY=***\"}"#),
        ("curl -H 'X-Api-Key: k'", "curl -H 'X-Api-Key: k'"),
        ("?access_token=abc", "?access_token=***"),
        ("A_KEY=x", "A_KEY=***"),
        ("A_KEY=\nB=c", "A_KEY=\nB=c"),
    ] {
        check(&[], text, expected);
    }
}

#[test]
fn what_only_looks_like_a_secret_name_is_shown() {
    for text in [
        "if token == other: pass",
        "fn f(token: string, key: u8) => token",
        r#"{"max_tokens":5,"token":null,"key":"Enter","MAX_TOKEN":5}"#,
        "monkey=1 keys=2 KEYS=3",
        "https://example.org:80/a?b=c",
        "TOKEN",
        "A_KEY=",
    ] {
        check(&[], text, text);
    }
}

#[test]
fn binary_data_passes_unchanged() {
    let data: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let got = shown(&secrets(&["hunter22"]), &data, &[1, 77, 4096]);
    assert_eq!(got, data);
}

proptest! {
    #[test]
    fn where_the_pieces_are_cut_makes_no_difference(
        text in "([ab\"\\\\= :\n]|TOKEN|abba|apiKey){0,40}",
        values in prop::collection::vec("[ab\"]{4,7}", 0..4),
        cuts in prop::collection::vec(0_usize..80, 0..8),
    ) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let secrets = secrets(&values);
        let mut cuts = cuts;
        cuts.sort_unstable();
        let whole = shown(&secrets, text.as_bytes(), &[]);
        let pieces = shown(&secrets, text.as_bytes(), &cuts);
        prop_assert_eq!(
            String::from_utf8_lossy(&pieces).into_owned(),
            String::from_utf8_lossy(&whole).into_owned()
        );
        for value in values {
            let shown = String::from_utf8_lossy(&whole).into_owned();
            prop_assert!(!shown.contains(value), "{value} in {shown}");
        }
    }

    #[test]
    fn without_a_secret_nothing_is_changed(
        data in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(0_usize..400, 0..8),
    ) {
        let secrets = secrets(&["a secret that is not there"]);
        let mut cuts = cuts;
        cuts.sort_unstable();
        let names = data.windows(3).any(|w| [&b"KEY"[..], b"key", b"PAS", b"pas", b"TOK", b"tok"].contains(&w));
        prop_assume!(!names);
        prop_assert_eq!(shown(&secrets, &data, &cuts), data);
    }
}

#[test]
fn a_value_in_three_quotes_is_hidden_and_an_empty_one_hides_nothing_behind_it() {
    let toml = r"GH_TOKEN = '''hunter22''' # x";
    check(&[], toml, "GH_TOKEN = '***''***''' # x");
    check(&[], r#"A_KEY="""two""" b"#, r#"A_KEY="***""***""" b"#);
    check(
        &[],
        r#"{"token":"","user":"me"}"#,
        r#"{"token":"***","user":"me"}"#,
    );
    check(&[], "A_KEY='' b='c'", "A_KEY='***' b='c'");
}
