// SPDX-License-Identifier: Apache-2.0

/// A cell of a detector's output whose score reached the threshold.
struct Candidate {
    var score: Float
    /// Position among the network's boxes; decides between equal scores, the lower one first.
    var cell: Int32
    /// Column of the scores.
    var column: Int32

    func isBetter(than other: Candidate) -> Bool {
        score > other.score || (score == other.score && cell < other.cell)
    }
}

/// Keeps the best candidates that come, at most `capacity`, in memory taken once: a binary heap with the worst on top.
struct CandidateHeap {
    private var items: [Candidate] = []
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        items.reserveCapacity(capacity)
    }

    var count: Int { items.count }

    mutating func removeAll() { items.removeAll(keepingCapacity: true) }

    mutating func add(_ candidate: Candidate) {
        if items.count < capacity {
            items.append(candidate)
            siftUp(items.count - 1)
        } else if candidate.isBetter(than: items[0]) {
            items[0] = candidate
            siftDown(0, end: items.count)
        }
    }

    /// Orders the candidates best first in place. After that only reading and `removeAll()` make sense.
    mutating func sort() {
        var end = items.count
        while end > 1 {
            end -= 1
            items.swapAt(0, end)
            siftDown(0, end: end)
        }
    }

    subscript(index: Int) -> Candidate { items[index] }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard items[parent].isBetter(than: items[child]) else { return }
            items.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int, end: Int) {
        var parent = start
        while true {
            var worst = parent
            let (left, right) = (2 * parent + 1, 2 * parent + 2)
            if left < end, items[worst].isBetter(than: items[left]) { worst = left }
            if right < end, items[worst].isBetter(than: items[right]) { worst = right }
            guard worst != parent else { return }
            items.swapAt(worst, parent)
            parent = worst
        }
    }
}
