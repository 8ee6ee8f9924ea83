// SPDX-License-Identifier: Apache-2.0

import Logging
import ModelGraph
import Streaming
import Tensors
import TestSupport
import Vision

@testable import Pipeline

/// The whole program on a broker in memory, with an observer beside it. The node is called `gate`.
final class FlowBench: Sendable {
    let broker: InMemoryBroker
    let processor: StreamProcessor
    let observer: BrokerClient
    private let folder: TemporaryFolder

    /// - Parameter sources: the configuration from `sources` on. `MODEL` in it stands for the file of `ColorNetwork`.
    init(_ sections: String, workers: Int = 2, broker: InMemoryBroker = InMemoryBroker()) throws {
        self.broker = broker
        folder = try TemporaryFolder()
        try ModelFile.write(ColorNetwork.model(), folder.file("colors.bsm"))
        let configuration = try Configuration(
            yaml: "node: gate\nbroker: { url: \"mqtt://memory\" }\n"
                + sections.replacing("MODEL", with: "colors.bsm"),
            folder: folder.path, environment: [:])
        processor = try StreamProcessor(
            StreamProcessor.Resources(configuration), broker: broker, workers: workers,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        observer = try BrokerClient(broker)
        // It hears the first word that the program says.
        broker.settle()
        processor.start()
        broker.settle()
    }

    func publish(
        _ topic: String, _ payload: [UInt8], qos: QualityOfService = .atMostOnce, capturedAt milliseconds: Int? = nil
    ) {
        var properties = MessageProperties()
        if let milliseconds {
            let time = TimeText.text(unixNanoseconds: Int64(milliseconds) * 1_000_000)
            properties.userProperties = [("captured_at", time)]
        }
        broker.publish(Message(topic: topic, payload: Payload(payload), qos: qos, properties: properties))
    }

    func publish(_ topic: String, _ text: String, qos: QualityOfService = .atMostOnce) {
        publish(topic, Array(text.utf8), qos: qos)
    }

    /// The books of source `index`.
    func books(_ index: Int = 0) -> Ledger.Balance { processor.report.sources[index].balance }

    /// Waits until `count` messages came in by source `index` and none of them is on its way.
    func settled(_ count: Int, _ index: Int = 0) async -> Bool {
        await eventually {
            let balance = self.books(index)
            return balance.received == UInt64(count) && balance.inFlight == 0
        }
    }

    /// Cuts the connection for results, and lets nobody in until `letIn`.
    func cutResults() {
        broker.refuse("closed by the test")
        broker.drop(clientID: "gate-results")
        broker.settle()
    }

    func letIn() {
        broker.refuse(nil)
        broker.settle()
    }

    func stop(within limit: Duration = .seconds(20)) {
        processor.stop(within: limit)
        broker.settle()
        observer.stop()
    }
}

/// A network that says how red, green and blue a frame is: the mean of each channel, 0 to 1.
enum ColorNetwork {
    static func model() throws -> Model {
        var builder = GraphBuilder()
        let image = try builder.addInput("image", .float32, [1, 3, 16, 16])
        let means = try builder.add("means", .globalPool(.average), [image], outputs: ["colors"])
        return Model(
            name: "colors", graph: try builder.finish(outputs: means.compactMap { $0 }),
            preprocessing: [
                "image": ImagePreprocessing(
                    channelOrder: .rgb, fit: .stretch, padding: 0, mean: [0, 0, 0],
                    scale: [1 / 255, 1 / 255, 1 / 255])
            ],
            interpretation: .classification(.init(output: "colors", scoresAreLogits: false)),
            labels: ["red", "green", "blue"])
    }
}

/// Frames, most of them of one colour.
enum Frames {
    static let red = make(red: 230)
    static let green = make(green: 230)
    static let blue = make(blue: 230)

    static func make(red: UInt8 = 0, green: UInt8 = 0, blue: UInt8 = 0, width: Int = 64, height: Int = 48) -> [UInt8] {
        let pixels = (0..<width * height).flatMap { _ in [red, green, blue] }
        return JPEGEncoder().encode(rgb: pixels, width: width, height: height)
    }

    /// A frame that takes long to decode: all its coefficients count.
    static func noise(width: Int, height: Int) -> [UInt8] {
        var state: UInt32 = 1
        let pixels = (0..<3 * width * height).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
        return JPEGEncoder().encode(rgb: pixels, width: width, height: height)
    }

    /// A frame whose header says that it has 65535 rows of 65535 pixels.
    static let boundless: [UInt8] = {
        var frame = red
        // SOF0: marker, two bytes of length, one of precision, then height and width.
        for index in 0..<frame.count - 9 where frame[index] == 0xFF && frame[index + 1] == 0xC0 {
            for byte in index + 5..<index + 9 { frame[byte] = 0xFF }
            break
        }
        return frame
    }()
}
