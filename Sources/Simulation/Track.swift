// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One object on its way through a scene: where it is at every moment follows from what was drawn at its start.
struct Track {
    enum Look {
        case person(Person, parcel: Parcel?)
        case vehicle(Vehicle)
        case parcel(Parcel)
    }

    let look: Look
    let start: Double
    let end: Double
    private let origin: Position
    private let travel: SIMD3<Float>
    private let restingHeading: SIMD3<Float>
    private let speed: Float
    private let length: Float
    /// Metres from the origin at which it stops, and for how many seconds.
    private let pauseAt: Float
    private let pauseSeconds: Float

    init(lane: Lane, start: Double, site: CameraSite, random: inout SplitMix64) {
        self.start = start
        length = lane.lengthMetres
        let heading = lane.heading
        let side = SIMD3(heading.z, 0, -heading.x)
        var drift: Float = 0
        let isPaused = random.chance(lane.pauses)
        switch lane.kind {
        case .person(let carrying):
            let carries = random.chance(carrying)
            let person = Person(random: &random, carries: carries, works: site == .dock || site == .gate)
            look = .person(person, parcel: carries ? Parcel(random: &random, size: 0.42...0.6) : nil)
            speed = random.uniform(1.0...1.6)
            drift = random.uniform(-0.4...0.4)
        case .vehicle(let kinds):
            look = .vehicle(Vehicle(random: &random, kinds: kinds))
            speed = random.uniform(3...5.5)
            drift = random.uniform(-0.3...0.3)
        case .parcel:
            look = .parcel(Parcel(random: &random, size: 0.45...0.85))
            speed = 0
        case .beltParcel:
            look = .parcel(Parcel(random: &random, size: 0.42...0.75))
            speed = 0.9
            drift = random.uniform(-0.12...0.12)
        }
        let angle = random.uniform(0...(2 * .pi))
        if speed == 0 {
            // Stands where it was put down.
            origin = lane.from + SIMD3(random.uniform(-0.9...0.9), 0, random.uniform(-0.5...0.5))
            travel = .zero
            restingHeading = SIMD3(cosf(angle), 0, sinf(angle))
            (pauseAt, pauseSeconds) = (0, 0)
            end = start + Double(random.uniform(5...18))
        } else {
            origin = lane.from + side * drift
            travel = heading
            let turn = random.uniform(-0.5...0.5)
            restingHeading =
                if case .parcel = look {
                    heading * cosf(turn) + side * sinf(turn)
                } else { heading }
            pauseAt = random.uniform(0.3...0.7) * length
            let canPause = if case .parcel = look { false } else { true }
            pauseSeconds = isPaused && canPause ? random.uniform(2...6) : 0
            end = start + Double(length / speed + pauseSeconds)
        }
    }

    struct Pose {
        let position: Position
        let heading: SIMD3<Float>
        /// Metres moved since the start.
        let travelled: Float
        /// 0 (stands) or 1 (moves).
        let pace: Float
    }

    /// `time` in `start...end`.
    func pose(at time: Double) -> Pose {
        let elapsed = Float(time - start)
        let free = elapsed * speed
        let moved: Float
        var pace: Float = 1
        if free <= pauseAt {
            moved = free
        } else if elapsed <= pauseAt / max(speed, 0.01) + pauseSeconds {
            moved = pauseAt
            pace = 0
        } else {
            moved = free - pauseSeconds * speed
        }
        return Pose(
            position: origin + travel * moved, heading: restingHeading, travelled: moved, pace: speed == 0 ? 0 : pace)
    }
}

/// The tracks of a lane in order of time, made as they are needed. Those that ended are forgotten.
struct Traffic {
    let lane: Lane
    private let site: CameraSite
    private var random: SplitMix64
    private var nextStart: Double
    private(set) var tracks: [Track] = []

    init(lane: Lane, site: CameraSite, random: SplitMix64) {
        self.lane = lane
        self.site = site
        self.random = random
        // Long enough before the first frame that the scene is populated then.
        nextStart = -60 + Double(self.random.uniform(lane.every))
    }

    /// Times must not go back.
    mutating func advance(to time: Double) {
        tracks.removeAll { $0.end < time }
        while nextStart <= time {
            let track = Track(lane: lane, start: nextStart, site: site, random: &random)
            let gap = Double(random.uniform(lane.every))
            // What stands must be gone before the next one comes to the same place; a vehicle that stops holds up the others.
            nextStart = max(nextStart + gap, track.end - (track.end - track.start) * lane.followingShare)
            if track.end >= time { tracks.append(track) }
        }
    }
}

extension Lane {
    /// Which part of an object's time on its way the next one may share.
    fileprivate var followingShare: Double {
        switch kind {
        case .parcel: -0.2
        case .vehicle: 0.35
        case .person: 0.8
        case .beltParcel: 0.9
        }
    }
}
