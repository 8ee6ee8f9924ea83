// SPDX-License-Identifier: Apache-2.0

import Streaming

/// What became of the latest messages of a QoS 1 source, so that a message which the broker delivers again gives no second
/// result within one run. Messages are known by `Message.deliveryNumber`.
struct Redeliveries {
    enum Verdict {
        /// Not seen before: to be worked on.
        case first
        /// Its results are on the broker, or it failed.
        case done
        /// An earlier delivery of it is still on its way: this one waits for the outcome. The one that had waited until now,
        /// if there was one, is not needed any more.
        case waits(replacing: Delivery?)
    }

    private enum Fate {
        case open(waiting: Delivery?)
        case done
    }

    private var fates: [UInt64: Fate] = [:]
    /// Numbers of messages that are done, in a ring.
    private var done: [UInt64] = []
    private var oldest = 0
    private let capacity: Int

    /// - Parameter capacity: messages that are remembered after they are done.
    init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
    }

    /// `delivery` is kept if the verdict is `waits`.
    mutating func take(_ number: UInt64, _ delivery: Delivery) -> Verdict {
        switch fates[number] {
        case nil:
            fates[number] = .open(waiting: nil)
            return .first
        case .done: return .done
        case .open(let waiting):
            fates[number] = .open(waiting: delivery)
            return .waits(replacing: waiting)
        }
    }

    /// The delivery that was worked on has this outcome. Returns the one that waited for it, and whether it is to be worked
    /// on in its place.
    mutating func finished(_ number: UInt64, _ outcome: Outcome) -> (delivery: Delivery, isNext: Bool)? {
        guard case .open(let waiting) = fates[number] else { return nil }
        if case .shed = outcome {
            fates[number] = waiting == nil ? nil : .open(waiting: nil)
            return waiting.map { ($0, true) }
        }
        fates[number] = .done
        if done.count < capacity {
            done.append(number)
        } else {
            fates[done[oldest]] = nil
            done[oldest] = number
            oldest = (oldest + 1) % capacity
        }
        return waiting.map { ($0, false) }
    }
}
