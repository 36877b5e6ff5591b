//! Joins the adapters around the engine: assembles them from the configuration, runs the loop, sends mail.

pub mod follow;
pub mod housekeeper;
pub mod outbox;
pub mod replay;
pub mod run;
pub mod site;
pub mod strain;
pub mod worker;
