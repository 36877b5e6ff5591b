//! Writes the history: a token's totals and hours. Its places, clients and routes are written by `facets`.

use rusqlite::{CachedStatement, Connection, Result, params};

use crate::engine::ledger::{Activity, Ledger, TokenUse};
use crate::engine::secret::TokenId;

use super::codec::count;
use super::facets::{self, Counts};
use super::recall::FIND_TOKEN;
use super::slot::{self, Slot};

/// Adds a batch to the history. Returns how many tokens are new.
pub(super) fn add(db: &Connection, ledger: &Ledger) -> Result<usize> {
    let mut writer = Writer::new(db)?;
    let mut added = 0;
    for (id, token) in &ledger.tokens {
        let slot = slot::find(&mut writer.find, slot::of_token(*id), &id.0)?;
        let number = slot.number();
        let total = writer.add_hours(number, token)?;
        let is_new = matches!(slot, Slot::Free(_));
        let facets = &mut writer.facets;
        let counts = match is_new {
            true => facets.begin(number, &token.facets)?,
            false => facets.add(number, &token.facets)?,
        };
        writer.add_token(number, *id, token, &total, counts)?;
        added += usize::from(is_new);
    }
    Ok(added)
}

/// The statements of one commit, prepared once.
struct Writer<'a> {
    find: CachedStatement<'a>,
    hour: CachedStatement<'a>,
    facets: facets::Writer<'a>,
    token: CachedStatement<'a>,
}

impl<'a> Writer<'a> {
    fn new(db: &'a Connection) -> Result<Self> {
        Ok(Self {
            find: db.prepare_cached(FIND_TOKEN)?,
            hour: db.prepare_cached(
                "INSERT INTO activity (token, hour, requests, ok, denied, failed, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (token, hour) DO UPDATE SET
                   requests = min(requests + excluded.requests, 9007199254740991),
                   ok = min(ok + excluded.ok, 9007199254740991),
                   denied = min(denied + excluded.denied, 9007199254740991),
                   failed = min(failed + excluded.failed, 9007199254740991),
                   bytes = min(bytes + excluded.bytes, 9007199254740991)",
            )?,
            facets: facets::Writer::new(db)?,
            token: db.prepare_cached(
                "INSERT INTO token (number, id, kind, hint, principal, issued_at, expires_at,
                   first_seen, last_seen, requests, ok, denied, failed, bytes, addresses, networks,
                   countries, clients, routes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                   ?18, ?19)
                 ON CONFLICT (number) DO UPDATE SET
                   kind = excluded.kind, hint = excluded.hint, principal = excluded.principal,
                   issued_at = coalesce(excluded.issued_at, issued_at),
                   expires_at = coalesce(excluded.expires_at, expires_at),
                   first_seen = min(first_seen, excluded.first_seen),
                   last_seen = max(last_seen, excluded.last_seen),
                   requests = min(requests + excluded.requests, 9007199254740991),
                   ok = min(ok + excluded.ok, 9007199254740991),
                   denied = min(denied + excluded.denied, 9007199254740991),
                   failed = min(failed + excluded.failed, 9007199254740991),
                   bytes = min(bytes + excluded.bytes, 9007199254740991),
                   addresses = excluded.addresses, networks = excluded.networks,
                   countries = excluded.countries, clients = excluded.clients,
                   routes = excluded.routes",
            )?,
        })
    }

    /// Adds the hours of a token. Returns their sum.
    fn add_hours(&mut self, number: i64, token: &TokenUse) -> Result<Activity> {
        let mut total = Activity::default();
        for (hour, activity) in &token.hours {
            total = total.and(*activity);
            self.hour.execute(params![
                number,
                hour,
                count(activity.requests),
                count(activity.ok),
                count(activity.denied),
                count(activity.failed),
                count(activity.bytes),
            ])?;
        }
        Ok(total)
    }

    fn add_token(
        &mut self,
        number: i64,
        id: TokenId,
        token: &TokenUse,
        total: &Activity,
        [addresses, networks, countries, clients, routes]: Counts,
    ) -> Result<()> {
        let is_own = token.principal.parse() == Ok(id);
        self.token.execute(params![
            number,
            id,
            token.kind.as_str(),
            token.hint.as_str(),
            if is_own { "" } else { token.principal.as_str() },
            token.issued_at,
            token.expires_at,
            token.first,
            token.last,
            count(total.requests),
            count(total.ok),
            count(total.denied),
            count(total.failed),
            count(total.bytes),
            addresses,
            networks,
            countries,
            clients,
            routes,
        ])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use rusqlite::types::Value;

    use super::*;
    use crate::engine::commit::Commit;
    use crate::engine::ledger::Facet;
    use crate::engine::time::{HOUR, SECOND, Timestamp};
    use crate::store::sample::{NOON, id, record};
    use crate::store::{Store, TokenFilter, Who};

    const LIMIT: i64 = 256;

    fn commit(store: &mut Store, ledger: Ledger) {
        store.commit(&Commit { ledger, ..Commit::default() }, NOON).unwrap();
    }

    fn dump(store: &Store, table: &str) -> Vec<Vec<Value>> {
        let mut statement = store.db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let n_columns = statement.column_count();
        let rows = statement.query_map([], |row| (0..n_columns).map(|at| row.get(at)).collect());
        let mut rows: Vec<Vec<Value>> = rows.unwrap().map(Result::unwrap).collect();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows
    }

    #[test]
    fn a_flood_of_addresses_is_folded_and_no_count_is_lost() {
        let mut store = Store::in_memory().unwrap();
        let address = |n: i64| format!("2001:db8::{n:x}");
        for n in 0..2 * LIMIT {
            let mut ledger = Ledger::default();
            record(&mut ledger, id(1), NOON.plus(n * SECOND), &address(n));
            commit(&mut store, ledger);
        }
        let rows = |store: &Store| {
            let who = Who::Token(id(1));
            let history = store.history(&who, None, None, NOON).unwrap();
            let rows = &history.facets[&Facet::Address];
            let sum: u64 = rows.iter().map(|row| row.span.count).sum();
            let n_folded = rows.iter().filter(|row| row.value.is_empty()).count();
            ((rows.len(), sum, n_folded), history.tokens[0].distinct.addresses)
        };
        assert_eq!(rows(&store), ((512, 512, 0), 512), "the limit itself folds nothing");
        let mut ledger = Ledger::default();
        record(&mut ledger, id(1), NOON.plus(2 * LIMIT * SECOND), "2001:db8::ffff");
        commit(&mut store, ledger);
        assert_eq!(rows(&store), ((257, 513, 1), 256));
        let history = store.history(&Who::Token(id(1)), None, None, NOON).unwrap();
        let kept = history.facets[&Facet::Address].iter().filter(|row| !row.value.is_empty());
        let oldest = kept.min_by_key(|row| row.span.last).unwrap();
        assert_eq!(oldest.value, address(257), "the most recently seen stay");
        for n in 0..=LIMIT {
            let mut ledger = Ledger::default();
            record(&mut ledger, id(1), NOON.plus(HOUR + n), &address(n));
            commit(&mut store, ledger);
        }
        assert_eq!(rows(&store).0.1, 513 + 256 + 1);
        assert!(rows(&store).0.0 <= 513);
    }

    #[test]
    fn sizes_that_no_file_has_do_not_overflow() {
        let mut store = Store::in_memory().unwrap();
        for _ in 0..3 {
            let mut ledger = Ledger::default();
            record(&mut ledger, id(1), NOON, "192.0.2.7");
            for activity in ledger
                .tokens
                .get_mut(&id(1))
                .unwrap()
                .hours
                .iter_mut()
                .map(|(_, activity)| activity)
            {
                activity.bytes = u64::MAX;
            }
            commit(&mut store, ledger);
        }
        let tokens = store.tokens(&TokenFilter::default(), NOON).unwrap();
        assert_eq!(tokens[0].activity.bytes, (1 << 53) - 1);
        assert_eq!(tokens[0].activity.requests, 3);
    }

    #[test]
    fn refused_unknown_tokens_are_counted_and_make_no_rows() {
        let mut store = Store::in_memory().unwrap();
        let ledger = Ledger { tokens: BTreeMap::new(), refused_unknown: 7 };
        commit(&mut store, ledger.clone());
        commit(&mut store, ledger);
        let stats = store.stats().unwrap();
        assert_eq!((stats.refused_unknown, stats.tokens), (14, 0));
    }

    #[test]
    fn what_a_token_says_of_itself_is_kept_when_it_falls_silent() {
        let mut store = Store::in_memory().unwrap();
        for expires_at in [None, Some(NOON.plus(HOUR)), None] {
            let mut ledger = Ledger::default();
            record(&mut ledger, id(1), NOON, "192.0.2.7");
            ledger.tokens.get_mut(&id(1)).unwrap().expires_at = expires_at;
            commit(&mut store, ledger);
        }
        let tokens = store.tokens(&TokenFilter::default(), NOON).unwrap();
        assert_eq!(tokens[0].expires_at, Some(NOON.plus(HOUR)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn however_usages_are_cut_into_commits_the_rows_are_the_same(
            usages in prop::collection::vec((0_u8..4, -5_i64..5, 0_u8..6, any::<bool>()), 1..40),
        ) {
            let mut cut = Store::in_memory().unwrap();
            let mut whole = Store::in_memory().unwrap();
            let (mut part, mut all) = (Ledger::default(), Ledger::default());
            for (token, hour, address, ends) in usages {
                let time: Timestamp = NOON.plus(hour * HOUR + i64::from(address));
                let address = format!("192.0.2.{address}");
                record(&mut all, id(token), time, &address);
                record(&mut part, id(token), time, &address);
                if ends {
                    commit(&mut cut, std::mem::take(&mut part));
                }
            }
            commit(&mut cut, part);
            commit(&mut whole, all);
            for table in ["token", "activity", "facets"] {
                prop_assert_eq!(dump(&cut, table), dump(&whole, table));
            }
        }
    }
}
