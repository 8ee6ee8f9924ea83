// SPDX-License-Identifier: Apache-2.0

/// What the output tensors of a network mean. Outputs are referred to by name.
package enum OutputInterpretation: Hashable, Sendable, Codable {
    /// One output [N, cells, 5 + classes] of raw grid predictions as YOLOX exports them: cells run over strides in the
    /// given order, row by row; per cell x, y, log width, log height in units of the stride, objectness, class scores.
    case grid(GridHead)
    /// Decoded boxes and scores, as SSD exports them.
    case boxesAndScores(BoxesAndScoresHead)
    /// Anchor-free heads, a set of outputs per stride.
    case anchorFree(AnchorFreeHead)
    /// One map of cells [N, 5 + classes, H, W] as FastestDet exports it: per cell objectness, x, y, width, height, class scores.
    case cellMap(CellMapHead)
    /// One output of class scores.
    case classification(ClassificationHead)

    package struct GridHead: Hashable, Sendable, Codable {
        package var output: String
        package var strides: [Int]
        /// Whether objectness and class scores still need a sigmoid.
        package var scoresAreLogits: Bool

        package init(output: String, strides: [Int], scoresAreLogits: Bool) {
            self.output = output
            self.strides = strides
            self.scoresAreLogits = scoresAreLogits
        }
    }

    package struct BoxesAndScoresHead: Hashable, Sendable, Codable {
        package enum BoxForm: String, Sendable, Codable, CaseIterable {
            /// x0, y0, x1, y1
            case corners
            /// y0, x0, y1, x1 (TensorFlow)
            case cornersYX = "corners_yx"
            /// centre x, centre y, width, height
            case centre
        }

        /// [N, boxes, 4]
        package var boxes: String
        /// [N, boxes, classes], or [N, boxes] with `classes`
        package var scores: String
        /// [N, boxes], the class of each box, where the network has chosen it
        package var classes: String?
        package var form: BoxForm
        /// Whether boxes are fractions 0...1 of the input's size (else pixels of the input).
        package var normalized: Bool
        /// Column of `scores` that stands for the background, if there is one.
        package var backgroundClass: Int?
        package var scoresAreLogits: Bool

        package init(
            boxes: String, scores: String, classes: String? = nil, form: BoxForm, normalized: Bool,
            backgroundClass: Int?, scoresAreLogits: Bool
        ) {
            self.boxes = boxes
            self.scores = scores
            self.classes = classes
            self.form = form
            self.normalized = normalized
            self.backgroundClass = backgroundClass
            self.scoresAreLogits = scoresAreLogits
        }
    }

    package struct AnchorFreeHead: Hashable, Sendable, Codable {
        package struct Level: Hashable, Sendable, Codable {
            package var stride: Int
            /// [N, cells, classes] or [N, classes, H, W]
            package var scores: String
            /// [N, cells, 1] or [N, 1, H, W]; the score is then sqrt(class * objectness) if `geometricMean`, else the product.
            package var objectness: String?
            /// [N, cells, 4] or [N, 4, H, W]
            package var boxes: String

            package init(stride: Int, scores: String, objectness: String?, boxes: String) {
                self.stride = stride
                self.scores = scores
                self.objectness = objectness
                self.boxes = boxes
            }
        }

        package enum BoxForm: String, Sendable, Codable, CaseIterable {
            /// dx, dy from the cell's origin, log width, log height, in units of the stride (YuNet, YOLOX)
            case offsets
            /// distances left, top, right, bottom from the cell's centre, in units of the stride (FCOS)
            case distances
        }

        package var levels: [Level]
        package var form: BoxForm
        package var scoresAreLogits: Bool
        package var geometricMean: Bool

        package init(levels: [Level], form: BoxForm, scoresAreLogits: Bool, geometricMean: Bool) {
            self.levels = levels
            self.form = form
            self.scoresAreLogits = scoresAreLogits
            self.geometricMean = geometricMean
        }
    }

    package struct CellMapHead: Hashable, Sendable, Codable {
        package var output: String

        package init(output: String) { self.output = output }
    }

    package struct ClassificationHead: Hashable, Sendable, Codable {
        /// [N, classes] (further extents of 1 allowed)
        package var output: String
        /// Whether a softmax is still needed.
        package var scoresAreLogits: Bool

        package init(output: String, scoresAreLogits: Bool) {
            self.output = output
            self.scoresAreLogits = scoresAreLogits
        }
    }
}
