// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Looks of a vehicle.
struct Vehicle {
    enum Kind: CaseIterable { case car, estate, van, truck }

    let kind: Kind
    let colour: Colour
    let cargo: Colour
    let length: Float
    let width: Float
    let height: Float
    let hasStripe: Bool

    init(random: inout SplitMix64, kinds: [Kind]) {
        kind = random.pick(kinds)
        let base = random.pick([
            Colour(206, 208, 212), Colour(236, 236, 232), Colour(44, 46, 52), Colour(122, 126, 132),
            Colour(170, 36, 36),
            Colour(40, 76, 140), Colour(46, 96, 80), Colour(200, 150, 60), Colour(96, 66, 50), Colour(110, 150, 190),
        ])
        colour = base * random.uniform(0.85...1.08)
        cargo = random.pick([
            Colour(226, 226, 222), Colour(190, 60, 44), Colour(60, 100, 160), Colour(220, 180, 70),
            Colour(120, 150, 120),
        ])
        hasStripe = random.chance(0.4)
        switch kind {
        case .car:
            (length, width, height) = (
                random.uniform(3.9...4.6), random.uniform(1.7...1.85), random.uniform(1.4...1.55)
            )
        case .estate:
            (length, width, height) = (
                random.uniform(4.4...4.9), random.uniform(1.75...1.9), random.uniform(1.5...1.75)
            )
        case .van:
            (length, width, height) = (random.uniform(4.8...5.6), random.uniform(1.9...2.05), random.uniform(2.0...2.4))
        case .truck:
            (length, width, height) = (random.uniform(6.2...7.6), random.uniform(2.2...2.4), random.uniform(2.7...3.2))
        }
    }

    private var sill: Float { kind == .truck ? 0.55 : 0.28 }
    private var wheelRadius: Float { kind == .truck ? 0.46 : 0.33 }

    func shadowCorners(at centre: Position, heading: SIMD3<Float>) -> [Position] {
        let across = SIMD3(heading.z, 0, -heading.x)
        return Prism(
            centre: centre, along: heading, across: across, length: length, width: width, bottom: 0, top: height * 0.92,
            frontInset: 0.3, backInset: 0.1, sideInset: 0.1
        ).corners
    }

    /// `rolled` is the distance driven, in metres: it turns the wheels.
    func draw(at centre: Position, heading: SIMD3<Float>, rolled: Float, with brush: Brush) {
        let across = SIMD3(heading.z, 0, -heading.x)
        func prism(
            _ offset: Float, _ length: Float, _ bottom: Float, _ top: Float, _ front: Float = 0, _ back: Float = 0,
            _ side: Float = 0, width: Float? = nil
        ) -> Prism {
            Prism(
                centre: centre + heading * offset, along: heading, across: across, length: length,
                width: width ?? self.width, bottom: bottom, top: top, frontInset: front, backInset: back,
                sideInset: side)
        }
        // The underside, always dark.
        prism(0, length * 0.9, 0.12, sill + 0.1, width: width * 0.86).draw(Colour(24, 24, 26), with: brush)
        switch kind {
        case .car, .estate:
            let waist = height * 0.6
            let body = prism(0, length, sill, waist, 0.12, 0.08, 0.05)
            let isEstate = kind == .estate
            let cabin = prism(
                isEstate ? -0.09 * length : -0.05 * length, length * (isEstate ? 0.74 : 0.62), waist, height,
                length * 0.17, length * (isEstate ? 0.06 : 0.15), 0.17)
            parts(body, cabin, wheels: 0.31, rolled, heading, across, centre, brush)
        case .van:
            let body = prism(-0.04 * length, length * 0.92, sill, height * 0.55, 0.1, 0, 0.02)
            let nose = prism(0.36 * length, length * 0.28, sill, height * 0.5, 0.2, 0, 0.05)
            let cabin = prism(-0.07 * length, length * 0.86, height * 0.55, height, 0.16 * length, 0.02, 0.1)
            nose.draw(colour, with: brush)
            parts(body, cabin, wheels: 0.32, rolled, heading, across, centre, brush, isVan: true)
        case .truck:
            let box = prism(-0.14 * length, length * 0.72, 0.75, height)
            let cab = prism(0.37 * length, length * 0.24, sill, height * 0.78, 0.12, 0, 0.04)
            let boxFirst =
                brush.projection.depth(centre - heading) > brush.projection.depth(centre + heading)
            if boxFirst { drawBox(box, brush) }
            cab.draw(colour, with: brush)
            glaze(cab, .front, 0.08...0.92, 0.12...0.5, brush)
            glaze(cab, .left, 0.2...0.86, 0.14...0.48, brush)
            glaze(cab, .right, 0.14...0.8, 0.14...0.48, brush)
            lamps(cab, .front, brush)
            if !boxFirst { drawBox(box, brush) }
            wheels(0.36, rolled, heading, across, centre, brush)
        }
    }

    private func parts(
        _ body: Prism, _ cabin: Prism, wheels position: Float, _ rolled: Float, _ heading: SIMD3<Float>,
        _ across: SIMD3<Float>, _ centre: Position, _ brush: Brush, isVan: Bool = false
    ) {
        body.draw(colour, with: brush)
        for side in [Prism.Face.left, .right] where body.isVisible(side, from: brush.projection) {
            let lit = brush.light.shade(colour, normal: body.normal(side))
            brush.fill(body.patch(side, u: 0.02...0.98, v: 0.7...0.96), lit * 0.6)
            brush.fill(body.patch(side, u: 0.49...0.5, v: 0.05...0.9), lit * 0.5)
            if hasStripe && isVan { brush.fill(body.patch(side, u: 0...1, v: 0.1...0.32), cargo * 0.9) }
        }
        lamps(body, .front, brush)
        lamps(body, .back, brush)
        cabin.draw(colour * 1.02, with: brush)
        glaze(cabin, .front, 0.07...0.93, 0.1...0.95, brush)
        if !isVan {
            glaze(cabin, .back, 0.08...0.92, 0.12...0.85, brush)
            for side in [Prism.Face.left, .right] {
                glaze(cabin, side, 0.06...0.46, 0.14...0.92, brush)
                glaze(cabin, side, 0.51...0.93, 0.14...0.92, brush)
            }
        } else {
            glaze(cabin, .left, 0.74...0.98, 0.2...0.92, brush)
            glaze(cabin, .right, 0.02...0.26, 0.2...0.92, brush)
            glaze(cabin, .back, 0.1...0.46, 0.2...0.7, brush)
            glaze(cabin, .back, 0.54...0.9, 0.2...0.7, brush)
        }
        wheels(position, rolled, heading, across, centre, brush)
    }

    private func drawBox(_ box: Prism, _ brush: Brush) {
        box.draw(cargo, with: brush)
        for side in [Prism.Face.left, .right, .back] where box.isVisible(side, from: brush.projection) {
            let lit = brush.light.shade(cargo, normal: box.normal(side))
            if hasStripe { brush.fill(box.patch(side, u: 0...1, v: 0.35...0.55), lit * 0.7) }
            brush.fill(box.patch(side, u: 0...1, v: 0.94...1), lit * 0.45)
            if side == .back { brush.fill(box.patch(side, u: 0.49...0.51, v: 0...1), lit * 0.5) }
        }
    }

    private func glaze(
        _ prism: Prism, _ face: Prism.Face, _ u: ClosedRange<Float>, _ v: ClosedRange<Float>, _ brush: Brush
    ) {
        guard prism.isVisible(face, from: brush.projection) else { return }
        let glass = brush.light.shade(Colour(96, 112, 126), normal: prism.normal(face))
        brush.fill(face: prism.patch(face, u: u, v: v), glass, fade: 0.42, grain: 3)
    }

    private func lamps(_ prism: Prism, _ face: Prism.Face, _ brush: Brush) {
        guard prism.isVisible(face, from: brush.projection) else { return }
        let lamp = face == .front ? Colour(250, 246, 224) : Colour(196, 26, 26)
        brush.fill(prism.patch(face, u: 0.04...0.2, v: 0.22...0.46), lamp)
        brush.fill(prism.patch(face, u: 0.8...0.96, v: 0.22...0.46), lamp)
        brush.fill(prism.patch(face, u: 0.34...0.66, v: 0.56...0.8), Colour(228, 228, 220) * 0.8)
        brush.fill(prism.patch(face, u: 0.02...0.98, v: 0.86...1), Colour(40, 40, 42))
    }

    private func wheels(
        _ position: Float, _ rolled: Float, _ heading: SIMD3<Float>, _ across: SIMD3<Float>, _ centre: Position,
        _ brush: Brush
    ) {
        let near: Float = dot(across, centre) < 0 ? 1 : -1
        let axles: [Float] = kind == .truck ? [position, -position, -position + 0.15] : [position, -position]
        for axle in axles {
            let hub =
                centre + heading * (axle * length) + across * (near * (width / 2 + 0.01)) + SIMD3(0, wheelRadius, 0)
            func disc(_ radius: Float, _ corners: Int) -> [Position] {
                (0..<corners).map { corner in
                    let angle = Float(corner) / Float(corners) * 2 * .pi - rolled / wheelRadius
                    return hub + heading * (cosf(angle) * radius) + SIMD3(0, sinf(angle) * radius, 0)
                }
            }
            brush.fill(disc(wheelRadius, 14), Colour(26, 26, 28))
            brush.fill(disc(wheelRadius * 0.56, 6), Colour(150, 152, 156) * brush.light.ambient)
        }
    }
}
