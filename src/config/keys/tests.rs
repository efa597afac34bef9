use super::*;

#[test]
fn no_scope_has_a_key_twice() {
    for (i, key) in KEYS.iter().enumerate() {
        for scope in key.scopes {
            let first = KEYS
                .iter()
                .position(|k| k.name == key.name && k.scopes.contains(scope));
            assert_eq!(first, Some(i), "{} in {scope:?}", key.name);
        }
    }
}

#[test]
fn every_key_says_what_it_is_for_and_what_holds_without_it() {
    for key in KEYS {
        assert!(
            !key.doc.is_empty() && !key.doc.ends_with('.'),
            "{}",
            key.name
        );
        let built = key.shape != Shape::NotBuilt;
        assert_eq!(!key.default.is_empty(), built, "{}", key.name);
    }
}

#[test]
fn the_defaults_told_are_the_defaults_used() {
    use crate::config::plan;
    for (scope, name, used) in [
        (Scope::Init, "stop_within", plan::DEFAULT_STOP_WITHIN),
        (Scope::Class, "wait", plan::DEFAULT_WAIT),
        (Scope::Class, "refresh", plan::DEFAULT_REFRESH),
        (Scope::Class, "stale_after", plan::DEFAULT_STALE_AFTER),
        (Scope::Final, "grace", plan::DEFAULT_FINAL_GRACE),
        (Scope::Pause, "for", plan::DEFAULT_PAUSE),
        (Scope::Stop, "grace", plan::DEFAULT_GRACE),
        (Scope::Stop, "leftover_grace", plan::DEFAULT_LEFTOVER_GRACE),
        (Scope::Job, "jitter", Duration::ZERO),
        (Scope::Restart, "delay", plan::DEFAULT_RESTART_DELAY),
        (Scope::Restart, "max_delay", plan::DEFAULT_MAX_DELAY),
        (Scope::Restart, "reset_after", plan::DEFAULT_RESET_AFTER),
    ] {
        let told = find(name, scope).unwrap().default;
        assert_eq!(humantime::parse_duration(told), Ok(used), "{name}");
    }
    let output = plan::OutputPlan::default();
    let told = |name| find(name, Scope::Job).unwrap().default;
    assert_eq!(told("log_dir"), output.log_dir.to_str().unwrap());
    assert_eq!(told("log_size"), format!("{}M", output.log_size >> 20));
    assert_eq!(told("log_files"), output.log_files.to_string());
    let pty = plan::PtyPlan::default();
    let told = |name| find(name, Scope::Pty).unwrap().default;
    assert_eq!(told("rows"), pty.rows.to_string());
    assert_eq!(told("cols"), pty.cols.to_string());
    assert_eq!(told("echo"), pty.echo.to_string());
    let signal = find("signal", Scope::Stop).unwrap().default;
    assert_eq!((signal, plan::StopPlan::default().signal), ("TERM", 15));
}

#[test]
fn no_foreign_name_is_a_key_of_the_same_scope() {
    for key in KEYS {
        for also in key.also {
            for scope in key.scopes {
                assert!(find(also, *scope).is_none(), "{also} for {}", key.name);
            }
        }
    }
}
