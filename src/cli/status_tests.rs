//! Tests of what `status` says about mails.

use super::*;
use crate::engine::time::MINUTE;

#[test]
fn an_update_that_gathers_was_the_oldest_mail_queued_in_the_future() {
    let now = Timestamp::from_seconds(1_800_000_000);
    let at = |minutes: i64| Some(now.plus(minutes * MINUTE));
    let mails = |oldest, next_due| {
        let outbox = OutboxStats { waiting: 1, oldest, next_due, ..OutboxStats::default() };
        let state = State { stats: Stats { outbox, ..Stats::default() }, ..State::default() };
        let json = &status_json(&state, &[], &[], now)["outbox"];
        (super::mails(&outbox, true, now), json["oldest"].is_null(), json["next_due"].clone())
    };
    let time = |minutes| print::time(at(minutes));
    let gathers = "1 waiting, the next due in 4 min".to_owned();
    assert_eq!(mails(at(4), at(4)), (gathers, true, time(4)));
    let is_tried_again = "1 waiting, the oldest queued 3 min ago".to_owned();
    assert_eq!(mails(at(-3), at(9)), (is_tried_again, false, time(9)));
}
