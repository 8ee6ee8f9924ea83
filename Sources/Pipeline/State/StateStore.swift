// SPDX-License-Identifier: Apache-2.0

import Alerts
import Dispatch
import Foundation
import GRDB
import Logging
import Synchronization

/// What outlives the program, in one SQLite file of `state_dir`: alerts, silences, what has yet to reach the bus, and
/// what the detectors have learned.
///
/// - Written on a queue of its own. What changes while a transaction is written waits and goes into the next one
///   together, so a storm of changes costs few transactions.
/// - A change is on the disk (`synchronous = FULL`, write-ahead log) before it is told: `committed` is called afterwards.
/// - A file that is damaged or of a newer version is set aside as `state.sqlite.damaged` or `.newer`, in the place of one
///   set aside before, and a new one begins.
/// - When it cannot be written (no space left) the program goes on without: that is logged once, and what changes later
///   is written when it can be again.
/// - One process at a time: the file is locked while it is open.
///
/// `@unchecked Sendable`: `database` is used on `queue` alone once it is open.
final class StateStore: @unchecked Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private struct Waiting {
        var change: StateChange
        var committed: @Sendable ([Int64]) -> Void
    }

    private struct Pending {
        var waiting: [Waiting] = []
        var sent: [Int64] = []
        var isScheduled = false
    }

    private let database: DatabaseQueue
    private let queue = DispatchQueue(label: "brokerside.state")
    private let pending = Mutex(Pending())
    private let logger: Logger
    private let isHealthy = Atomic(true)

    static let fileName = "state.sqlite"

    /// Opens the state in `folder`, which is made if it is not there.
    ///
    /// - Throws: `Failure` when the folder cannot be used, or another process uses it.
    init(folder: String, logger: Logger) throws {
        self.logger = logger
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
        } catch { throw Failure(description: "state_dir: cannot make the folder \(folder): \(error)") }
        database = try StateStore.open(folder: folder, logger: logger)
    }

    private static func open(folder: String, logger: Logger) throws -> DatabaseQueue {
        let path = "\(folder)/\(fileName)"
        do { return try StateSchema.open(path) } catch {
            guard let reason = StateSchema.reasonToSetAside(error) else {
                let isBusy = (error as? DatabaseError)?.resultCode == .SQLITE_BUSY
                throw Failure(
                    description: isBusy
                        ? "state_dir: \(path) is in use by another process" : "state_dir: cannot open \(path): \(error)"
                )
            }
            let aside = "\(path).\(reason.rawValue)"
            logger.warning(
                "state set aside: learning anew",
                metadata: ["reason": "\(reason.rawValue)", "moved_to": "\(aside)", "error": "\(error)"])
            for suffix in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: aside + suffix)
                try? FileManager.default.moveItem(atPath: path + suffix, toPath: aside + suffix)
            }
        }
        do { return try StateSchema.open(path) } catch {
            throw Failure(description: "state_dir: cannot open \(path): \(error)")
        }
    }

    // MARK: Alerts

    /// Everything that is stored but the detectors. Called before anything is written.
    func load() -> StoredState {
        do { return try queue.sync { try database.read(StateSchema.load) } } catch {
            report(error, doing: "reading")
            return StoredState()
        }
    }

    /// Stores the change, then calls `committed` on the store's queue with a number for each of its outputs; with none
    /// when it could not be stored.
    func commit(_ change: StateChange, committed: @escaping @Sendable ([Int64]) -> Void = { _ in }) {
        schedule { $0.waiting.append(Waiting(change: change, committed: committed)) }
    }

    /// The broker has it.
    func sent(_ sequence: Int64) { schedule { $0.sent.append(sequence) } }

    /// Topics whose retained message was taken away.
    func forgetRetained(_ topics: [String]) {
        queue.async { [self] in write { database in try StateSchema.forgetRetained(topics, database) } }
    }

    /// Changes that wait for the disk.
    var waitingCount: Int { pending.withLock { $0.waiting.count } }

    private func schedule(_ change: (inout Pending) -> Void) {
        let isFirst = pending.withLock { pending in
            change(&pending)
            defer { pending.isScheduled = true }
            return !pending.isScheduled
        }
        if isFirst { queue.async { [self] in drain() } }
    }

    private func drain() {
        let (waiting, sent) = pending.withLock { pending in
            defer { pending = Pending() }
            return (pending.waiting, pending.sent)
        }
        var sequences: [[Int64]] = []
        write { database in
            sequences = []
            for item in waiting { sequences.append(try StateSchema.store(item.change, database)) }
            try StateSchema.markSent(sent, database)
        }
        for (index, item) in waiting.enumerated() {
            item.committed(sequences.indices.contains(index) ? sequences[index] : [])
        }
    }

    // MARK: Detectors

    /// What was learned of the series of a pipeline, by key and name; given to `body` one after the other.
    func loadSeries(pipeline: String, _ body: (_ key: String, _ series: String, _ snapshot: [UInt8]) -> Void) {
        queue.sync {
            do { try database.read { try StateSchema.loadSeries(pipeline, $0, body) } } catch {
                report(error, doing: "reading what was learned")
            }
        }
    }

    /// Stores what was learned of some series; returns when it is on the disk.
    func storeSeries(pipeline: String, _ rows: [SeriesSnapshot]) {
        queue.sync { write { database in try StateSchema.storeSeries(pipeline, rows, database) } }
    }

    struct SeriesSnapshot: Sendable {
        var key: String
        var series: String
        /// Nil: forgotten.
        var bytes: [UInt8]?
    }

    // MARK: Writing

    /// Writes what waits and closes the file. Nothing may come after it.
    func close() {
        queue.sync {
            drain()
            do { try database.close() } catch { report(error, doing: "closing") }
        }
    }

    /// One transaction, all or nothing.
    private func write(_ body: (Database) throws -> Void) {
        do {
            try database.write(body)
            if !isHealthy.exchange(true, ordering: .relaxed) { logger.info("state is written again") }
        } catch { report(error, doing: "writing") }
    }

    private func report(_ error: any Error, doing: String) {
        guard isHealthy.exchange(false, ordering: .relaxed) else { return }
        logger.warning(
            "state is not written: the program goes on without", metadata: ["while": "\(doing)", "error": "\(error)"])
    }
}
