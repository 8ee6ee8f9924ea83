// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Streaming
import Synchronization

/// Gives the messages that wait in the lanes (one per source) to the workers.
///
/// - In: deliveries, from the ingest queues of the connections.
/// - Out: batches, to whichever worker is free; lanes take turns.
/// - Dropped: by a lane's overflow policy when its queue is full; what is older than `max_age` when it would be taken; with
///   `latest`, what has waited for `supersedingAge` when a newer one of its key waits. Each is finished as shed.
/// - Bounds: a lane holds `capacity` waiting messages and lets `openLimit` more be on their way (taken, their results not
///   yet accepted by the broker). A lane that blocks asks its connection to pause at `capacity` and to go on at half.
package final class Scheduler: Sendable {
    /// What a source is to its workers.
    package struct Lane: Sendable {
        package var name: String
        package var capacity: Int
        package var overflow: OverflowPolicy
        package var maxAgeNanoseconds: Int64?
        package var batchSize: Int
        /// How long a worker waits for a batch to fill, counted from its oldest message.
        package var batchWaitNanoseconds: Int64
        /// Batches of the lane that may be worked on side by side; 1 where state depends on the order.
        package var concurrency: Int
        package var openLimit: Int
        /// Works on a batch, on the worker's queue; finishes or hands on every delivery and ends every ticket.
        package var process: @Sendable (Worker, [Taken]) -> Void
        package var pause: @Sendable () -> Void
        package var resume: @Sendable () -> Void
    }

    /// A message that a worker has taken, with its place in the order of its key.
    package struct Taken: Sendable {
        package var delivery: Delivery
        package var ticket: UInt64
    }

    /// With `latest`, the message before the newest of a key is worked on if it has not waited longer than this: frames that
    /// come in pairs are all worked on as long as the workers keep up, and latency under overload grows by no more.
    static let supersedingAge: Int64 = 250_000_000

    /// What one read of a socket can still bring after a connection was asked to pause.
    private static let blockSlack = 4096

    private struct LaneState {
        var queue: BoundedQueue<Delivery>
        var active = 0
        var open = 0
        var isPaused = false
        var isTimerArmed = false
    }

    private struct State {
        var lanes: [LaneState]
        /// The one that has been idle for longest comes first: workers take turns, so that all of them have the memory that they
        /// work in before the load needs them all.
        var idle: [Worker]
        var next = 0
        var isStopped = false
    }

    private struct Batch {
        var lane: Int
        var taken: [Taken]
    }

    private let lanes: [Lane]
    private let sequencers: [Sequencer]
    private let state: Mutex<State>
    private let timers = DispatchQueue(label: "brokerside.batch-timers")

    package init(lanes: [Lane], workers: [Worker]) {
        self.lanes = lanes
        sequencers = lanes.map { _ in Sequencer() }
        let states = lanes.map { lane in
            let slack = lane.overflow == .block ? Scheduler.blockSlack : 0
            return LaneState(queue: BoundedQueue(capacity: lane.capacity + slack, policy: lane.overflow))
        }
        state = Mutex(State(lanes: states, idle: workers))
    }

    /// Messages that wait in a lane.
    package func waiting(in lane: Int) -> Int { state.withLock { $0.lanes[lane].queue.count } }

    /// Takes a delivery into its lane and wakes a worker for it.
    package func submit(_ delivery: Delivery, to index: Int) {
        var dropped: (Delivery, ShedReason)?
        var pauses = false
        let worker = state.withLock { state -> Worker? in
            guard !state.isStopped else {
                state.lanes[index].open += 1
                dropped = (delivery, .shutdown)
                return nil
            }
            switch state.lanes[index].queue.insert(delivery, key: delivery.key) {
            case .inserted: break
            case .displaced(let other, let reason), .rejected(let other, let reason):
                state.lanes[index].open += 1
                dropped = (other, reason)
            }
            if lanes[index].overflow == .block, !state.lanes[index].isPaused,
                state.lanes[index].queue.count >= lanes[index].capacity
            {
                state.lanes[index].isPaused = true
                pauses = true
            }
            return workerIfReady(index, &state)
        }
        if pauses { lanes[index].pause() }
        if let (delivery, reason) = dropped { delivery.finish(.shed(reason)) }
        worker?.start(self)
    }

    /// Everything to be done for `taken` is known: returns what may be done now for its key, in order. Called on one serial
    /// queue, so that what is returned is also done in order.
    package func sequence(_ taken: Taken, lane: Int, action: @escaping Sequencer.Action) -> [Sequencer.Action] {
        sequencers[lane].end(taken.ticket, key: taken.delivery.key, action: action)
    }

    /// A delivery of the lane is finished: one that had been taken, or one that had been dropped.
    package func settled(lane index: Int) {
        let worker = state.withLock { state -> Worker? in
            state.lanes[index].open -= 1
            return workerIfReady(index, &state)
        }
        worker?.start(self)
    }

    /// Works until nothing is ready. Runs on the worker's queue.
    func run(_ worker: Worker) {
        while let batch = take(for: worker) {
            if !batch.taken.isEmpty { lanes[batch.lane].process(worker, batch.taken) }
            state.withLock { $0.lanes[batch.lane].active -= 1 }
        }
    }

    /// Takes no more, and sheds what waits. What is being worked on goes on.
    package func stop() {
        let waiting = state.withLock { state in
            state.isStopped = true
            var waiting: [Delivery] = []
            for index in state.lanes.indices {
                while let delivery = state.lanes[index].queue.popFirst() {
                    state.lanes[index].open += 1
                    waiting.append(delivery)
                }
            }
            return waiting
        }
        for delivery in waiting { delivery.finish(.shed(.shutdown)) }
    }

    // MARK: Taking

    private func take(for worker: Worker) -> Batch? {
        var stale: [(delivery: Delivery, reason: ShedReason)] = []
        var resumes: Int?
        let batch = state.withLock { state -> Batch? in
            for offset in lanes.indices {
                let index = (state.next + offset) % lanes.count
                guard isReady(index, &state) else { continue }
                state.next = index + 1
                let batch = pop(index, &state, stale: &stale)
                if state.lanes[index].isPaused, state.lanes[index].queue.count <= lanes[index].capacity / 2 {
                    state.lanes[index].isPaused = false
                    resumes = index
                }
                return batch
            }
            state.idle.append(worker)
            return nil
        }
        if let resumes { lanes[resumes].resume() }
        for (delivery, reason) in stale { delivery.finish(.shed(reason)) }
        return batch
    }

    private func pop(
        _ index: Int, _ state: inout State, stale: inout [(delivery: Delivery, reason: ShedReason)]
    ) -> Batch {
        let lane = lanes[index]
        let now = Instant.now
        var taken: [Taken] = []
        taken.reserveCapacity(min(lane.batchSize, state.lanes[index].queue.count))
        while taken.count < lane.batchSize, state.lanes[index].open < lane.openLimit,
            let delivery = state.lanes[index].queue.popFirst()
        {
            state.lanes[index].open += 1
            let age = delivery.receivedAt.nanoseconds(to: now)
            if let limit = lane.maxAgeNanoseconds, age >= limit {
                stale.append((delivery, .stale))
            } else if age >= Scheduler.supersedingAge, state.lanes[index].queue.contains(key: delivery.key) {
                stale.append((delivery, .superseded))
            } else {
                taken.append(Taken(delivery: delivery, ticket: sequencers[index].begin(delivery.key)))
            }
        }
        state.lanes[index].active += 1
        return Batch(lane: index, taken: taken)
    }

    /// An idle worker for a lane that has something ready.
    private func workerIfReady(_ index: Int, _ state: inout State) -> Worker? {
        guard isReady(index, &state), !state.idle.isEmpty else { return nil }
        return state.idle.removeFirst()
    }

    /// Whether a worker may take from the lane now. Arms the timer of a lane that waits for its batch to fill.
    private func isReady(_ index: Int, _ state: inout State) -> Bool {
        let lane = lanes[index]
        guard let oldest = state.lanes[index].queue.first, state.lanes[index].active < lane.concurrency,
            state.lanes[index].open < lane.openLimit
        else { return false }
        guard lane.batchWaitNanoseconds > 0, state.lanes[index].queue.count < lane.batchSize else { return true }
        let remaining = lane.batchWaitNanoseconds - oldest.receivedAt.nanoseconds(to: .now)
        guard remaining > 0 else { return true }
        if !state.lanes[index].isTimerArmed {
            state.lanes[index].isTimerArmed = true
            timers.asyncAfter(deadline: .now() + .nanoseconds(Int(remaining))) { [weak self] in self?.wake(index) }
        }
        return false
    }

    private func wake(_ index: Int) {
        let worker = state.withLock { state -> Worker? in
            state.lanes[index].isTimerArmed = false
            return workerIfReady(index, &state)
        }
        worker?.start(self)
    }
}
