// SPDX-License-Identifier: Apache-2.0

/// An object that a network found in a frame.
package struct Detection: Hashable, Sendable {
    /// Index into the model's labels.
    package var classIndex: Int
    /// 0...1
    package var score: Float
    /// In pixels of the upright frame, clipped to it.
    package var box: Box

    package init(classIndex: Int, score: Float, box: Box) {
        self.classIndex = classIndex
        self.score = score
        self.box = box
    }
}

/// What a network says of a frame as a whole.
package struct Classification: Hashable, Sendable {
    /// Index into the model's labels.
    package var classIndex: Int
    /// 0...1
    package var score: Float

    package init(classIndex: Int, score: Float) {
        self.classIndex = classIndex
        self.score = score
    }
}
