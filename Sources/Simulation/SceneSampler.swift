// SPDX-License-Identifier: Apache-2.0

/// Single frames for training and calibration, spread over the four sites, many places and all times of the day.
package struct SceneSampler {
    /// Frames that one camera of one place gives, at random times, before another place is made.
    package static let framesPerCamera = 5

    private let seed: UInt64

    /// Frames of different seeds show different places and objects.
    package init(seed: UInt64) { self.seed = seed }

    /// Renders `count` frames and lends each to `body` with its index and what it shows.
    package func forEachFrame(
        count: Int, _ body: (_ index: Int, _ camera: SimulatedCamera, _ objects: [TrueObject]) throws -> Void
    ) rethrows {
        var index = 0
        var place: UInt64 = 0
        while index < count {
            var random = SplitMix64(seed: seed, stream: place)
            for site in CameraSite.allCases {
                let camera = SimulatedCamera(site: site, seed: random.next())
                var time: Double = 0
                for _ in 0..<SceneSampler.framesPerCamera where index < count {
                    time += Double(random.uniform(2...40))
                    let objects = camera.render(at: time)
                    try body(index, camera, objects)
                    index += 1
                }
            }
            place += 1
        }
    }
}
