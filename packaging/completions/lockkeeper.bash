# Made from the program's tables: UPDATE=1 cargo nextest run -E 'test(completions::)'

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
            [[ $skip != @(-c|--config) ]] || config=$word
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
            -c|--config|--class|--dir|--lock|--wait|--timeout|--idle-timeout|--grace|--dir-lock|--skip|--agentctl|--by|--reason|--for|--since|--until|--from|--svg|--socket|--report) skip=$word ;;
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
        -c|--config|--lock|--agentctl|--from|--svg|--socket) _lockkeeper_files -f; return ;;
        --dir|--dir-lock) _lockkeeper_files -d; return ;;
        --class) _lockkeeper_names classes check; return ;;
        --wait|--timeout|--idle-timeout|--grace|--skip|--by|--reason|--for|--since|--until|--report) :; return ;;
    esac

    case $verb in
        'init') flags='-c --config --class --socket -v --verbose -q --quiet --report -h --help -V --version' words='' files='' ;;
        'run') flags='-c --config --class --dir --lock --wait --timeout --idle-timeout --grace --dir-lock -v --verbose -q --quiet --report -h --help -V --version' words='' files='' jobs=check ;;
        'check') flags='-c --config --json --names --toml --no-versions -v --verbose -q --quiet --report -h --help -V --version' words='' files='' ;;
        'status') flags='-c --config --json --names --watch --metrics --socket -v --verbose -q --quiet --report -h --help -V --version' words='' files='-f' ;;
        'start') flags='--socket -v --verbose -q --quiet --report -h --help -V --version' words='' files='' jobs=status ;;
        'stop') flags='--socket --no-wait -v --verbose -q --quiet --report -h --help -V --version' words='' files='' jobs=status ;;
        'restart') flags='--socket -v --verbose -q --quiet --report -h --help -V --version' words='' files='' jobs=status ;;
        'reload') flags='--dry-run --socket -v --verbose -q --quiet --report -h --help -V --version' words='' files='' ;;
        'health') flags='--socket -v --verbose -q --quiet --report -h --help -V --version' words='' files='' jobs=status ;;
        'lock') flags='-v --verbose -q --quiet --report -h --help -V --version' words='list show clean hold release' files='' ;;
        'pause') flags='-c --config --json --by --reason --for -v --verbose -q --quiet --report -h --help -V --version' words='end' files='-f' ;;
        'logs') flags='-c --config -f --follow --since -v --verbose -q --quiet --report -h --help -V --version' words='' files='' jobs=check ;;
        'timeline') flags='--lock --json --since --until --from --svg -v --verbose -q --quiet --report -h --help -V --version' words='' files='' jobs=check ;;
        'lock list') flags='--json --skip --no-skip --agentctl -v --verbose -q --quiet --report -h --help -V --version' words='' files='-d' ;;
        'lock show') flags='--json -v --verbose -q --quiet --report -h --help -V --version' words='' files='-f' ;;
        'lock clean') flags='--json --skip --no-skip --agentctl --dry-run -v --verbose -q --quiet --report -h --help -V --version' words='' files='-d' ;;
        'lock hold') flags='--by --reason -v --verbose -q --quiet --report -h --help -V --version' words='' files='-d' ;;
        'lock release') flags='--force -v --verbose -q --quiet --report -h --help -V --version' words='' files='-d' ;;
        'pause end') flags='-c --config --json -v --verbose -q --quiet --report -h --help -V --version' words='' files='-f' ;;
        *) flags='-c --config --class --socket -v --verbose -q --quiet --report -h --help -V --version' words='init run check status start stop restart reload health lock pause logs timeline' files='' ;;
    esac

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
