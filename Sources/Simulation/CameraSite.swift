// SPDX-License-Identifier: Apache-2.0

/// The four places that the simulated cameras watch.
package enum CameraSite: String, CaseIterable, Sendable {
    case yard, gate, street, dock

    package struct Format: Sendable, Equatable {
        package let width: Int
        package let height: Int
        package let framesPerSecond: Int
        /// 1...100, as libjpeg counts it.
        package let jpegQuality: Int
    }

    package var format: Format {
        switch self {
        case .yard: Format(width: 640, height: 480, framesPerSecond: 6, jpegQuality: 75)
        case .gate: Format(width: 1280, height: 720, framesPerSecond: 5, jpegQuality: 88)
        case .street: Format(width: 800, height: 600, framesPerSecond: 6, jpegQuality: 82)
        case .dock: Format(width: 640, height: 360, framesPerSecond: 8, jpegQuality: 64)
        }
    }

    var isIndoors: Bool { self == .dock }

    var projection: Projection {
        let (height, pitch, field): (Float, Float, Float) =
            switch self {
            case .yard: (3.2, 20, 66)
            case .gate: (4.5, 19, 60)
            case .street: (5.0, 21, 62)
            case .dock: (3.4, 24, 70)
            }
        return Projection(
            width: format.width, height: format.height, heightMetres: height, pitchDegrees: pitch,
            horizontalFieldDegrees: field)
    }

    /// Who comes by, where and how often.
    var lanes: [Lane] {
        switch self {
        case .yard:
            [
                Lane(.person(carrying: 0.2), from: Position(-7, 0, 6.4), to: Position(7, 0, 6.4), every: 8...18),
                Lane(.person(carrying: 0.35), from: Position(10, 0, 9.6), to: Position(-10, 0, 9.9), every: 6...15),
                Lane(.person(carrying: 0.7), from: Position(-1.6, 0, 13.6), to: Position(6, 0, 3), every: 9...20),
                Lane(
                    .vehicle([.car, .estate, .van]), from: Position(-13, 0, 12.2), to: Position(13, 0, 12.0),
                    every: 11...24, pauses: 0.5),
                Lane(.parcel, at: Position(0.6, 0, 9.0), every: 9...26),
                Lane(.parcel, at: Position(-3.3, 0, 7.6), every: 10...30),
                Lane(.parcel, at: Position(2.6, 0, 6.0), every: 12...34),
            ]
        case .gate:
            [
                Lane(
                    .vehicle([.car, .estate, .van, .truck]), from: Position(19, 0, 27), to: Position(-13, 0, 7),
                    every: 6...13, pauses: 0.35),
                Lane(
                    .vehicle([.car, .estate, .van, .truck]), from: Position(-16, 0, 12), to: Position(20, 0, 34),
                    every: 6...14),
                Lane(.person(carrying: 0.25), from: Position(-8, 0, 8.6), to: Position(8, 0, 8.4), every: 8...20),
                Lane(.person(carrying: 0.3), from: Position(10, 0, 13), to: Position(-10, 0, 12.4), every: 7...17),
                Lane(.parcel, at: Position(3.1, 0, 10.2), every: 10...28),
                Lane(.parcel, at: Position(-2.4, 0, 9.8), every: 10...28),
                Lane(.parcel, at: Position(0.5, 0, 7.9), every: 14...34),
            ]
        case .street:
            [
                Lane(
                    .vehicle([.car, .estate, .van]), from: Position(-17, 0, 11), to: Position(17, 0, 11), every: 6...14),
                Lane(
                    .vehicle([.car, .estate, .van, .truck]), from: Position(20, 0, 14.6), to: Position(-20, 0, 14.6),
                    every: 6...15),
                Lane(.person(carrying: 0.35), from: Position(-8, 0, 6.9), to: Position(8, 0, 6.9), every: 6...15),
                Lane(.person(carrying: 0.35), from: Position(9, 0, 8.2), to: Position(-9, 0, 8.2), every: 6...15),
                Lane(.person(carrying: 0), from: Position(13, 0, 17.6), to: Position(-13, 0, 17.6), every: 7...18),
                Lane(.parcel, at: Position(-2.0, 0, 6.0), every: 10...28),
                Lane(.parcel, at: Position(2.6, 0, 7.5), every: 10...28),
            ]
        case .dock:
            [
                Lane(.person(carrying: 0.4), from: Position(-7, 0, 5.8), to: Position(7, 0, 5.8), every: 7...18),
                Lane(.person(carrying: 0.3), from: Position(10, 0, 10.2), to: Position(-10, 0, 10.2), every: 8...19),
                Lane(.person(carrying: 0.6), from: Position(3.4, 0, 13), to: Position(4.6, 0, 2.5), every: 12...26),
                Lane(
                    .beltParcel, from: Position(-8.5, CameraSite.beltMetres, 7.8),
                    to: Position(8.5, CameraSite.beltMetres, 7.8), every: 4...10),
                Lane(.parcel, at: Position(-2.6, 0, 5.0), every: 9...28),
                Lane(.parcel, at: Position(1.2, 0, 4.8), every: 10...30),
                Lane(
                    .vehicle([.van, .truck, .car]), from: Position(-16, 0, 12), to: Position(16, 0, 12), every: 12...26),
            ]
        }
    }

    /// Height of the conveyor's surface.
    static let beltMetres: Float = 0.75
}

/// A way through a scene on which objects of one kind follow each other.
struct Lane {
    enum Kind {
        /// With the probability of carrying a parcel.
        case person(carrying: Float)
        case vehicle([Vehicle.Kind])
        /// Stands for a while, then is gone.
        case parcel
        /// Moves along on a conveyor.
        case beltParcel
    }

    let kind: Kind
    let from: Position
    let to: Position
    /// Seconds from one arrival to the next.
    let every: ClosedRange<Float>
    /// Probability of a stop on the way.
    let pauses: Float

    init(_ kind: Kind, from: Position, to: Position, every: ClosedRange<Float>, pauses: Float = 0.2) {
        self.kind = kind
        self.from = from
        self.to = to
        self.every = every
        self.pauses = pauses
    }

    init(_ kind: Kind, at place: Position, every: ClosedRange<Float>) {
        self.init(kind, from: place, to: place, every: every)
    }

    var lengthMetres: Float { dot(to - from, to - from).squareRoot() }
    var heading: SIMD3<Float> { normalized(to - from) }
}
