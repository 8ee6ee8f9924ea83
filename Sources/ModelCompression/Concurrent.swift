// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// Computes `count` results on all cores, in whatever order; throws the error of the smallest index.
package func concurrentMap<Result: Sendable>(
    _ count: Int, _ body: @Sendable (Int) throws -> Result
) throws -> [Result] {
    let results = Mutex([Swift.Result<Result, any Error>?](repeating: nil, count: count))
    DispatchQueue.concurrentPerform(iterations: count) { index in
        let result = Swift.Result { try body(index) }
        results.withLock { $0[index] = result }
    }
    return try results.withLock { $0 }.compactMap { try $0?.get() }
}
