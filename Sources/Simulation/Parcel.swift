// SPDX-License-Identifier: Apache-2.0

/// Looks of a parcel: a taped box with a label.
struct Parcel {
    let length: Float
    let width: Float
    let height: Float
    let colour: Colour
    let tape: Colour
    let labelSide: Bool

    init(random: inout SplitMix64, size: ClosedRange<Float>) {
        length = random.uniform(size)
        width = length * random.uniform(0.65...1)
        height = length * random.uniform(0.55...0.95)
        let cardboard = random.chance(0.82)
        colour =
            cardboard
            ? Colour(190, 144, 92) * random.uniform(0.85...1.15) + random.uniform(-8...8)
            : random.pick([Colour(226, 222, 214), Colour(92, 116, 156), Colour(160, 60, 50)])
        tape = random.pick([Colour(222, 196, 140), Colour(120, 84, 50), Colour(236, 232, 224), Colour(60, 110, 70)])
        labelSide = random.chance(0.5)
    }

    func prism(at centre: Position, heading: SIMD3<Float>) -> Prism {
        Prism(
            centre: centre, along: heading, across: SIMD3(heading.z, 0, -heading.x), length: length, width: width,
            bottom: 0, top: height)
    }

    func draw(at centre: Position, heading: SIMD3<Float>, with brush: Brush) {
        let box = prism(at: centre, heading: heading)
        box.draw(colour, with: brush, grain: 6)
        for face in Prism.Face.allCases where box.isVisible(face, from: brush.projection) {
            let normal = box.normal(face)
            func lit(_ colour: Colour) -> Colour { brush.light.shade(colour, normal: normal) }
            switch face {
            case .top:
                brush.fill(box.patch(face, u: 0...1, v: 0.43...0.57), lit(tape))
            case .front, .back:
                brush.fill(box.patch(face, u: 0.43...0.57, v: 0...0.3), lit(tape))
                if labelSide { brush.fill(box.patch(face, u: 0.1...0.4, v: 0.42...0.74), lit(Colour(240, 240, 236))) }
            case .left, .right:
                if !labelSide { brush.fill(box.patch(face, u: 0.52...0.9, v: 0.2...0.6), lit(Colour(240, 240, 236))) }
                brush.fill(box.patch(face, u: 0...1, v: 0.94...1), lit(colour) * 0.7)
            }
        }
    }
}
