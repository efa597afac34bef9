//! Real containers: podman and crun, an overlay for each root, one folder of the host mounted into
//! all of them.
//!
//! | file | shows |
//! | --- | --- |
//! | `turns` | batch containers take turns in order, interactive ones pass, a killed one hands over |
//! | `pause` | one agent's line stops the others' next starts; what is no pause stops nobody |
//! | `placement` | a lock that each container has for itself is refused, and the way out is named |
//! | `stop` | `podman stop` ends in time, whoever is deaf |
//! | `bare` | little is needed: no root, nothing to write to, no /run, another namespace's /proc |
//! | `control` | health, status and orders come by `podman exec` |
//! | `shown` | what `status` shows in each agrees with what the lock saw |
//! | `exec` | runs and daemons that `podman exec` starts |
//! | `journal` | notes reach the host's journald |
//! | `image` | the Dockerfile makes the static program that this machine makes, byte for byte |
//! | `agent_image` | the example of an agent's image is built, checked, and does what it says |
//! | `arm64` | the arm64 image's program runs, under an emulator |
//! | `examples` | the files in config/ do what their comments say |

mod agent_image;
mod arm64;
mod bare;
mod control;
mod examples;
mod exec;
mod image;
mod journal;
mod pause;
mod placement;
mod shown;
mod stop;
mod turns;
