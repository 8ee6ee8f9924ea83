// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Inference
import Vision

/// One worker: a serial queue and what only the work on this queue touches (a decoder, a session per model).
///
/// `@unchecked Sendable`: the tools are used on `queue` alone, checked by `dispatchPrecondition`.
package final class Worker: @unchecked Sendable {
    package let index: Int
    private let queue: DispatchQueue
    private let tools: Tools

    /// What a worker works with. Made before the first message, so that nothing is allocated per frame.
    package final class Tools {
        package let decoder: JPEGDecoder
        package let networks: [NetworkWorker]

        package init(decoder: JPEGDecoder, networks: [NetworkWorker]) {
            self.decoder = decoder
            self.networks = networks
        }
    }

    package init(index: Int, tools: Tools) {
        self.index = index
        self.tools = tools
        queue = DispatchQueue(label: "brokerside.worker-\(index)")
    }

    /// Lets the worker take batches until nothing is ready.
    func start(_ scheduler: Scheduler) { queue.async { scheduler.run(self) } }

    /// The tools, for the batch that is being worked on.
    package func withTools<Result>(_ body: (Tools) -> Result) -> Result {
        dispatchPrecondition(condition: .onQueue(queue))
        return body(tools)
    }

    /// Returns when what the worker is doing is done.
    package func waitUntilIdle() { queue.sync {} }
}
