//! How far each log file has been read, and what became of its bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::engine::commit::StreamUpdate;
use crate::engine::line::{Directives, Missing, Position, StreamId, Tally};
use crate::engine::time::Timestamp;

use super::codec::{count, get_count, get_lossy, get_u32};
use super::{Reader, Store, StoreError};

/// One stream: its position, and what was read of it since it was first seen.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamStatus {
    /// Its number.
    pub stream: StreamId,
    /// How far it has been read.
    pub position: Position,
    /// What became of its bytes, in total.
    pub tally: Tally,
    /// When bytes of it were last committed, read or lost.
    pub updated: Timestamp,
    /// How well its log is read, packed by the engine; empty if that was never recorded, or is with a later stream of
    /// the log.
    pub health: String,
}

impl Reader {
    /// Returns the position of every stream, by its number.
    ///
    /// # Errors
    /// Any database error.
    pub fn positions(&self) -> Result<Vec<(StreamId, Position)>, StoreError> {
        self.read("reading the positions", |db| {
            let mut statement = db.prepare_cached(
                "SELECT stream, path, device, inode, born, generation, offset, head, head_length,
                   tail, size, began, early, directives, written, cursor
                 FROM stream ORDER BY stream",
            )?;
            let rows = statement
                .query_map([], |row| Ok((StreamId(row.get("stream")?), position(row)?)))?;
            rows.collect()
        })
    }

    /// Returns where a stream's file was last seen; `None` if the stream is unknown.
    ///
    /// # Errors
    /// Any database error.
    pub fn path_of(&self, stream: StreamId) -> Result<Option<PathBuf>, StoreError> {
        self.read("reading the path of a stream", |db| {
            let mut statement = db.prepare_cached("SELECT path FROM stream WHERE stream = ?1")?;
            statement.query_row([stream.0], path).optional()
        })
    }

    /// Passes on how well each file's log was read, oldest first, packed by the engine; one at a time, since there are
    /// many rotated files.
    ///
    /// # Errors
    /// Any database error.
    pub fn healths(
        &self,
        mut each: impl FnMut(StreamId, PathBuf, String),
    ) -> Result<(), StoreError> {
        self.read("reading how logs were read", |db| {
            let mut statement = db.prepare_cached(
                "SELECT stream, path, health FROM stream WHERE health <> '' ORDER BY updated, stream",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                each(StreamId(row.get("stream")?), path(row)?, get_lossy(row, "health")?);
            }
            Ok(())
        })
    }

    /// Returns every stream with its counters, by its number.
    ///
    /// # Errors
    /// Any database error.
    pub fn streams(&self) -> Result<Vec<StreamStatus>, StoreError> {
        self.read("reading the positions", |db| {
            let mut statement = db.prepare_cached(
                "SELECT stream, path, device, inode, born, generation, offset, head, head_length,
                   tail, size, began, early, directives, written, cursor, lines, parsed, rejected, usages,
                   parsed_bytes, rejected_bytes, discarded, gap, nuls, updated, health
                 FROM stream ORDER BY stream",
            )?;
            statement.query_map([], status)?.collect()
        })
    }
}

impl Store {
    /// Forgets streams whose files are gone for good, and stores with others how well the logs of some were read.
    /// Returns how many were known.
    ///
    /// # Errors
    /// Any database error.
    pub fn forget_streams(
        &mut self,
        streams: &[StreamId],
        moved: &[(StreamId, String)],
    ) -> Result<usize, StoreError> {
        self.write("forgetting streams", |db| {
            let mut put = db.prepare_cached("UPDATE stream SET health = ?2 WHERE stream = ?1")?;
            for (stream, health) in moved {
                put.execute(params![stream.0, health])?;
            }
            let mut forget = db.prepare_cached("DELETE FROM stream WHERE stream = ?1")?;
            streams.iter().map(|stream| forget.execute([stream.0])).sum()
        })
    }
}

/// Moves positions forward and adds to their counters.
pub(super) fn add(db: &Connection, updates: &[StreamUpdate], now: Timestamp) -> Result<()> {
    let mut put = db.prepare_cached(
        "INSERT INTO stream (stream, path, device, inode, born, generation, offset, head,
           head_length, tail, size, began, early, directives, written, cursor, lines, parsed, rejected, usages,
           parsed_bytes, rejected_bytes, discarded, gap, nuls, updated, health)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
           ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)
         ON CONFLICT (stream) DO UPDATE SET
           path = excluded.path, device = excluded.device, inode = excluded.inode,
           born = excluded.born, generation = excluded.generation, offset = excluded.offset,
           head = excluded.head, head_length = excluded.head_length, tail = excluded.tail,
           size = excluded.size, began = excluded.began, early = excluded.early, directives = excluded.directives,
           written = excluded.written, cursor = excluded.cursor,
           lines = min(lines + excluded.lines, 9007199254740991),
           parsed = min(parsed + excluded.parsed, 9007199254740991),
           rejected = min(rejected + excluded.rejected, 9007199254740991),
           usages = min(usages + excluded.usages, 9007199254740991),
           parsed_bytes = min(parsed_bytes + excluded.parsed_bytes, 9007199254740991),
           rejected_bytes = min(rejected_bytes + excluded.rejected_bytes, 9007199254740991),
           discarded = min(discarded + excluded.discarded, 9007199254740991),
           gap = min(gap + excluded.gap, 9007199254740991),
           nuls = min(nuls + excluded.nuls, 9007199254740991),
           updated = CASE WHEN excluded.offset = offset AND excluded.early = early AND excluded.gap = 0
             THEN updated ELSE excluded.updated END,
           health = excluded.health",
    )?;
    for StreamUpdate { stream, position, tally, health, .. } in updates {
        put.execute(params![
            stream.0,
            position.path.as_os_str().as_bytes(),
            position.device.cast_signed(),
            position.inode.cast_signed(),
            position.born,
            position.generation,
            position.offset.cast_signed(),
            position.head.cast_signed(),
            position.head_length,
            position.tail.cast_signed(),
            position.size.cast_signed(),
            position.began.cast_signed(),
            position.early.cast_signed(),
            position.directives.to_lines(),
            position.directives.written,
            position.cursor,
            count(tally.lines),
            count(tally.parsed),
            count(tally.rejected),
            count(tally.usages),
            count(tally.parsed_bytes),
            count(tally.rejected_bytes),
            count(tally.missing.discarded),
            count(tally.missing.gap),
            count(tally.missing.nuls),
            now,
            health,
        ])?;
    }
    Ok(())
}

/// Removes from the rows of these streams how well their logs were read.
pub(super) fn empty(db: &Connection, streams: &[StreamId]) -> Result<()> {
    let mut empty =
        db.prepare_cached("UPDATE stream SET health = '' WHERE stream = ?1 AND health <> ''")?;
    streams.iter().try_for_each(|stream| empty.execute([stream.0]).map(drop))
}

fn path(row: &Row<'_>) -> Result<PathBuf> {
    Ok(PathBuf::from(OsString::from_vec(row.get("path")?)))
}

fn position(row: &Row<'_>) -> Result<Position> {
    let bits = |column: &str| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let mut directives = Directives::from_lines(&row.get::<_, Vec<u8>>("directives")?);
    directives.written = row.get("written")?;
    Ok(Position {
        path: path(row)?,
        device: bits("device")?,
        inode: bits("inode")?,
        born: row.get("born")?,
        generation: get_u32(row, "generation")?,
        offset: bits("offset")?,
        head: bits("head")?,
        head_length: get_u32(row, "head_length")?,
        tail: bits("tail")?,
        size: bits("size")?,
        began: bits("began")?,
        early: bits("early")?,
        directives,
        cursor: row.get("cursor")?,
    })
}

fn status(row: &Row<'_>) -> Result<StreamStatus> {
    Ok(StreamStatus {
        stream: StreamId(row.get("stream")?),
        position: position(row)?,
        tally: Tally {
            lines: get_count(row, "lines")?,
            parsed: get_count(row, "parsed")?,
            rejected: get_count(row, "rejected")?,
            usages: get_count(row, "usages")?,
            parsed_bytes: get_count(row, "parsed_bytes")?,
            rejected_bytes: get_count(row, "rejected_bytes")?,
            missing: Missing {
                discarded: get_count(row, "discarded")?,
                gap: get_count(row, "gap")?,
                nuls: get_count(row, "nuls")?,
            },
        },
        updated: row.get("updated")?,
        health: get_lossy(row, "health")?,
    })
}
