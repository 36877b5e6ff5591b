//! Joins the adapters around the engine: assembles them from the configuration, runs the loop, sends mail.

pub mod backup;
pub mod blocked;
pub mod compaction;
mod compose;
pub mod follow;
mod homes;
pub mod housekeeper;
mod key;
pub mod lifetime;
mod names;
pub mod opening;
pub mod outbox;
pub mod post;
pub mod printing;
pub mod recovery;
pub mod replay;
pub mod run;
pub mod site;
pub mod strain;
pub mod systemd;
mod telling;
mod tries;
mod voice;
pub mod worker;
