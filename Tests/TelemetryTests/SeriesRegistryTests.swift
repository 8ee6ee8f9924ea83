// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Telemetry

@Suite struct SeriesRegistryTests {
    private func id(_ number: Int) -> SeriesID { SeriesID(key: "machine/\(number / 2)", series: number % 2) }

    @Test func sameSeriesKeepsItsSlot() {
        var registry = SeriesRegistry(capacity: 4)
        #expect(registry.place(of: id(0)) == SeriesRegistry.Place(slot: 0, isNew: true))
        #expect(registry.place(of: id(1)) == SeriesRegistry.Place(slot: 1, isNew: true))
        #expect(registry.place(of: id(0)) == SeriesRegistry.Place(slot: 0, isNew: false))
    }

    @Test func leastRecentlyUsedGivesWay() {
        var registry = SeriesRegistry(capacity: 3)
        for number in [0, 1, 2, 0, 3] { _ = registry.place(of: id(number)) }
        #expect(registry.evictedCount == 1)
        #expect(registry.id(ofSlot: 1) == id(3))
        #expect(registry.place(of: id(1)).isNew)
        #expect(!registry.place(of: id(0)).isNew)
    }

    @Test func staysWithinCapacityLikeASimpleModel() {
        var registry = SeriesRegistry(capacity: 16)
        var model: [SeriesID] = []
        var generator = SeededGenerator(state: 3)
        for _ in 0..<5000 {
            let id = id(Int.random(in: 0..<40, using: &generator))
            let known = model.contains(id)
            model.removeAll { $0 == id }
            model.append(id)
            if model.count > 16 { model.removeFirst() }
            let place = registry.place(of: id)
            #expect(place.isNew == !known)
            #expect(registry.id(ofSlot: place.slot) == id)
        }
        #expect(registry.count == 16)
    }
}
