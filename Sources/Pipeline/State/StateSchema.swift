// SPDX-License-Identifier: Apache-2.0

import Alerts
import Foundation
import GRDB

/// The tables of the state file, and each statement on them.
///
///     alert      (pipeline, desk, rule, key, series) -> state as JSON
///     known_key  (pipeline, desk, key) -> topic: what rules on missing data know of
///     silence    pipeline, key, rule, until, by, note
///     outbox     sequence -> topic, bytes, published_at_offset, retained: not known to have reached the broker
///     retained   topic -> pipeline, desk, rule: may hold a retained alert
///     series     (pipeline, key, series) -> snapshot of a detector
///
/// `PRAGMA user_version` is the version of this layout.
enum StateSchema {
    static let version = 1

    enum Reason: String { case damaged, newer }

    private struct Newer: Error, CustomStringConvertible {
        var version: Int
        var description: String { "layout \(version), this program knows \(StateSchema.version)" }
    }

    private struct Damaged: Error, CustomStringConvertible {
        var description: String
    }

    // MARK: Opening

    static func open(_ path: String) throws -> DatabaseQueue {
        var configuration = GRDB.Configuration()
        configuration.busyMode = .timeout(2)
        configuration.prepareDatabase { database in
            // Exclusive: no second process, and no shared memory file. Before the first access, or it has no effect.
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            try database.execute(sql: "PRAGMA synchronous = FULL")
            try database.execute(sql: "PRAGMA journal_size_limit = 16777216")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            if found > version { throw Newer(version: found) }
            let verdict = try String.fetchOne(database, sql: "PRAGMA quick_check(1)") ?? "no answer"
            if verdict != "ok" { throw Damaged(description: verdict) }
            try database.inTransaction {
                if found == 0 { try create(database) }
                return .commit
            }
        }
        return queue
    }

    /// Nil when the file itself is not to blame.
    static func reasonToSetAside(_ error: any Error) -> Reason? {
        if error is Newer { return .newer }
        if error is Damaged { return .damaged }
        guard let error = error as? DatabaseError else { return nil }
        switch error.resultCode {
        // SQLITE_ERROR: tables of the right version that are not ours.
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT, .SQLITE_SCHEMA, .SQLITE_ERROR: return .damaged
        default: return nil
        }
    }

    private static func create(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE alert (
                    pipeline TEXT NOT NULL, desk INTEGER NOT NULL, rule TEXT NOT NULL, key TEXT NOT NULL,
                    series TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (pipeline, desk, rule, key, series)
                ) WITHOUT ROWID;
                CREATE TABLE known_key (
                    pipeline TEXT NOT NULL, desk INTEGER NOT NULL, key TEXT NOT NULL, topic TEXT NOT NULL,
                    PRIMARY KEY (pipeline, desk, key)
                ) WITHOUT ROWID;
                CREATE TABLE silence (pipeline TEXT, key TEXT, rule TEXT, until INTEGER NOT NULL, by TEXT, note TEXT);
                CREATE TABLE outbox (
                    sequence INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, bytes BLOB NOT NULL,
                    published_at_offset INTEGER NOT NULL, retained INTEGER NOT NULL
                );
                CREATE INDEX outbox_topic ON outbox (topic);
                CREATE TABLE retained (
                    topic TEXT PRIMARY KEY, pipeline TEXT NOT NULL, desk INTEGER NOT NULL, rule TEXT NOT NULL
                ) WITHOUT ROWID;
                CREATE TABLE series (
                    pipeline TEXT NOT NULL, key TEXT NOT NULL, series TEXT NOT NULL, snapshot BLOB NOT NULL,
                    PRIMARY KEY (pipeline, key, series)
                ) WITHOUT ROWID;
                PRAGMA user_version = \(version);
                """)
    }

    // MARK: Alerts

    private static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return encoder
    }

    private static var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return decoder
    }

    /// The numbers of the outputs in the outbox.
    static func store(_ change: StateChange, _ database: Database) throws -> [Int64] {
        let encoder = encoder
        for row in change.alerts {
            let key: [(any DatabaseValueConvertible)?] = [
                row.pipeline, row.desk, row.rule, row.key, row.series ?? "",
            ]
            if let state = row.state {
                try database.cachedStatement(sql: "INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?)")
                    .execute(arguments: StatementArguments(key + [try encoder.encode(state)]))
            } else {
                try database.cachedStatement(
                    sql: "DELETE FROM alert WHERE pipeline = ? AND desk = ? AND rule = ? AND key = ? AND series = ?"
                ).execute(arguments: StatementArguments(key))
            }
        }
        for row in change.keys {
            if row.isKnown {
                try database.cachedStatement(sql: "INSERT OR REPLACE INTO known_key VALUES (?, ?, ?, ?)")
                    .execute(arguments: [row.pipeline, row.desk, row.key, row.topic])
            } else {
                try database.cachedStatement(
                    sql: "DELETE FROM known_key WHERE pipeline = ? AND desk = ? AND key = ?"
                ).execute(arguments: [row.pipeline, row.desk, row.key])
            }
        }
        if let silences = change.silences {
            try database.execute(sql: "DELETE FROM silence")
            for silence in silences {
                try database.execute(
                    sql: "INSERT INTO silence VALUES (?, ?, ?, ?, ?, ?)",
                    arguments: [
                        silence.pipeline, silence.key, silence.rule, silence.until, silence.by, silence.note,
                    ])
            }
        }
        let sequences = try change.outputs.map { output in
            let document = output.document
            if output.isRetained {
                // Only the latest state of a topic counts.
                if let subject = output.subject {
                    try database.cachedStatement(sql: "INSERT OR IGNORE INTO retained VALUES (?, ?, ?, ?)").execute(
                        arguments: [document.topic, subject.pipeline, subject.desk, subject.rule])
                }
                try database.cachedStatement(sql: "DELETE FROM outbox WHERE topic = ?")
                    .execute(arguments: [document.topic])
            }
            try database.cachedStatement(
                sql: "INSERT INTO outbox (topic, bytes, published_at_offset, retained) VALUES (?, ?, ?, ?)"
            ).execute(
                arguments: [document.topic, Data(document.bytes), document.publishedAtOffset, output.isRetained])
            return database.lastInsertedRowID
        }
        // While there is no broker for a long time, the latest events are kept.
        if !sequences.isEmpty {
            try database.cachedStatement(
                sql: "DELETE FROM outbox WHERE retained = 0 AND sequence <= (SELECT MAX(sequence) FROM outbox) - ?"
            ).execute(arguments: [mostEvents])
        }
        return sequences
    }

    private static let mostEvents = 20_000

    static func markSent(_ sequences: [Int64], _ database: Database) throws {
        for sequence in sequences {
            try database.cachedStatement(sql: "DELETE FROM outbox WHERE sequence = ?").execute(arguments: [sequence])
        }
    }

    static func forgetRetained(_ topics: [String], _ database: Database) throws {
        for topic in topics {
            try database.cachedStatement(sql: "DELETE FROM retained WHERE topic = ?").execute(arguments: [topic])
        }
    }

    static func load(_ database: Database) throws -> StoredState {
        var state = StoredState()
        let decoder = decoder
        for row in try Row.fetchAll(database, sql: "SELECT * FROM alert") {
            let data: Data = row["state"]
            guard let stored = try? decoder.decode(StoredAlert.self, from: data) else {
                state.unreadableCount += 1
                continue
            }
            let series: String = row["series"]
            state.alerts.append(
                StoredAlertRow(
                    pipeline: row["pipeline"], desk: row["desk"], rule: row["rule"], key: row["key"],
                    series: series.isEmpty ? nil : series, state: stored))
        }
        state.keys = try Row.fetchAll(database, sql: "SELECT * FROM known_key").map {
            StoredKeyRow(
                pipeline: $0["pipeline"], desk: $0["desk"], key: $0["key"], topic: $0["topic"], isKnown: true)
        }
        state.silences = try Row.fetchAll(database, sql: "SELECT * FROM silence").map {
            StoredSilence(
                pipeline: $0["pipeline"], key: $0["key"], rule: $0["rule"], until: $0["until"], by: $0["by"],
                note: $0["note"])
        }
        for row in try Row.fetchAll(database, sql: "SELECT * FROM outbox ORDER BY sequence") {
            let data: Data = row["bytes"]
            let offset: Int = row["published_at_offset"]
            guard data.isEmpty || (offset > 0 && offset + TimeText.byteCount <= data.count) else {
                state.unreadableCount += 1
                continue
            }
            let document = ResultDocument(topic: row["topic"], bytes: Array(data), publishedAtOffset: offset)
            state.unsent.append((row["sequence"], AlertOutput(document: document, isRetained: row["retained"])))
        }
        state.retained = try Row.fetchAll(database, sql: "SELECT * FROM retained").map {
            RetainedTopic(topic: $0["topic"], pipeline: $0["pipeline"], desk: $0["desk"], rule: $0["rule"])
        }
        return state
    }

    // MARK: Detectors

    static func loadSeries(
        _ pipeline: String, _ database: Database, _ body: (String, String, [UInt8]) -> Void
    ) throws {
        let rows = try Row.fetchCursor(
            database, sql: "SELECT key, series, snapshot FROM series WHERE pipeline = ?", arguments: [pipeline])
        while let row = try rows.next() {
            let snapshot: Data = row["snapshot"]
            body(row["key"], row["series"], Array(snapshot))
        }
    }

    static func storeSeries(_ pipeline: String, _ rows: [StateStore.SeriesSnapshot], _ database: Database) throws {
        for row in rows {
            if let bytes = row.bytes {
                try database.cachedStatement(sql: "INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)")
                    .execute(arguments: [pipeline, row.key, row.series, Data(bytes)])
            } else {
                try database.cachedStatement(sql: "DELETE FROM series WHERE pipeline = ? AND key = ? AND series = ?")
                    .execute(arguments: [pipeline, row.key, row.series])
            }
        }
    }
}
