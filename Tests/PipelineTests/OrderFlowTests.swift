// SPDX-License-Identifier: Apache-2.0

import Foundation
import Streaming
import TestSupport
import Testing

@testable import Pipeline

/// Order, age and overload of frames.
struct OrderFlowTests {
    private func bench(_ source: String, model: String = "", workers: Int = 2) throws -> FlowBench {
        try FlowBench(
            """
            sources: { yard: { topics: ["cameras/+/frame"], kind: frames, \(source) } }
            models: { colors: { file: MODEL \(model) } }
            pipelines: { colors: { from: yard, detect: { model: colors } } }
            """, workers: workers)
    }

    @Test func resultsOfOneCameraKeepTheOrderOfItsFrames() async throws {
        let bench = try bench("overload: block, max_age: 0s", workers: 4)
        // Frames of very different cost, so that workers overtake each other.
        let sizes = [Frames.make(red: 200, width: 640, height: 480), Frames.red, Frames.green]
        for number in 0..<60 {
            for camera in ["a", "b", "c"] {
                bench.publish("cameras/\(camera)/frame", sizes[number % 3], capturedAt: number)
            }
        }
        #expect(await bench.settled(180))
        bench.stop()
        for camera in ["a", "b", "c"] {
            let times = bench.observer.documents("detections/colors/\(camera)").compactMap(\.capturedAt)
            #expect(times.map { Int(($0.timeIntervalSince1970 * 1000).rounded()) } == Array(0..<60))
        }
    }

    @Test func noPublishedResultIsOlderThanMaxAge() async throws {
        let bench = try bench("overload: drop_oldest, queue: 500, max_age: 60ms", workers: 1)
        let frame = Frames.noise(width: 1280, height: 960)
        for number in 0..<200 { bench.publish("cameras/\(number % 5)/frame", frame) }
        #expect(await bench.settled(200))
        bench.stop()
        #expect(bench.books().shed["stale", default: 0] > 0)
        let published = bench.observer.documents("detections")
        #expect(published.count == Int(bench.books().processed))
        for document in published {
            let received = try #require(document.receivedAt)
            // Both times are cut to milliseconds, so a difference may show one more.
            #expect(try #require(document.publishedAt).timeIntervalSince(received) <= 0.0611)
        }
    }

    @Test func aResultThatWaitsForTheBrokerTooLongIsNotPublished() async throws {
        let bench = try bench("max_age: 20ms")
        bench.cutResults()
        bench.publish("cameras/a/frame", Frames.red)
        let start = ContinuousClock.now
        #expect(await eventually { bench.books().received == 1 && ContinuousClock.now - start > .milliseconds(30) })
        bench.letIn()
        #expect(await bench.settled(1))
        bench.stop()
        #expect(bench.books().shed == ["stale": 1])
        #expect(bench.observer.documents("detections").isEmpty)
    }

    @Test func latestKeepsTheNewestFrameOfEachCamera() async throws {
        let bench = try bench("overload: latest, max_age: 0s", workers: 1)
        // Without its results accepted a lane takes no more than it may have open.
        bench.cutResults()
        for number in 0..<100 {
            for camera in ["a", "b"] { bench.publish("cameras/\(camera)/frame", Frames.red, capturedAt: number) }
        }
        #expect(await eventually { bench.books().received == 200 })
        bench.letIn()
        #expect(await bench.settled(200))
        bench.stop()
        let books = bench.books()
        #expect(books.shed["superseded", default: 0] > 100)
        #expect(books.shed.count == 1)
        for camera in ["a", "b"] {
            let last = bench.observer.documents("detections/colors/\(camera)").last
            #expect(last?.capturedAt == Date(timeIntervalSince1970: 0.099))
        }
    }

    @Test func aFailingFrameDoesNotDisturbItsNeighboursInABatch() async throws {
        let bench = try bench("max_age: 0s, overload: block", model: ", batch: { size: 4, wait: 10s }", workers: 1)
        let frames = [Frames.red, Array(Frames.green.prefix(200)), Frames.blue, Frames.green]
        for frame in frames { bench.publish("cameras/a/frame", frame) }
        #expect(await bench.settled(4))
        bench.stop()
        #expect(bench.books().processed == 3)
        #expect(bench.books().failed == ["truncated": 1])
        let colors = bench.observer.documents("detections").map { $0.classifications?.map(\.class) }
        #expect(colors == [["red"], ["blue"], ["green"]])
    }
}
