//! The table: what is typed or found, the exit code, the first words of the message.

/// The input, the exit code, the first words on standard error after `lockkeeper: `; none: it is
/// silent. DIR stands for the case's folder.
pub(super) type Case = (&'static str, i32, &'static str);

pub(super) const CONFIGURATIONS: &[Case] = &[
    (
        "lk init -c none.toml",
        78,
        "none.toml: error: cannot open the configuration: no such file",
    ),
    (
        ": > c.toml; lk -c c.toml",
        78,
        "c.toml: error: the configuration is empty",
    ),
    (
        "head -c 10485760 /dev/zero | tr '\\0' '#' > c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: 10485760 bytes are more",
    ),
    (
        "printf 'a\\0b' > c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: it is binary",
    ),
    (
        "printf 'a = \"\\377\"' > c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: it is not UTF-8",
    ),
    (
        "mkdir c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: this is a folder",
    ),
    (
        "mkfifo c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: this is a pipe",
    ),
    (
        "lk -c /dev/zero",
        78,
        "/dev/zero: error: cannot read the configuration: this is a device",
    ),
    (
        "ln -s c.toml c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot open the configuration: too many symbolic links",
    ),
    (
        "touch c.toml; chmod 600 c.toml; nobody ./lockkeeper -c c.toml",
        78,
        "c.toml: error: cannot open the configuration: permission denied",
    ),
    ("lk -c ''", 64, "\"--config\" is empty"),
    (
        "toml '[jobs.a]' 'class = \"interactive\"' 'command = [\"true\"]'; lk run -c jobs.toml b",
        78,
        "no job in \"jobs.toml\" is named \"b\": there are \"a\"",
    ),
];

pub(super) const LOCKS: &[Case] = &[
    (
        "mkdir lock; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a folder; name a file inside it, \"DIR/lock/session.lock\"; or",
    ),
    (
        "mkfifo lock; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a FIFO",
    ),
    (
        "touch file; ln -s file lock; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a symbolic link; name the file itself, \"file\"",
    ),
    (
        "ln -s lock lock; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a symbolic link",
    ),
    (
        "ln -s loop loop; lk run --lock loop/lock -- true",
        78,
        "cannot open the lock \"DIR/loop/lock\": symbolic links on the way to it lead round",
    ),
    (
        "lk run --lock /dev/null -- true",
        78,
        "cannot open the lock \"/dev/null\": it is a device",
    ),
    (
        "mknod lock c 240 99; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a socket or a device",
    ),
    (
        "lk run --lock socket -- true",
        78,
        "cannot open the lock \"DIR/socket\": it is a socket",
    ),
    (
        "lk run --lock no/such/lock -- true",
        78,
        "cannot open the lock \"DIR/no/such/lock\": the folder \"DIR/no/such\" does not exist",
    ),
    (
        "touch file; lk run --lock file/lock -- true",
        78,
        "cannot open the lock \"DIR/file/lock\": a part of the path before the last is not a folder",
    ),
    (
        "lk run --lock $(printf 'a%.0s' $(seq 256)) -- true",
        78,
        "cannot open the lock \"DIR/aaaa",
    ),
    (
        "lk run --lock '' -- true",
        64,
        "\"--lock\" is empty: it needs a PATH",
    ),
    (
        "touch lock; chmod 600 lock; nobody ./lockkeeper run --lock lock -- true",
        78,
        "cannot open the lock \"DIR/lock\": permission denied for user 65534",
    ),
    (
        "mkdir -m 700 shut; touch shut/lock; nobody ./lockkeeper run --lock shut/lock -- true",
        78,
        "cannot open the lock \"DIR/shut/lock\": permission denied for user 65534",
    ),
    (
        "nobody ./lockkeeper run --lock lock -- true",
        78,
        "cannot open the lock \"DIR/lock\": it does not exist, and user 65534 may not create files",
    ),
    (
        "in_tmpfs size=64k,ro 'exec ./lockkeeper run --lock mnt/lock -- true'",
        78,
        "cannot open the lock \"DIR/mnt/lock\": it does not exist, and \"DIR/mnt\" is read-only",
    ),
    (
        "in_tmpfs size=64k,nr_inodes=1 'exec ./lockkeeper run --lock mnt/lock -- true'",
        78,
        "cannot open the lock \"DIR/mnt/lock\": it does not exist, and there is no room",
    ),
    (
        "mkdir gone; cd gone; rmdir ../gone; ../lockkeeper run --lock lock -- true",
        78,
        "finding the lock \"lock\": no such file or directory; name it by a path that begins with /",
    ),
];

/// Claims are information: what is wrong with them is said, and the command runs.
pub(super) const CLAIMS: &[Case] = &[
    (
        "touch lock.d; run -- sh -c 'exit 3'",
        3,
        "job sh: claim \"DIR/lock.d\" not written",
    ),
    (
        "mkdir other; ln -s other lock.d; run -- sh -c 'exit 3'",
        3,
        "job sh: claim \"DIR/lock.d\" not written",
    ),
    (
        "touch lock; chmod 666 lock; nobody ./lockkeeper run --lock lock -- sh -c 'exit 3'",
        3,
        "job sh: claim \"DIR/lock.d\" not written",
    ),
    (
        "in_tmpfs size=64k 'head -c 65536 /dev/zero > mnt/full; exec ./lockkeeper run --lock mnt/lock -- sh -c \"sleep 0.1; exit 3\"'",
        3,
        "job sh: claim \"DIR/mnt/lock.d\" not written",
    ),
    (
        "in_tmpfs size=64k,nr_inodes=2 'exec ./lockkeeper run --lock mnt/lock -- sh -c \"exit 3\"'",
        3,
        "job sh: claim \"DIR/mnt/lock.d\" not written",
    ),
    // What LOCKKEEPER_RUN_ID names is no run of this lock: nothing passes as nested.
    ("LOCKKEEPER_RUN_ID= run --wait 0s -- true", 0, ""),
    ("LOCKKEEPER_RUN_ID=../../etc/passwd run -- true", 0, ""),
    ("LOCKKEEPER_RUN_ID=0123456789abcdef run -- true", 0, ""),
    (
        "LOCKKEEPER_RUN_ID=$(printf 'a%.0s' $(seq 9999)) run -- true",
        0,
        "",
    ),
    (
        "flock lock env LOCKKEEPER_RUN_ID=0123456789abcdef ./lockkeeper run --lock lock --wait 0s -- true",
        75,
        "job true: lock \"DIR/lock\" not obtained",
    ),
    (
        "touch held; run -- flock held ./lockkeeper run --lock held --wait 0s -- true",
        75,
        "job true: lock \"DIR/held\" not obtained",
    ),
    // A run whose guard and monitor were both killed leaves its claim: it names nobody.
    (
        "(run -- sh -c 'echo $LOCKKEEPER_RUN_ID > id; until ls lock.d/$LOCKKEEPER_RUN_ID*; do sleep 0.01; done; read _ _ _ guard _ < /proc/$PPID/stat; kill -STOP $PPID; kill -9 $guard $PPID') > /dev/null 2>&1; \
         ls lock.d/$(cat id)* > /dev/null || exit; \
         flock lock env LOCKKEEPER_RUN_ID=$(cat id) ./lockkeeper run --lock lock --wait 0s -- true",
        75,
        "job true: lock \"DIR/lock\" not obtained",
    ),
];

pub(super) const COMMANDS: &[Case] = &[
    (
        "run -- /no/such",
        127,
        "job such: failed to execute \"/no/such\": no such file",
    ),
    (
        "run -- nosuch",
        127,
        "job nosuch: failed to execute \"nosuch\": no such file",
    ),
    (
        "run -- ''",
        127,
        "job command: failed to execute \"\": no such file",
    ),
    (
        "mkdir x; run -- ./x",
        126,
        "job x: failed to execute \"./x\": permission denied",
    ),
    (
        "echo '#!/bin/sh' > x; run -- ./x",
        126,
        "job x: failed to execute \"./x\": permission denied",
    ),
    ("echo 'exit $#' > x; chmod 755 x; run -- ./x a b", 2, ""),
    (
        "echo '#!/no/such' > x; chmod 755 x; run -- ./x",
        127,
        "job x: failed to execute \"./x\": no such file",
    ),
    (
        "touch x; run -- ./x/y",
        127,
        "job y: failed to execute \"./x/y\": no such file",
    ),
    (
        "run --dir none -- true",
        78,
        "job true: failed to enter the folder \"none\" for \"true\": no such file",
    ),
    (
        "touch x; run --dir x -- true",
        78,
        "job true: failed to enter the folder \"x\" for \"true\": not a directory",
    ),
    (
        "mkdir -m 700 x; nobody ./lockkeeper run --dir x -- true",
        78,
        "job true: failed to enter the folder \"x\" for \"true\": permission denied",
    ),
    (
        "toml '[jobs.a]' 'class = \"interactive\"' 'command = [\"true\"]' 'user = \"nosuch\"'; lk run -c jobs.toml a",
        78,
        "job a: failed to become the user \"nosuch\" for \"true\": no such file",
    ),
    (
        "toml '[jobs.a]' 'class = \"interactive\"' 'command = [\"true\"]' 'group = \"nosuch\"'; lk run -c jobs.toml a",
        78,
        "job a: failed to become the user \"nosuch\" for \"true\": no such file",
    ),
    (
        "toml '[jobs.a]' 'class = \"interactive\"' 'command = [\"true\"]' 'user = \"65533\"'; nobody ./lockkeeper run -c jobs.toml a",
        78,
        "job a: failed to become the user \"65533\" for \"true\": operation not permitted",
    ),
    (
        "run -- sh -c 'exit $(($# % 256))' x $(seq 20000)",
        20000 % 256,
        "",
    ),
    (
        "HUGE=$(head -c 120000 /dev/zero | tr '\\0' x) run -- true",
        0,
        "",
    ),
    ("env -i ./lockkeeper run --lock lock -- true", 0, ""),
    (
        "mkdir gone; cd gone; rmdir ../gone; ../lockkeeper run --lock \"$HERE/lock\" -- true",
        0,
        "",
    ),
    (
        "mkdir gone; cd gone; rmdir ../gone; ../lockkeeper -- true",
        0,
        "",
    ),
];

/// `--idle-timeout` has the program read what the command writes.
pub(super) const STREAMS: &[Case] = &[
    ("run -- sh -c 'exit 3' <&- >&- 2>&-", 3, ""),
    (
        "run --idle-timeout 1h -- sh -c 'exit 3' <&- >&- 2>&-",
        3,
        "",
    ),
    ("run --idle-timeout 1h -- sh -c 'echo a; exit 3' >&-", 3, ""),
    (
        "run --idle-timeout 1h -- sh -c 'echo a; exit 3' > /dev/full",
        3,
        "",
    ),
    (
        "run --idle-timeout 1h -- sh -c 'echo a; exit 3' 2> /dev/full",
        3,
        "",
    ),
    ("lk run --lock no/such -- true 2> /dev/full", 78, ""),
    ("lk run --lock no/such -- true 2>&-", 78, ""),
    (
        "{ run --idle-timeout 1h -- yes; echo $? > code; } | head -c 1; exit $(cat code)",
        141,
        "",
    ),
    (
        "lk --help | head -c 1; lk --help > /dev/full",
        125,
        "printing it: no space left on device",
    ),
    (
        "run --report 99 -- true",
        64,
        "writing the report to descriptor 99: bad file number; open it for us",
    ),
    (
        "run --report 3 -- true 3< /dev/zero",
        64,
        "writing the report to descriptor 3: bad file number; open it for us",
    ),
    ("run --report 3 -- sh -c 'exit 3' 3> /dev/full", 3, ""),
    ("run --report 1 -- sh -c 'exit 3' > /dev/full", 3, ""),
    ("run --report x -- true", 64, "\"--report"),
];

/// How many processes the user may have. Only other users than root are counted.
pub(super) const PROCESSES: &[Case] = &[
    (
        "touch lock; chmod 666 lock; nobody prlimit --nproc=1 ./lockkeeper run --lock lock -- true",
        125,
        "starting the monitor of job \"true\": no further process or thread is allowed; raise",
    ),
    (
        "chmod 777 .; setpriv --reuid $((100000 + $$)) --clear-groups prlimit --nproc=2 ./lockkeeper run --lock lock -- true",
        125,
        "job true: failed to fork for \"true\": no further process or thread is allowed; raise",
    ),
];
