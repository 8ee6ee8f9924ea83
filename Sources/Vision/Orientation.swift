// SPDX-License-Identifier: Apache-2.0

/// How stored rows and columns lie in the upright picture. Raw values are those of EXIF tag 0x0112 (CIPA DC-008, 4.6.4).
package enum Orientation: UInt8, Sendable, CaseIterable {
    case upright = 1
    case mirrored = 2
    case rotated180 = 3
    case mirrored180 = 4
    /// Rows and columns exchanged.
    case transposed = 5
    /// Must be turned 90 degrees clockwise.
    case rotated90 = 6
    /// Exchanged along the other diagonal.
    case transversed = 7
    /// Must be turned 90 degrees counterclockwise.
    case rotated270 = 8

    /// Whether stored rows are upright columns.
    package var swapsAxes: Bool { rawValue >= 5 }

    /// Whether upright x runs against the stored axis that it lies on.
    var reversesX: Bool { [.mirrored, .rotated180, .rotated90, .transversed].contains(self) }

    /// Whether upright y runs against the stored axis that it lies on.
    var reversesY: Bool { [.rotated180, .mirrored180, .transversed, .rotated270].contains(self) }
}
