// SPDX-License-Identifier: Apache-2.0

/// Extents of a tensor, outermost first. Every extent is >= 0.
package struct Shape: Hashable, Sendable, Codable, ExpressibleByArrayLiteral, CustomStringConvertible {
    package let dimensions: [Int]

    package init(_ dimensions: [Int]) {
        precondition(dimensions.allSatisfy { $0 >= 0 }, "extents must not be negative")
        self.dimensions = dimensions
    }

    package init(arrayLiteral elements: Int...) { self.init(elements) }

    package var rank: Int { dimensions.count }

    package subscript(axis: Int) -> Int { dimensions[axis] }

    /// Number of elements, 1 for a scalar. Nil when it does not fit an `Int`: shapes come from files too.
    package var checkedCount: Int? {
        var product = 1
        for extent in dimensions {
            let (result, overflow) = product.multipliedReportingOverflow(by: extent)
            if overflow { return nil }
            product = result
        }
        return product
    }

    /// Number of elements. Traps on overflow: use `checkedCount` for shapes that are not checked yet.
    package var count: Int { dimensions.reduce(1, *) }

    package var description: String { dimensions.map(String.init).joined(separator: "x") }

    package init(from decoder: any Decoder) throws {
        let dimensions = try decoder.singleValueContainer().decode([Int].self)
        guard dimensions.allSatisfy({ $0 >= 0 }) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "an extent is negative"))
        }
        self.dimensions = dimensions
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(dimensions)
    }
}
