// SPDX-License-Identifier: Apache-2.0

import CKernels
import Testing

@Suite struct StridedCopyTests {
    /// Planes and channels change places, whole blocks and what is left at both edges.
    @Test(arguments: [(1, 1), (3, 40), (4, 4), (16, 16), (17, 33), (21, 100), (144, 37), (33, 5)])
    func transposesWords(channels: Int, pixels: Int) {
        let source = (0..<channels * pixels).map { Float($0) }
        var target = [Float](repeating: -1, count: source.count)
        strided_copy(&target, source, 4, 2, [channels, pixels], [pixels * 4, 4], [4, channels * 4])
        for channel in 0..<channels {
            for pixel in 0..<pixels {
                #expect(target[channel * pixels + pixel] == source[pixel * channels + channel])
            }
        }
    }
}
