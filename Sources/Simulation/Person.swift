// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Looks of a walking person.
struct Person {
    let heightMetres: Float
    let girth: Float
    let skin: Colour
    let hair: Colour
    let coat: Colour
    let trousers: Colour
    let shoes: Colour
    let wearsVest: Bool
    let wearsLongCoat: Bool
    let wearsHelmet: Bool
    let carries: Bool

    init(random: inout SplitMix64, carries: Bool, works: Bool) {
        heightMetres = random.uniform(1.52...1.92)
        girth = random.uniform(0.9...1.22)
        skin = random.pick([
            Colour(236, 196, 170), Colour(214, 164, 130), Colour(168, 118, 86), Colour(110, 76, 56),
            Colour(226, 180, 150),
        ])
        hair = random.pick([Colour(40, 32, 28), Colour(84, 58, 38), Colour(150, 116, 70), Colour(120, 120, 122)])
        coat = Person.cloth(&random)
        let dark = random.chance(0.75)
        trousers =
            dark
            ? random.pick([Colour(38, 44, 66), Colour(46, 46, 50), Colour(74, 66, 56), Colour(60, 74, 104)])
            : Person.cloth(&random)
        shoes = random.pick([Colour(34, 30, 28), Colour(90, 64, 44), Colour(200, 200, 200)])
        wearsVest = random.chance(works ? 0.6 : 0.08)
        wearsLongCoat = random.chance(0.22)
        wearsHelmet = random.chance(works ? 0.5 : 0.03)
        self.carries = carries
    }

    private static func cloth(_ random: inout SplitMix64) -> Colour {
        let base = random.pick([
            Colour(178, 52, 48), Colour(52, 84, 150), Colour(58, 112, 74), Colour(206, 168, 60), Colour(220, 218, 210),
            Colour(58, 58, 64), Colour(120, 70, 130), Colour(196, 116, 60), Colour(96, 150, 170), Colour(150, 140, 120),
        ])
        return base * random.uniform(0.75...1.15) + random.uniform(-10...10)
    }

    /// `stride` is the distance walked, in metres; `pace` 0 (stands) ... 1 (walks).
    func draw(at foot: Position, heading: SIMD3<Float>, stride: Float, pace: Float, with brush: Brush) {
        let h = heightMetres
        let side = SIMD3(heading.z, 0, -heading.x)
        let phase = stride / (0.82 * h) * .pi
        let swing = 0.4 * pace
        let bob = 0.012 * h * pace * cosf(2 * phase)
        func up(_ y: Float) -> SIMD3<Float> { SIMD3(0, y * h + bob, 0) }
        func joint(_ from: Position, _ length: Float, _ angle: Float) -> Position {
            from + heading * (sinf(angle) * length * h) - SIMD3(0, cosf(angle) * length * h, 0)
        }
        let facing = normalized(-foot)
        let sideOn = abs(dot(heading, facing) / max(dot(SIMD3(facing.x, 0, facing.z), facing).squareRoot(), 0.1))
        let breadth = (0.075 + 0.045 * min(1, sideOn)) * h * girth
        let nearSide: Float = dot(side, foot) < 0 ? 1 : -1

        func leg(_ which: Float) {
            let angle = swing * sinf(phase + (which > 0 ? 0 : .pi))
            let lift = max(0, cosf(phase + (which > 0 ? 0 : .pi))) * 0.7 * pace
            let hip = foot + up(0.5) + side * (which * 0.045 * h)
            let knee = joint(hip, 0.24, angle)
            let ankle = joint(knee, 0.24, angle - lift)
            brush.limb(from: hip, to: knee, radius: 0.055 * h * girth, 0.04 * h, trousers)
            brush.limb(from: knee, to: ankle, radius: 0.042 * h, 0.03 * h, trousers)
            brush.limb(from: ankle, to: ankle + heading * (0.07 * h), radius: 0.028 * h, 0.022 * h, shoes)
        }
        func arm(_ which: Float) {
            let shoulder = foot + up(0.79) + side * (which * (breadth * 0.9 + 0.01 * h))
            let angle = carries ? 0.35 : -swing * 0.9 * sinf(phase + (which > 0 ? 0 : .pi))
            let elbow = joint(shoulder, 0.17, angle)
            let hand = joint(elbow, 0.15, angle + (carries ? 1.0 : 0.35))
            brush.limb(from: shoulder, to: elbow, radius: 0.036 * h, 0.03 * h, coat * 0.94)
            brush.limb(from: elbow, to: hand, radius: 0.03 * h, 0.024 * h, coat * 0.94)
            brush.limb(from: hand, to: hand, radius: 0.026 * h, 0.026 * h, skin)
        }

        arm(-nearSide)
        leg(-nearSide)
        leg(nearSide)
        let hips = foot + up(wearsLongCoat ? 0.36 : 0.5)
        let chest = foot + up(0.77)
        brush.limb(from: hips, to: chest, radius: breadth * (wearsLongCoat ? 1.0 : 0.86), breadth, coat)
        if wearsVest {
            let vest = foot + up(0.56)
            brush.limb(from: vest, to: foot + up(0.76), radius: breadth * 0.94, breadth * 0.98, Colour(238, 226, 40))
            brush.limb(
                from: foot + up(0.62) - side * (breadth * 0.8), to: foot + up(0.62) + side * (breadth * 0.8),
                radius: 0.018 * h, 0.018 * h, Colour(230, 232, 236))
        }
        let head = foot + up(0.925) + heading * (0.015 * h)
        brush.limb(from: foot + up(0.84), to: head, radius: 0.032 * h, 0.04 * h, skin * 0.9)
        brush.limb(from: head - up(0.012), to: head, radius: 0.052 * h, 0.058 * h, skin)
        let crown = head - heading * (0.014 * h) + SIMD3(0, 0.024 * h, 0)
        brush.limb(
            from: crown, to: crown - heading * (0.012 * h), radius: 0.056 * h, 0.05 * h,
            wearsHelmet ? Colour(244, 190, 40) : hair)
        arm(nearSide)
    }

    func shadowCorners(at foot: Position, heading: SIMD3<Float>) -> [Position] {
        let h = heightMetres
        let side = SIMD3(heading.z, 0, -heading.x)
        return [
            foot + side * (0.09 * h), foot - side * (0.09 * h), foot + heading * (0.14 * h),
            foot - heading * (0.14 * h),
            foot + side * (0.13 * h) + SIMD3(0, 0.8 * h, 0), foot - side * (0.13 * h) + SIMD3(0, 0.8 * h, 0),
            foot + heading * (0.1 * h) + SIMD3(0, 0.6 * h, 0), foot - heading * (0.1 * h) + SIMD3(0, 0.6 * h, 0),
            foot + SIMD3(0, h, 0),
        ]
    }
}
