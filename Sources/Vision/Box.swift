// SPDX-License-Identifier: Apache-2.0

/// A rectangle in pixels, origin at the top left corner of the picture.
package struct Box: Hashable, Sendable, Codable {
    package var x: Float
    package var y: Float
    package var width: Float
    package var height: Float

    package init(x: Float, y: Float, width: Float, height: Float) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }

    package var area: Float { width * height }

    /// Intersection over union, 0...1; 0 for boxes without area.
    package func overlap(with other: Box) -> Float {
        let across = min(x + width, other.x + other.width) - max(x, other.x)
        let down = min(y + height, other.y + other.height) - max(y, other.y)
        guard across > 0, down > 0 else { return 0 }
        let shared = across * down
        let union = area + other.area - shared
        return union > 0 ? shared / union : 0
    }
}
