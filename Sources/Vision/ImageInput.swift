// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The image input of a network, as far as laying a frame into it goes.
package struct ImageInput: Hashable, Sendable {
    package var width: Int
    package var height: Int
    package var channelOrder: ImagePreprocessing.ChannelOrder
    package var fit: ImagePreprocessing.Fit
    /// Value of every channel of the pixels that the frame does not cover.
    package var padding: UInt8

    package init(
        width: Int, height: Int, channelOrder: ImagePreprocessing.ChannelOrder = .rgb,
        fit: ImagePreprocessing.Fit = .stretch, padding: UInt8 = 0
    ) {
        precondition(width > 0 && height > 0)
        self.width = width
        self.height = height
        self.channelOrder = channelOrder
        self.fit = fit
        self.padding = padding
    }

    package init(width: Int, height: Int, preprocessing: ImagePreprocessing) {
        self.init(
            width: width, height: height, channelOrder: preprocessing.channelOrder, fit: preprocessing.fit,
            padding: preprocessing.padding)
    }
}
