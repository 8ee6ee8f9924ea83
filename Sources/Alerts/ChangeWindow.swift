// SPDX-License-Identifier: Apache-2.0

/// How far a value has moved from its lowest and its highest within a time, in constant memory.
///
/// The time is divided into eight slots, each with its least and its greatest value; the slot of the newest sample and
/// the seven before it count. So the window is between 7/8 of the time and all of it. A sample older than the window
/// (late, or the source's clock was set back by more than that) begins a new one; one within it counts in its slot.
struct ChangeWindow: Sendable {
    private static let slotCount: Int64 = 8

    private struct Slot: Sendable {
        var number = Int64.min
        var least = Double.infinity
        var greatest = -Double.infinity
    }

    private var slots = InlineArray<8, Slot>(repeating: Slot())
    private var newest = Int64.min

    /// The move that the sample completes: how far above the least, below the greatest, or the greater of both. >= 0.
    mutating func take(_ value: Double, at time: Int64, within: Int64, direction: ChangeDirection) -> Double {
        let width = max(within / ChangeWindow.slotCount, 1)
        let number = time / width - (time % width < 0 ? 1 : 0)
        if newest == .min || number > newest {
            newest = number
        } else if number <= newest - ChangeWindow.slotCount {
            slots = InlineArray(repeating: Slot())
            newest = number
        }
        let place = Int(((number % ChangeWindow.slotCount) + ChangeWindow.slotCount) % ChangeWindow.slotCount)
        if slots[place].number != number { slots[place] = Slot(number: number) }
        slots[place].least = min(slots[place].least, value)
        slots[place].greatest = max(slots[place].greatest, value)
        var least = value
        var greatest = value
        for index in slots.indices where slots[index].number > newest - ChangeWindow.slotCount {
            least = min(least, slots[index].least)
            greatest = max(greatest, slots[index].greatest)
        }
        switch direction {
        case .rises: return value - least
        case .falls: return greatest - value
        case .changes: return max(value - least, greatest - value)
        }
    }
}
