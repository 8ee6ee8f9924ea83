// SPDX-License-Identifier: Apache-2.0

/// Which label a column of scores stands for, and whether anyone wants it.
struct ClassTable {
    /// Per column the index of its label; -1 for the background and classes that are not wanted.
    let labelOfColumn: [Int32]
    let background: Int?

    /// - Parameters:
    ///   - labels: none, one per column, or one per column but the background's.
    ///   - wanted: labels, or indices where there are no labels; nil for all.
    init(columns: Int, background: Int?, labels: [String], wanted: [String]?) throws(InterpretationError) {
        if let background, !(0..<columns).contains(background) {
            throw .backgroundClass(background, classes: columns)
        }
        let skipsBackground = background != nil && labels.count == columns - 1
        guard labels.isEmpty || labels.count == columns || skipsBackground else {
            throw .labelCount(labels.count, classes: columns)
        }
        let labelCount = labels.isEmpty ? columns : labels.count
        var isWanted = [Bool](repeating: wanted == nil, count: labelCount)
        for name in wanted ?? [] {
            var isKnown = false
            for index in 0..<labelCount where labels.isEmpty ? name == String(index) : labels[index] == name {
                isWanted[index] = true
                isKnown = true
            }
            guard isKnown else { throw .unknownClass(name) }
        }
        labelOfColumn = (0..<columns).map { column in
            guard column != background else { return -1 }
            let label = skipsBackground && column > background ?? columns ? column - 1 : column
            return isWanted[label] ? Int32(label) : -1
        }
        self.background = background
    }
}
