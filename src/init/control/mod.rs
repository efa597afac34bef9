//! The control socket: how people, health checks and scripts ask a running init.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`words`] | what is said: requests and replies, and how a line becomes one |
//! | [`place`] | where the socket lies, and which one is meant |
//! | `client` | one connection: its line, its reply, its deadline |
//! | [`server`] | the socket and its connections, for the loop of init |
//! | [`health`] | whether all is well |
//! | [`ask`] | the side of those who ask |
//!
//! # Which init is found
//!
//! The socket lies among the claims of this container's runs (`lock::folders`), as
//! `init-NAMESPACE-PID.sock`: the inode number of init's PID namespace, and its process there. Several
//! containers may share that folder (a mounted /run, `--ipc=host`), and several inits a namespace, as
//! subreapers on a machine: each has a name of its own. Who asks means PID 1 of his own namespace,
//! where that is one of ours, else the only init there is; of several he names one by `--socket` or
//! `$LOCKKEEPER_SOCKET`, which init takes, too. A name is believed where the process that listens is
//! the one in the name. A job does not find the variable in its environment.
//!
//! # Who may ask
//!
//! The user that init runs as, and root: the socket has the mode 0600 before anybody can reach it, so
//! the kernel keeps all others out; the peer's credentials (`SO_PEERCRED`, unix(7)) are asked besides,
//! as somebody may have widened the mode. Others may not even ask for health: whoever can connect can
//! take up room that an order needs. A job that runs as init's user may ask; it could kill init, too.
//!
//! # What is said
//!
//! One JSON object a line, at most [`words::LONGEST`] bytes. One line is answered by one line; what is
//! sent before the answer has come is read after it. Unknown fields are ignored.
//!
//! | request | reply beside `"v":1,"ok":true` |
//! | --- | --- |
//! | `{"v":1,"op":"hello"}` | `"init":{"pid":1,"version":"0.1.0","name":"agents-1","stopping":false}` |
//! | `{"v":1,"op":"start","job":"dev"}` | `"result":"started"` or `"running"`, `"run_id"`; or `"queued"`, `"before":2` |
//! | `{"v":1,"op":"stop","job":"dev"}` | when the run is over: `"result":"stopped"`, `"exit":143`, `"reason":"signal"`; or `"result":"not_running"` |
//! | … with `"wait":false` | at once: `"result":"stopping"` or `"not_running"` |
//! | `{"v":1,"op":"restart","job":"dev"}` | when the new run has begun: `"result":"started"`, `"run_id"` |
//! | `{"v":1,"op":"reload"}` | `"result":"reloaded"`, `"diff":{"added":[],"removed":[],"changed":[],"init":[]}`, `"warnings":[]` |
//! | … with `"dry_run":true` | the same with `"result":"would_reload"`; nothing has changed |
//! | `{"v":1,"op":"health"}`, with or without `"job"` | `"healthy":true`, `"problems":[]` |
//! | `{"v":1,"op":"status"}` | `"init":{…}`, `"jobs":[…]`, each a [`RowView`](crate::core::table::RowView); `"seen":17` |
//! | … with `"seen":17` | the same, as soon as it says another number than 17 |
//!
//! What is not done is `{"v":1,"ok":false,"code":69,"error":"…"}`: `code` is the exit code of the verb
//! that asked; a file that makes no plan has all its errors in `"report"`. A line that is no request
//! of version 1 is answered so, too, and the connection closed.
//!
//! # Who suffers
//!
//! Nothing here waits. There are at most [`server::MOST`] connections: for a newcomer the one that has
//! been silent longest is closed, and one that waits for an answer only where all do. A line must be
//! whole, and an answer read, within [`server::PATIENCE`]; only the wait for an answer has no limit.
//! Bytes are kept for one line and one reply a connection, replies for [`server::BACKLOG`] bytes in
//! all. Idle, there is one descriptor in init's poll, and no deadline.

pub mod ask;
mod client;
pub mod health;
pub mod place;
pub mod server;
pub mod words;
