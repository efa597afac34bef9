# Made from the program's tables: UPDATE=1 cargo nextest run -E 'test(completions::)'

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
            case -c --config --class --dir --lock --wait --timeout --idle-timeout --grace --dir-lock --skip --agentctl --by --reason --for --since --until --from --svg --socket --report
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
        if contains -- $words[$at] -c --config; and set -q words[(math $at + 1)]
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
complete -c lockkeeper -n '__lockkeeper_at ""' -a init -d 'the ENTRYPOINT of a container; a COMMAND is its main job'
complete -c lockkeeper -n '__lockkeeper_at ""' -a run -d 'one run of a job or a command, in the foreground'
complete -c lockkeeper -n '__lockkeeper_at ""' -a check -d 'check the file, the mounts and the identities; 78 on errors'
complete -c lockkeeper -n '__lockkeeper_at ""' -a status -d 'jobs and runs here, holder and queue of each lock'
complete -c lockkeeper -n '__lockkeeper_at ""' -a start -d 'ask the running init to start a job'
complete -c lockkeeper -n '__lockkeeper_at ""' -a stop -d 'ask it to stop a job, and wait until the run is over'
complete -c lockkeeper -n '__lockkeeper_at ""' -a restart -d 'ask it to stop a job and start it again'
complete -c lockkeeper -n '__lockkeeper_at ""' -a reload -d 'ask it to read its file again; 78 on errors'
complete -c lockkeeper -n '__lockkeeper_at ""' -a health -d 'whether it answers and all is well: 0, else 1'
complete -c lockkeeper -n '__lockkeeper_at ""' -a lock -d 'list, show, clean, hold and release directory locks'
complete -c lockkeeper -n '__lockkeeper_at lock' -a list -d 'all directory locks below the roots, and how they stand'
complete -c lockkeeper -n '__lockkeeper_at lock' -a show -d 'one directory\'s lock, or holder and queue of a shared lock'
complete -c lockkeeper -n '__lockkeeper_at lock' -a clean -d 'remove the records of dead owners, and nothing else'
complete -c lockkeeper -n '__lockkeeper_at lock' -a hold -d 'keep agents out of a directory until it is released'
complete -c lockkeeper -n '__lockkeeper_at lock' -a release -d 'give back a directory that was held by hand'
complete -c lockkeeper -n '__lockkeeper_at ""' -a pause -d 'keep batch jobs from starting for a while, in all containers'
complete -c lockkeeper -n '__lockkeeper_at pause' -a end -d 'end all pauses, whoever set them'
complete -c lockkeeper -n '__lockkeeper_at ""' -a logs -d 'what the journal, or its file, has of a job; or of all'
complete -c lockkeeper -n '__lockkeeper_at ""' -a timeline -d 'who held the lock when, who waited, and how each run ended'
complete -c lockkeeper -n '__lockkeeper_at "run"' -a '(__lockkeeper_jobs check)'
complete -c lockkeeper -n '__lockkeeper_at "status"' -a '(__fish_complete_path (commandline -ct))'
complete -c lockkeeper -n '__lockkeeper_at "start"' -a '(__lockkeeper_jobs status)'
complete -c lockkeeper -n '__lockkeeper_at "stop"' -a '(__lockkeeper_jobs status)'
complete -c lockkeeper -n '__lockkeeper_at "restart"' -a '(__lockkeeper_jobs status)'
complete -c lockkeeper -n '__lockkeeper_at "health"' -a '(__lockkeeper_jobs status)'
complete -c lockkeeper -n '__lockkeeper_at "pause"' -a '(__fish_complete_path (commandline -ct))'
complete -c lockkeeper -n '__lockkeeper_at "logs"' -a '(__lockkeeper_jobs check)'
complete -c lockkeeper -n '__lockkeeper_at "timeline"' -a '(__lockkeeper_jobs check)'
complete -c lockkeeper -n '__lockkeeper_at "lock list"' -a '(__fish_complete_directories (commandline -ct))'
complete -c lockkeeper -n '__lockkeeper_at "lock show"' -a '(__fish_complete_path (commandline -ct))'
complete -c lockkeeper -n '__lockkeeper_at "lock clean"' -a '(__fish_complete_directories (commandline -ct))'
complete -c lockkeeper -n '__lockkeeper_at "lock hold"' -a '(__fish_complete_directories (commandline -ct))'
complete -c lockkeeper -n '__lockkeeper_at "lock release"' -a '(__fish_complete_directories (commandline -ct))'
complete -c lockkeeper -n '__lockkeeper_at "pause end"' -a '(__fish_complete_path (commandline -ct))'
complete -c lockkeeper -n '__lockkeeper_at COMMAND' -a '(__lockkeeper_command)'
complete -c lockkeeper -n '__lockkeeper_at "" "init" "run" "check" "status" "logs" "pause" "pause end"' -l config -s c -rF -d 'else $LOCKKEEPER_CONFIG, else /etc/lockkeeper.toml'
complete -c lockkeeper -n '__lockkeeper_at "" "init" "run"' -l class -x -a '(__lockkeeper_names classes check)' -d 'the class of the file that the command runs in'
complete -c lockkeeper -n '__lockkeeper_at "run"' -l dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'the directory to run the command in'
complete -c lockkeeper -n '__lockkeeper_at "run" "timeline"' -l lock -rF -d 'hold it until all has ended; timeline: its runs alone'
complete -c lockkeeper -n '__lockkeeper_at "run"' -l wait -x -d 'time to wait for the locks, or forever (10m)'
complete -c lockkeeper -n '__lockkeeper_at "run"' -l timeout -x -d 'end the command this long after its start'
complete -c lockkeeper -n '__lockkeeper_at "run"' -l idle-timeout -x -d 'end the command after this long without output'
complete -c lockkeeper -n '__lockkeeper_at "run"' -l grace -x -d 'the time between SIGTERM and what is harder (15s)'
complete -c lockkeeper -n '__lockkeeper_at "run"' -l dir-lock -x -a '(__fish_complete_directories (commandline -ct))' -d 'one agent in this directory; can be repeated'
complete -c lockkeeper -n '__lockkeeper_at "check" "status" "lock list" "lock show" "lock clean" "pause" "pause end" "timeline"' -l json -d 'one JSON object in place of text'
complete -c lockkeeper -n '__lockkeeper_at "check" "status"' -l names -d 'the names alone, one a line: of jobs and classes'
complete -c lockkeeper -n '__lockkeeper_at "check"' -l toml -d 'print a file that fits what is here, ready to save'
complete -c lockkeeper -n '__lockkeeper_at "check"' -l no-versions -d 'do not run the agents found, to hear their versions'
complete -c lockkeeper -n '__lockkeeper_at "lock list" "lock clean"' -l skip -x -d 'look into no folder of this name; can be given again'
complete -c lockkeeper -n '__lockkeeper_at "lock list" "lock clean"' -l no-skip -d 'look into .git, node_modules, target and such, too'
complete -c lockkeeper -n '__lockkeeper_at "lock list" "lock clean"' -l agentctl -rF -d 'agentctl\'s list (~/.agentctl/locks.json)'
complete -c lockkeeper -n '__lockkeeper_at "lock clean" "reload"' -l dry-run -d 'say what would be done, and do nothing'
complete -c lockkeeper -n '__lockkeeper_at "lock hold" "pause"' -l by -x -d 'who holds or pauses it (the user\'s name)'
complete -c lockkeeper -n '__lockkeeper_at "lock hold" "pause"' -l reason -x -d 'why, for those who find it held or paused'
complete -c lockkeeper -n '__lockkeeper_at "pause"' -l for -x -d 'set a pause of this length, at most 24h'
complete -c lockkeeper -n '__lockkeeper_at "lock release"' -l force -d 'whatever the record says, unless its owner lives'
complete -c lockkeeper -n '__lockkeeper_at "logs"' -l follow -s f -d 'go on with what comes, until it is interrupted'
complete -c lockkeeper -n '__lockkeeper_at "logs" "timeline"' -l since -x -d 'not what is older: 10m, 2h, or as journalctl takes it'
complete -c lockkeeper -n '__lockkeeper_at "timeline"' -l until -x -d 'not what is newer, likewise'
complete -c lockkeeper -n '__lockkeeper_at "timeline"' -l from -rF -d 'a container\'s JSON log, not the journal; - is stdin'
complete -c lockkeeper -n '__lockkeeper_at "timeline"' -l svg -rF -d 'draw a picture into this file; - is standard output'
complete -c lockkeeper -n '__lockkeeper_at "status"' -l watch -d 'show it anew when it changes, until it is interrupted'
complete -c lockkeeper -n '__lockkeeper_at "status"' -l metrics -d 'the same for Prometheus, as its text format has it'
complete -c lockkeeper -n '__lockkeeper_at "" "init" "status" "start" "stop" "restart" "reload" "health"' -l socket -rF -d 'init\'s socket; else $LOCKKEEPER_SOCKET, else found'
complete -c lockkeeper -n '__lockkeeper_at "stop"' -l no-wait -d 'do not wait until the run is over'
complete -c lockkeeper -n 'not __lockkeeper_at COMMAND' -l verbose -s v -d 'say more; twice: say all'
complete -c lockkeeper -n 'not __lockkeeper_at COMMAND' -l quiet -s q -d 'say nothing but errors'
complete -c lockkeeper -n 'not __lockkeeper_at COMMAND' -l report -x -d 'write how it ended to this descriptor, as JSON'
complete -c lockkeeper -n 'not __lockkeeper_at COMMAND' -l help -s h -d 'print this help, or that of a verb'
complete -c lockkeeper -n 'not __lockkeeper_at COMMAND' -l version -s V -d 'print the version'
