// SPDX-License-Identifier: Apache-2.0
import CKernels
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Threads that share the work of one session, step by step. The caller's thread is the first of them.
///
/// Steps of a network take tens of microseconds, which is what waking a thread costs too. So the others look out for the
/// next step for a while before they sleep.
///
/// `@unchecked Sendable`: `work` is written before a round begins and read until it ends.
final class Team: @unchecked Sendable {
    /// Does one of `parts` parts, on any thread.
    typealias Work = (_ part: Int, _ parts: Int) -> Void

    /// Looks at the round before a thread sleeps: about 100 microseconds.
    private static let patience = 4000

    let threads: Int
    private let crew: Crew?

    init(threads: Int) {
        self.threads = threads
        crew = threads > 1 ? Crew(others: threads - 1) : nil
    }

    deinit { crew?.dismiss() }

    /// Returns when all parts are done.
    func run(_ work: @escaping Work) {
        guard let crew else { return work(0, 1) }
        crew.run(work)
    }

    /// Part `part` of `parts` of 0 ..< count, in multiples of `unit`.
    static func share(_ count: Int, _ part: Int, _ parts: Int, unit: Int = 1) -> Range<Int> {
        let units = (count + unit - 1) / unit
        func edge(_ part: Int) -> Int { min(units * part / parts * unit, count) }
        return edge(part)..<edge(part + 1)
    }

    /// What the threads hold; it outlives the team until they have left.
    private final class Crew: @unchecked Sendable {
        private let others: Int
        private var work: Work?
        private let round = Atomic<Int>(0)
        private let pending = Atomic<Int>(0)
        private let sleeping = Atomic<Int>(0)
        private let isDismissed = Atomic<Bool>(false)
        private let bell: UnsafeMutablePointer<(mutex: pthread_mutex_t, condition: pthread_cond_t)>

        init(others: Int) {
            self.others = others
            bell = .allocate(capacity: 1)
            bell.initialize(to: (pthread_mutex_t(), pthread_cond_t()))
            pthread_mutex_init(&bell.pointee.mutex, nil)
            pthread_cond_init(&bell.pointee.condition, nil)
            for index in 1...others { start(index) }
        }

        deinit {
            pthread_mutex_destroy(&bell.pointee.mutex)
            pthread_cond_destroy(&bell.pointee.condition)
            bell.deallocate()
        }

        func run(_ work: @escaping Work) {
            self.work = work
            pending.store(others, ordering: .relaxed)
            ring()
            work(0, others + 1)
            var looks = 0
            while pending.load(ordering: .acquiring) > 0 {
                looks += 1
                if looks < Team.patience { processor_pause() } else { sched_yield() }
            }
        }

        func dismiss() {
            isDismissed.store(true, ordering: .relaxed)
            ring()
        }

        /// Begins a round and wakes those who sleep.
        private func ring() {
            round.add(1, ordering: .sequentiallyConsistent)
            guard sleeping.load(ordering: .sequentiallyConsistent) > 0 else { return }
            pthread_mutex_lock(&bell.pointee.mutex)
            pthread_cond_broadcast(&bell.pointee.condition)
            pthread_mutex_unlock(&bell.pointee.mutex)
        }

        private func waitForRound(after last: Int) -> Int {
            for _ in 0..<Team.patience {
                let now = round.load(ordering: .acquiring)
                if now != last { return now }
                processor_pause()
            }
            sleeping.add(1, ordering: .sequentiallyConsistent)
            defer { sleeping.subtract(1, ordering: .sequentiallyConsistent) }
            pthread_mutex_lock(&bell.pointee.mutex)
            defer { pthread_mutex_unlock(&bell.pointee.mutex) }
            while true {
                let now = round.load(ordering: .sequentiallyConsistent)
                if now != last { return now }
                pthread_cond_wait(&bell.pointee.condition, &bell.pointee.mutex)
            }
        }

        private func serve(_ index: Int) {
            var last = 0
            while true {
                last = waitForRound(after: last)
                if isDismissed.load(ordering: .relaxed) { return }
                work?(index, others + 1)
                pending.subtract(1, ordering: .releasing)
            }
        }

        private func start(_ index: Int) {
            let argument = Unmanaged.passRetained(Helper(crew: self, index: index))
            var attributes = pthread_attr_t()
            pthread_attr_init(&attributes)
            pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
            defer { pthread_attr_destroy(&attributes) }
            var thread = pthread_t()
            let code = pthread_create(
                &thread, &attributes,
                { argument in
                    guard let argument else { return nil }
                    let helper = Unmanaged<Helper>.fromOpaque(argument).takeRetainedValue()
                    helper.crew.serve(helper.index)
                    return nil
                }, argument.toOpaque())
            precondition(code == 0, "no thread could be started: error \(code)")
        }
    }

    private final class Helper {
        let crew: Crew
        let index: Int

        init(crew: Crew, index: Int) {
            self.crew = crew
            self.index = index
        }
    }
}
