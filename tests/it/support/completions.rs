//! Completions for bash, zsh and fish, made from the tables of verbs and flags.
//!
//! All three follow one rule: behind `--` stands a command, and is completed as one; a flag that takes
//! a value is followed by that value; else come the flags of the verb, and those of everywhere.

use std::fmt::Write as _;

use lockkeeper::cli::flags::{FLAGS, Flag, Id, LOCK_VERBS, PAUSE_VERBS, VERBS, Verb, VerbInfo};

const MADE: &str =
    "# Made from the program's tables: UPDATE=1 cargo nextest run -E 'test(completions::)'\n";

/// What a value is completed as.
#[derive(PartialEq)]
enum Kind {
    File,
    Dir,
    /// A job of the file in use.
    Job,
    /// A job of the running init; where none answers, of that file.
    Running,
    /// A class of it.
    Class,
    /// Nothing can be offered.
    Word,
}

fn kind(flag: &Flag) -> Kind {
    match flag.value {
        Some("FILE" | "PATH") => Kind::File,
        Some("DIR") => Kind::Dir,
        Some("CLASS") => Kind::Class,
        _ => Kind::Word,
    }
}

/// What stands behind a verb besides flags.
fn operand(verb: Verb) -> Kind {
    match verb {
        Verb::LockList | Verb::LockClean | Verb::LockHold | Verb::LockRelease => Kind::Dir,
        Verb::Status | Verb::LockShow | Verb::Pause | Verb::PauseEnd => Kind::File,
        Verb::Run | Verb::Logs | Verb::Timeline => Kind::Job,
        Verb::Start | Verb::Stop | Verb::Restart | Verb::Health => Kind::Running,
        _ => Kind::Word,
    }
}

fn verbs() -> impl Iterator<Item = &'static VerbInfo> {
    VERBS.iter().chain(LOCK_VERBS).chain(PAUSE_VERBS)
}

/// The second words of `lock` and `pause`.
fn second_words(verb: Verb) -> Vec<(&'static str, &'static str)> {
    let infos = match verb {
        Verb::Lock => LOCK_VERBS,
        Verb::Pause => PAUSE_VERBS,
        _ => &[],
    };
    let word = |info: &VerbInfo| Some((info.name.split_once(' ')?.1, info.doc));
    infos.iter().filter_map(word).collect()
}

/// All ways to write a flag.
fn spellings(flag: &Flag) -> Vec<String> {
    let short = flag.short.map(|short| format!("-{short}"));
    short
        .into_iter()
        .chain([format!("--{}", flag.long)])
        .collect()
}

fn joined(flags: impl Iterator<Item = &'static Flag>, between: &str) -> String {
    let all: Vec<String> = flags.flat_map(spellings).collect();
    all.join(between)
}

/// The file for bash; it needs nothing of the package bash-completion.
pub(crate) fn bash() -> String {
    let mut text = format!("{MADE}{BASH_BEGIN}");
    for (which, action) in [
        (Kind::File, "_lockkeeper_files -f"),
        (Kind::Dir, "_lockkeeper_files -d"),
        (Kind::Class, "_lockkeeper_names classes check"),
        (Kind::Word, ":"),
    ] {
        let flags = FLAGS
            .iter()
            .filter(|flag| flag.value.is_some() && kind(flag) == which);
        let names = joined(flags, "|");
        writeln!(text, "        {names}) {action}; return ;;").unwrap();
    }
    text.push_str("    esac\n\n    case $verb in\n");
    for info in verbs() {
        let flags = joined(FLAGS.iter().filter(|flag| flag.belongs_to(info.verb)), " ");
        let words: Vec<&str> = second_words(info.verb)
            .iter()
            .map(|(word, _)| *word)
            .collect();
        let files = match operand(info.verb) {
            Kind::File => "-f",
            Kind::Dir => "-d",
            Kind::Job | Kind::Running | Kind::Class | Kind::Word => "",
        };
        let jobs = match operand(info.verb) {
            Kind::Job => " jobs=check",
            Kind::Running => " jobs=status",
            _ => "",
        };
        let (name, words) = (info.name, words.join(" "));
        writeln!(
            text,
            "        '{name}') flags='{flags}' words='{words}' files='{files}'{jobs} ;;"
        )
        .unwrap();
    }
    let names: Vec<&str> = VERBS.iter().map(|info| info.name).collect();
    let init = joined(FLAGS.iter().filter(|flag| flag.belongs_to(Verb::Init)), " ");
    let names = names.join(" ");
    writeln!(
        text,
        "        *) flags='{init}' words='{names}' files='' ;;\n    esac"
    )
    .unwrap();
    let takes = joined(FLAGS.iter().filter(|flag| flag.value.is_some()), "|");
    (text + BASH_END)
        .replace("@TAKES@", &takes)
        .replace("@CONFIG@", &config())
}

const BASH_BEGIN: &str = r#"
# Files (-f) or folders (-d) that go on from what is typed, names with blanks in one piece.
_lockkeeper_files() {
    local line
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(compgen "$1" -- "$cur")
}

# Names of jobs or of classes, as the file in use has them (check) or the running init (status).
_lockkeeper_names() {
    local line program=${COMP_WORDS[0]/#'~/'/"$HOME/"}
    while IFS= read -r line; do
        [[ $line != "$1.$cur"* ]] || COMPREPLY+=("${line#*.}")
    done < <("$program" "$2" --names ${config:+-c "${config/#'~/'/"$HOME/"}"} \
        ${socket:+--socket "${socket/#'~/'/"$HOME/"}"} 2>/dev/null </dev/null)
}

_lockkeeper() {
    local cur=${COMP_WORDS[COMP_CWORD]}
    local verb='' skip='' job='' jobs='' config='' socket='' flags words files word i
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $skip ]]; then
            # bash makes three words of --flag=value.
            [[ $word != = ]] || continue
            [[ $skip != @(@CONFIG@) ]] || config=$word
            [[ $skip != --socket ]] || socket=$word
            skip=''
            continue
        fi
        case $word in
            --)
                # A command: its own completions, or the names of programs and files.
                if declare -F _command_offset >/dev/null; then
                    _command_offset $((i + 1))
                elif ((i + 1 == COMP_CWORD)); then
                    while IFS= read -r word; do
                        COMPREPLY+=("$word")
                    done < <(compgen -c -- "$cur")
                else
                    _lockkeeper_files -f
                fi
                return ;;
            @TAKES@) skip=$word ;;
            -*) ;;
            *)
                if [[ ! $verb ]]; then
                    verb=$word
                elif [[ "$verb $word" == 'pause end' || $verb == lock ]]; then
                    verb="$verb $word"
                else
                    job=$word
                fi ;;
        esac
    done

    [[ $skip ]] && case $skip in
"#;

const BASH_END: &str = r#"
    if [[ $cur == -* ]]; then
        words="$flags --"
    fi
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen -W "$words" -- "$cur")
    if [[ $files && $cur != -* ]]; then
        _lockkeeper_files "$files"
    fi
    if [[ $jobs && ! $job && $cur != -* ]]; then
        _lockkeeper_names jobs "$jobs"
    fi
}

complete -F _lockkeeper lockkeeper
"#;

/// The spellings of the flag that names the file.
fn config() -> String {
    joined(FLAGS.iter().filter(|flag| flag.id == Id::Config), "|")
}

/// A text in single quotes of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A line of `_describe`, whose names end at a colon.
fn described(name: &str, doc: &str) -> String {
    quoted(&format!("{name}:{doc}"))
}

/// The file for zsh, `_lockkeeper` in a folder of `$fpath`.
pub(crate) fn zsh() -> String {
    let mut text = format!("#compdef lockkeeper\n{MADE}\n");
    for (name, infos) in [("_lockkeeper_verbs", VERBS)] {
        writeln!(text, "{name}() {{\n    local -a words=(").unwrap();
        for info in infos {
            writeln!(text, "        {}", described(info.name, info.doc)).unwrap();
        }
        text.push_str("    )\n    _describe verb words\n}\n\n");
    }
    text.push_str(ZSH_NAMES);
    text.push_str("_lockkeeper() {\n    # Behind -- stands a command.\n    local at=${words[(i)--]}\n    if ((at < CURRENT)); then\n        words=(\"${(@)words[at+1,-1]}\")\n        ((CURRENT -= at))\n        _normal\n        return\n    fi\n    local curcontext=$curcontext state line ret=1\n    local -A opt_args\n    local -a common=(\n");
    for flag in FLAGS.iter().filter(|flag| flag.verbs.is_empty()) {
        zsh_flag(&mut text, flag, "");
    }
    text.push_str(
        "    )\n    local i verb=init\n    for ((i = 2; i < CURRENT; i++)); do\n        case $words[i] in\n            --) break ;;\n",
    );
    let takes = joined(FLAGS.iter().filter(|flag| flag.value.is_some()), "|");
    writeln!(text, "            {takes}) ((i++)) ;;\n            -*) ;;").unwrap();
    text.push_str("            *)\n                verb=$words[i]\n                ((i + 1 < CURRENT)) && case \"$verb $words[i+1]\" in\n                    lock\\ *|'pause end') verb=\"$verb $words[++i]\" ;;\n                esac\n                break ;;\n        esac\n    done\n\n    case $verb in\n");
    for info in verbs() {
        writeln!(
            text,
            "        {})\n            _arguments -s -S $common \\",
            quoted(info.name)
        )
        .unwrap();
        let own = FLAGS
            .iter()
            .filter(|flag| !flag.verbs.is_empty() && flag.belongs_to(info.verb));
        for flag in own {
            zsh_flag(&mut text, flag, " \\");
        }
        let action = zsh_operand(info.verb);
        writeln!(text, "                {action} && ret=0 ;;").unwrap();
    }
    text.push_str("        *) _lockkeeper_verbs && ret=0 ;;\n    esac\n    return ret\n}\n\n_lockkeeper \"$@\"\n");
    text
}

/// What stands behind the verb; the verb itself is the first word, but for what is meant without one.
fn zsh_operand(verb: Verb) -> String {
    let words: Vec<&str> = second_words(verb).iter().map(|(word, _)| *word).collect();
    let rest = match operand(verb) {
        Kind::File => "'*:lock:_files'",
        Kind::Dir => "'*:folder:_files -/'",
        Kind::Job => "'2:job:_lockkeeper_jobs'",
        Kind::Running => "'2:job:_lockkeeper_running'",
        Kind::Class | Kind::Word => "'*: : '",
    };
    let first = match verb {
        Verb::Init => "'1:verb:_lockkeeper_verbs' ".to_owned(),
        Verb::Lock | Verb::Pause => format!("'1: :' '2:what:({})' ", words.join(" ")),
        other if other.name().contains(' ') => "'1: :' '2: :' ".to_owned(),
        _ => "'1: :' ".to_owned(),
    };
    first + rest
}

/// One flag in all its spellings, each line with this at its end.
fn zsh_flag(text: &mut String, flag: &Flag, end: &str) {
    // Brackets and colons end a part of what _arguments reads.
    let doc = flag.doc.replace('[', "\\[").replace(']', "\\]");
    let value = match (flag.value, kind(flag)) {
        (None, _) => String::new(),
        (Some(name), Kind::File) => format!(":{name}:_files"),
        (Some(name), Kind::Dir) => format!(":{name}:_files -/"),
        (Some(name), Kind::Class) => format!(":{name}:_lockkeeper_classes"),
        (Some(name), Kind::Job | Kind::Running | Kind::Word) => format!(":{name}: "),
    };
    for name in spellings(flag) {
        let spec = quoted(&format!("*{name}[{doc}]{value}"));
        writeln!(text, "                {spec}{end}").unwrap();
    }
}

const ZSH_NAMES: &str = r#"# Names of jobs or of classes, as the file in use has them (check) or the running init (status).
_lockkeeper_names() {
    local config=${(Q)${opt_args[-c]:-$opt_args[--config]}} socket=${(Q)opt_args[--socket]}
    local program=${(Q)words[1]} what=$1 verb=$2
    local -a names
    shift 2
    names=(${(f)"$(${program/#\~\//$HOME/} $verb --names ${config:+-c} ${config/#\~\//$HOME/} \
        ${socket:+--socket} ${socket/#\~\//$HOME/} 2>/dev/null </dev/null)"})
    names=(${${(M)names:#$what.*}#$what.})
    compadd "$@" -a names
}
_lockkeeper_jobs() { _lockkeeper_names jobs check "$@" }
_lockkeeper_running() { _lockkeeper_names jobs status "$@" }
_lockkeeper_classes() { _lockkeeper_names classes check "$@" }

"#;

/// The file for fish.
pub(crate) fn fish() -> String {
    let mut text = format!("{MADE}{FISH}");
    let takes = joined(FLAGS.iter().filter(|flag| flag.value.is_some()), " ");
    text = text.replace("@TAKES@", &takes);
    text = text.replace("@CONFIG@", &config().replace('|', " "));
    for info in VERBS {
        let (name, doc) = (info.name, fish_quoted(info.doc));
        writeln!(
            text,
            "{FISH_LINE} '__lockkeeper_at \"\"' -a {name} -d {doc}"
        )
        .unwrap();
        for (word, doc) in second_words(info.verb) {
            let doc = fish_quoted(doc);
            writeln!(
                text,
                "{FISH_LINE} '__lockkeeper_at {name}' -a {word} -d {doc}"
            )
            .unwrap();
        }
    }
    for info in verbs() {
        let action = match operand(info.verb) {
            Kind::File => "__fish_complete_path (commandline -ct)",
            Kind::Dir => "__fish_complete_directories (commandline -ct)",
            Kind::Job => "__lockkeeper_jobs check",
            Kind::Running => "__lockkeeper_jobs status",
            Kind::Class | Kind::Word => continue,
        };
        let name = info.name;
        writeln!(
            text,
            "{FISH_LINE} '__lockkeeper_at \"{name}\"' -a '({action})'"
        )
        .unwrap();
    }
    writeln!(
        text,
        "{FISH_LINE} '__lockkeeper_at COMMAND' -a '(__lockkeeper_command)'"
    )
    .unwrap();
    for flag in FLAGS {
        let names: Vec<String> = flag
            .verbs
            .iter()
            .map(|verb| quoted_word(verb.name()))
            .collect();
        let places = if flag.belongs_to(Verb::Init) && !names.is_empty() {
            format!("\"\" {}", names.join(" "))
        } else {
            names.join(" ")
        };
        let at = if names.is_empty() {
            "not __lockkeeper_at COMMAND".to_owned()
        } else {
            format!("__lockkeeper_at {places}")
        };
        write!(text, "{FISH_LINE} '{at}' -l {}", flag.long).unwrap();
        if let Some(short) = flag.short {
            write!(text, " -s {short}").unwrap();
        }
        text.push_str(match (flag.value, kind(flag)) {
            (None, _) => "",
            (Some(_), Kind::File) => " -rF",
            (Some(_), Kind::Dir) => " -x -a '(__fish_complete_directories (commandline -ct))'",
            (Some(_), Kind::Class) => " -x -a '(__lockkeeper_names classes check)'",
            (Some(_), Kind::Job | Kind::Running | Kind::Word) => " -x",
        });
        writeln!(text, " -d {}", fish_quoted(flag.doc)).unwrap();
    }
    text
}

fn quoted_word(name: &str) -> String {
    format!("\"{name}\"")
}

fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

const FISH_LINE: &str = "complete -c lockkeeper -n";

const FISH: &str = r#"
# The verb on the command line, or COMMAND behind --; then the job, if there is one.
function __lockkeeper_verb
    set -l verb
    set -l job
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case --
                echo COMMAND
                return
            case @TAKES@
                set skip 1
            case '-*'
            case '*'
                if test -z "$verb"
                    set verb $word
                else if test "$verb $word" = 'pause end' -o "$verb" = lock
                    set verb "$verb $word"
                else
                    set job $word
                end
        end
    end
    printf '%s\n' "$verb" $job
end

# Whether it is one of these.
function __lockkeeper_at
    contains -- (__lockkeeper_verb)[1]"" $argv
end

# Names of jobs or of classes, as the file in use has them (check) or the running init (status).
function __lockkeeper_names
    set -l words (commandline -opc | string replace -r '^~/' "$HOME/")
    set -l program $words[1]
    set -l config
    set -l socket
    for at in (seq (count $words))
        if contains -- $words[$at] @CONFIG@; and set -q words[(math $at + 1)]
            set config -c $words[(math $at + 1)]
        else if string match -q -- '--config=*' $words[$at]
            set config -c (string replace -- '--config=' '' $words[$at])
        else if test "$words[$at]" = --socket; and set -q words[(math $at + 1)]
            set socket --socket $words[(math $at + 1)]
        else if string match -q -- '--socket=*' $words[$at]
            set socket $words[$at]
        end
    end
    command -q $program; or return
    $program $argv[2] --names $config $socket 2>/dev/null </dev/null | string replace -rf "^$argv[1]\\." ""
end

function __lockkeeper_jobs
    test (count (__lockkeeper_verb)) = 1; and __lockkeeper_names jobs $argv
end

# What is offered for the command behind --.
function __lockkeeper_command
    set -l words (commandline -opc)
    set -l last (contains -i -- -- $words)
    set -e words[1..$last]
    set words (string escape -- $words)
    complete -C "$words "(commandline -ct)
end

complete -c lockkeeper -f
"#;
