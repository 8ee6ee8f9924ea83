// SPDX-License-Identifier: Apache-2.0

/// How pixels become the values of a network's image input: value = (pixel - mean) * scale per channel, pixel in 0...255.
package struct ImagePreprocessing: Hashable, Sendable, Codable {
    package enum ChannelOrder: String, Sendable, Codable, CaseIterable { case rgb, bgr, gray }

    /// How a frame of another aspect ratio is brought to the input's size.
    package enum Fit: String, Sendable, Codable, CaseIterable {
        /// Width and height are scaled independently.
        case stretch
        /// Scaled to fit, centred, the rest filled with `padding`.
        case letterbox
        /// Scaled to fit at the top left corner, the rest filled with `padding` (YOLOX).
        case letterboxTopLeft = "letterbox_top_left"
    }

    package var channelOrder: ChannelOrder
    package var fit: Fit
    /// Pixel value, 0...255, of what a letterbox leaves uncovered.
    package var padding: UInt8
    /// Per channel of the network's order, in units of pixel values.
    package var mean: [Float]
    /// Per channel of the network's order; 1/255 for networks that take 0...1.
    package var scale: [Float]

    package init(channelOrder: ChannelOrder, fit: Fit, padding: UInt8, mean: [Float], scale: [Float]) {
        self.channelOrder = channelOrder
        self.fit = fit
        self.padding = padding
        self.mean = mean
        self.scale = scale
    }
}

extension ImagePreprocessing: CustomStringConvertible {
    /// All of it; made without reflection, which would take a fifth of the time that a network loads in.
    package var description: String {
        func list(_ numbers: [Float]) -> String { numbers.map(\.description).joined(separator: " ") }
        return "\(channelOrder.rawValue), \(fit.rawValue), padding \(padding), mean \(list(mean)), scale \(list(scale))"
    }
}
