//! History as it is written: a token's totals, its hours, and its bounded tables of places, clients and routes.

use rusqlite::{CachedStatement, Connection, Result, params};

use crate::engine::ledger::{Activity, Facet, Ledger, Span, TokenUse};
use crate::engine::secret::TokenId;

use super::codec::{add_activity, count};
use super::recall::FIND_TOKEN;
use super::slot::{self, Slot};

/// How many values of one facet are kept of one token. A commit that takes it beyond twice as many
/// folds all but the most recently seen into the empty value, so that folding is rare and an
/// attacker who invents addresses costs a bounded table.
pub const FACET_LIMIT: i64 = 256;

/// Adds a batch to the history; returns how many tokens are new.
pub(super) fn add(db: &Connection, ledger: &Ledger) -> Result<usize> {
    let mut writer = Writer::new(db)?;
    let mut added = 0;
    for (id, token) in &ledger.tokens {
        let slot = slot::find(&mut writer.find, slot::of_token(*id), &id.0)?;
        let number = slot.number();
        let total = writer.add_hours(number, token)?;
        let is_new = matches!(slot, Slot::Free(_));
        let grown = writer.add_facets(number, token, is_new)?;
        writer.add_token(number, *id, token, &total, grown)?;
        if grown != [0; 5] {
            fold(db, number)?;
        }
        added += usize::from(is_new);
    }
    Ok(added)
}

/// The statements of one commit, prepared once.
struct Writer<'a> {
    find: CachedStatement<'a>,
    hour: CachedStatement<'a>,
    old_value: CachedStatement<'a>,
    new_value: CachedStatement<'a>,
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
            old_value: db.prepare_cached(
                "UPDATE facet SET first_seen = min(first_seen, ?4), last_seen = max(last_seen, ?5),
                   count = min(count + ?6, 9007199254740991)
                 WHERE token = ?1 AND facet = ?2 AND value = ?3",
            )?,
            new_value: db.prepare_cached(
                "INSERT INTO facet (token, facet, value, first_seen, last_seen, count)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (token, facet, value) DO UPDATE SET
                   first_seen = min(first_seen, excluded.first_seen),
                   last_seen = max(last_seen, excluded.last_seen),
                   count = min(count + excluded.count, 9007199254740991)",
            )?,
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
                   addresses = addresses + excluded.addresses,
                   networks = networks + excluded.networks,
                   countries = countries + excluded.countries,
                   clients = clients + excluded.clients, routes = routes + excluded.routes",
            )?,
        })
    }

    /// Adds the hours of a token; returns their sum.
    fn add_hours(&mut self, number: i64, token: &TokenUse) -> Result<Activity> {
        let mut total = Activity::default();
        for (hour, activity) in &token.hours {
            add_activity(&mut total, activity);
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

    /// Adds the values of a token; returns how many are new, by facet. A token that is new has none yet, so that none is
    /// looked for first.
    fn add_facets(&mut self, number: i64, token: &TokenUse, is_new: bool) -> Result<[i64; 5]> {
        let mut grown = [0; 5];
        for ((facet, value), Span { first, last, count: times }) in &token.facets {
            let row = params![number, facet, value.as_str(), first, last, count(*times)];
            if !is_new && self.old_value.execute(row)? > 0 {
                continue;
            }
            self.new_value.execute(row)?;
            let place = Facet::ALL.iter().zip(&mut grown).find(|(other, _)| *other == facet);
            if let Some((_, n_new)) = place.filter(|_| !value.is_empty()) {
                *n_new += 1;
            }
        }
        Ok(grown)
    }

    fn add_token(
        &mut self,
        number: i64,
        id: TokenId,
        token: &TokenUse,
        total: &Activity,
        [addresses, networks, countries, clients, routes]: [i64; 5],
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

/// Folds the facets of a token that have grown beyond twice the limit.
fn fold(db: &Connection, number: i64) -> Result<()> {
    let sizes: [i64; 5] = db
        .prepare_cached(
            "SELECT addresses, networks, countries, clients, routes FROM token WHERE number = ?1",
        )?
        .query_row([number], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
        })?;
    let mut has_folded = false;
    for (facet, _) in Facet::ALL.iter().zip(sizes).filter(|(_, size)| *size > 2 * FACET_LIMIT) {
        fold_facet(db, number, *facet)?;
        has_folded = true;
    }
    if has_folded { count_facets(db, number) } else { Ok(()) }
}

fn fold_facet(db: &Connection, number: i64, facet: Facet) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO facet (token, facet, value, first_seen, last_seen, count)
         SELECT ?1, ?2, '', min(first_seen), max(last_seen), sum(count) FROM (
           SELECT first_seen, last_seen, count FROM facet
           WHERE token = ?1 AND facet = ?2 AND value <> ''
           ORDER BY last_seen DESC, count DESC, value LIMIT -1 OFFSET ?3)
         WHERE true
         ON CONFLICT (token, facet, value) DO UPDATE SET
           first_seen = min(first_seen, excluded.first_seen),
           last_seen = max(last_seen, excluded.last_seen),
           count = min(count + excluded.count, 9007199254740991)",
    )?
    .execute(params![number, facet, FACET_LIMIT])?;
    db.prepare_cached(
        "DELETE FROM facet WHERE token = ?1 AND facet = ?2 AND value IN (
           SELECT value FROM facet WHERE token = ?1 AND facet = ?2 AND value <> ''
           ORDER BY last_seen DESC, count DESC, value LIMIT -1 OFFSET ?3)",
    )?
    .execute(params![number, facet, FACET_LIMIT])?;
    Ok(())
}

/// Counts a token's facets anew, after rows were taken away.
pub(super) fn count_facets(db: &Connection, number: i64) -> Result<()> {
    db.prepare_cached(
        "UPDATE token SET (addresses, networks, countries, clients, routes) = (
           SELECT count(*) FILTER (WHERE facet = 0), count(*) FILTER (WHERE facet = 1),
             count(*) FILTER (WHERE facet = 2), count(*) FILTER (WHERE facet = 3),
             count(*) FILTER (WHERE facet = 4)
           FROM facet WHERE facet.token = token.number AND facet.value <> '')
         WHERE number = ?1",
    )?
    .execute([number])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use rusqlite::types::Value;

    use super::*;
    use crate::engine::commit::Commit;
    use crate::engine::time::{HOUR, SECOND, Timestamp};
    use crate::store::sample::{NOON, id, record};
    use crate::store::{Store, TokenFilter};

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
        for n in 0..2 * FACET_LIMIT {
            let mut ledger = Ledger::default();
            record(&mut ledger, id(1), NOON.plus(n * SECOND), &address(n));
            commit(&mut store, ledger);
        }
        let rows = |store: &Store| {
            let tokens = store.tokens(&TokenFilter::default(), NOON).unwrap();
            let sql = "SELECT count(*), sum(count), count(*) FILTER (WHERE value = '')
                FROM facet WHERE facet = 0";
            let kept: (i64, i64, i64) = store
                .db
                .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .unwrap();
            (kept, tokens[0].distinct.addresses)
        };
        assert_eq!(rows(&store), ((512, 512, 0), 512), "the limit itself folds nothing");
        let mut ledger = Ledger::default();
        record(&mut ledger, id(1), NOON.plus(2 * FACET_LIMIT * SECOND), "2001:db8::ffff");
        commit(&mut store, ledger);
        assert_eq!(rows(&store), ((257, 513, 1), 256));
        let oldest: String = store
            .db
            .query_row(
                "SELECT value FROM facet WHERE facet = 0 AND value <> '' ORDER BY last_seen",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(oldest, address(257), "the most recently seen stay");
        for n in 0..FACET_LIMIT + 1 {
            let mut ledger = Ledger::default();
            record(&mut ledger, id(1), NOON.plus(HOUR + n), &address(n));
            commit(&mut store, ledger);
        }
        assert_eq!(rows(&store).0.1, 513 + FACET_LIMIT + 1);
        assert!(rows(&store).0.0 <= 2 * FACET_LIMIT + 1);
    }

    #[test]
    fn sizes_that_no_file_has_do_not_overflow() {
        let mut store = Store::in_memory().unwrap();
        for _ in 0..3 {
            let mut ledger = Ledger::default();
            record(&mut ledger, id(1), NOON, "192.0.2.7");
            for activity in ledger.tokens.get_mut(&id(1)).unwrap().hours.values_mut() {
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
            for table in ["token", "activity", "facet"] {
                prop_assert_eq!(dump(&cut, table), dump(&whole, table));
            }
        }
    }
}
