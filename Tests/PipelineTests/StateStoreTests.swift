// SPDX-License-Identifier: Apache-2.0

import Alerts
import Foundation
import Logging
import Streaming
import Synchronization
import TestSupport
import Testing

@testable import Pipeline

/// The file that outlives the program.
struct StateStoreTests {
    private let folder: TemporaryFolder
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init() throws { folder = try TemporaryFolder() }

    private var file: String { folder.file(StateStore.fileName) }

    private func open() throws -> StateStore { try StateStore(folder: folder.path, logger: logger) }

    private func output(_ topic: String, retained: Bool, text: String = "") -> AlertOutput {
        let bytes = Array(#"{"published_at":"1970-01-01T00:00:00.000Z","text":"\#(text)"}"#.utf8)
        return AlertOutput(
            document: ResultDocument(topic: topic, bytes: bytes, publishedAtOffset: 17), isRetained: retained,
            subject: retained ? .init(pipeline: "p", desk: 0, rule: "hot") : nil)
    }

    /// An open alert of the rule `hot`.
    private func row(_ topic: String) throws -> StoredAlertRow {
        var tracker = AlertTracker(rules: [
            AlertRule(id: "hot", condition: .above(series: 0, threshold: 10, clear: 10))
        ])
        tracker.isStored = true
        var changes: [AlertChange] = []
        tracker.observe(
            .sample(series: 0, value: 11, time: 5, judgement: nil), key: topic, at: Moment(steady: 5, unix: 5),
            into: &changes)
        let state = try #require(tracker.takeStored().first?.state)
        return StoredAlertRow(pipeline: "p", desk: 0, rule: "hot", key: topic, series: nil, state: state)
    }

    @Test func whatIsStoredComesBack() throws {
        let silence = StoredSilence(pipeline: "p", key: nil, rule: "hot", until: 99, by: "anna", note: nil)
        var change = StateChange(alerts: [try row("plant/a")], silences: [silence])
        change.keys = [StoredKeyRow(pipeline: "p", desk: 0, key: "a", topic: "plant/a", isKnown: true)]
        change.outputs = [output("x/hot/events", retained: false), output("x/hot", retained: true)]
        let sequences = Mutex<[Int64]>([])
        var store = try open()
        store.commit(change) { numbers in sequences.withLock { $0 = numbers } }
        store.close()
        #expect(sequences.withLock { $0.count } == 2)
        store = try open()
        let state = store.load()
        #expect(state.alerts.map(\.key) == ["plant/a"] && state.alerts[0].state == change.alerts[0].state)
        #expect(state.keys.map(\.topic) == ["plant/a"] && state.silences == [silence])
        #expect(state.unsent.map(\.output.document.topic) == ["x/hot/events", "x/hot"])
        #expect(state.unsent.map(\.sequence) == sequences.withLock { $0 })
        #expect(state.retained.map(\.topic) == ["x/hot"] && state.unreadableCount == 0)
        store.close()
    }

    @Test func whatTheBrokerHasIsNotSentAgainAndOnlyTheLatestStateIs() throws {
        var store = try open()
        store.commit(StateChange(outputs: [output("x/hot/events", retained: false), output("x/hot", retained: true)])) {
            [store] in store.sent($0[0])
        }
        store.commit(StateChange(outputs: [output("x/hot", retained: true, text: "later")]))
        store.close()
        store = try open()
        let unsent = store.load().unsent
        #expect(unsent.map(\.output.document.topic) == ["x/hot"])
        #expect(
            unsent.first.map { String(decoding: $0.output.document.bytes, as: UTF8.self).contains("later") } == true)
        store.close()
    }

    @Test func expectationsWithoutEndsAreStoredToo() throws {
        var tracker = AlertTracker(rules: [AlertRule(id: "odd", condition: .anomaly(series: 0))])
        tracker.isStored = true
        var changes: [AlertChange] = []
        let judgement = Fact.Judgement(score: 1, isAlarm: true, expected: -.infinity ... .infinity)
        tracker.observe(
            .sample(series: 0, value: 1e300, time: 5, judgement: judgement), key: "t",
            at: Moment(steady: 5, unix: 5), into: &changes)
        let state = try #require(tracker.takeStored().first?.state)
        var store = try open()
        store.commit(
            StateChange(alerts: [
                StoredAlertRow(pipeline: "p", desk: 1, rule: "odd", key: "t", series: "x", state: state)
            ]))
        store.close()
        store = try open()
        #expect(store.load().alerts.first?.state == state)
        store.close()
    }

    @Test func closedAlertsAreForgotten() throws {
        var store = try open()
        var row = try row("plant/a")
        store.commit(StateChange(alerts: [row]))
        row.state = nil
        store.commit(StateChange(alerts: [row]))
        store.close()
        store = try open()
        #expect(store.load().alerts.isEmpty)
        store.close()
    }

    @Test func secondProcessIsRefused() throws {
        let store = try open()
        let error = #expect(throws: StateStore.Failure.self) { try open() }
        #expect(error?.description.contains("in use by another process") == true)
        store.close()
        try open().close()
    }

    /// Bytes of the file at the given offset are overwritten by others.
    private func damage(at offset: Int, count: Int) throws {
        var data = try Data(contentsOf: URL(fileURLWithPath: file))
        var random = UInt64(7)
        for index in offset..<min(offset + count, data.count) {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            data[index] = UInt8(random >> 56)
        }
        try data.write(to: URL(fileURLWithPath: file))
    }

    @Test(arguments: [(0, 100), (20, 5000), (4096, 4096), (100, 60)])
    func damagedFileIsSetAsideAndANewOneBegins(offset: Int, count: Int) throws {
        let first = try open()
        for index in 0..<50 { first.commit(StateChange(alerts: [try row("plant/\(index)")])) }
        first.close()
        try damage(at: offset, count: count)
        let store = try open()
        #expect(store.load().alerts.isEmpty)
        #expect(FileManager.default.fileExists(atPath: file + ".damaged"))
        store.commit(StateChange(alerts: [try row("plant/a")]))
        store.close()
        let again = try open()
        #expect(again.load().alerts.count == 1)
        again.close()
    }

    @Test func truncatedFileIsSetAside() throws {
        let first = try open()
        for index in 0..<50 { first.commit(StateChange(alerts: [try row("plant/\(index)")])) }
        first.close()
        let data = try Data(contentsOf: URL(fileURLWithPath: file))
        try data.prefix(data.count / 2 + 100).write(to: URL(fileURLWithPath: file))
        let store = try open()
        #expect(store.load().alerts.isEmpty)
        #expect(FileManager.default.fileExists(atPath: file + ".damaged"))
        store.close()
    }

    @Test func fileOfANewerVersionIsKeptAside() throws {
        let first = try open()
        first.commit(StateChange(alerts: [try row("plant/a")]))
        first.close()
        try StateStoreTests.setVersion(99, file)
        let store = try open()
        #expect(store.load().alerts.isEmpty)
        #expect(FileManager.default.fileExists(atPath: file + ".newer"))
        store.close()
    }

    /// The version is at offset 60 of the header, big endian (https://www.sqlite.org/fileformat.html).
    private static func setVersion(_ version: UInt8, _ path: String) throws {
        var data = try Data(contentsOf: URL(fileURLWithPath: path))
        data[63] = version
        try data.write(to: URL(fileURLWithPath: path))
    }

    @Test func folderThatCannotBeMadeIsAnError() throws {
        let path = try folder.write("taken", "")
        let error = #expect(throws: StateStore.Failure.self) { try StateStore(folder: path, logger: logger) }
        #expect(error?.description.contains("state_dir") == true)
    }

    @Test func whatDetectorsLearnedComesBack() throws {
        var store = try open()
        store.storeSeries(
            pipeline: "p",
            [.init(key: "a", series: "t", bytes: [1, 2]), .init(key: "b", series: "t", bytes: [3])])
        store.storeSeries(pipeline: "p", [.init(key: "b", series: "t", bytes: nil)])
        store.storeSeries(pipeline: "q", [.init(key: "a", series: "t", bytes: [9])])
        store.close()
        store = try open()
        var found: [String: [UInt8]] = [:]
        store.loadSeries(pipeline: "p") { key, series, bytes in found["\(key) \(series)"] = bytes }
        #expect(found == ["a t": [1, 2]])
        store.close()
    }
}
