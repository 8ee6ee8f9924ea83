// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What does not move in a scene: the backdrop, painted once, and props that stand between the lanes.
struct Scenery {
    /// Pixels by which the backdrop is larger than the frame on each side, for the shaking camera.
    static let margin = 8

    struct Prop {
        let position: Position
        let draw: (Brush) -> Void
    }

    let backdrop: Canvas
    let props: [Prop]

    /// The same `random` gives the same place; another one changes its colours and details.
    init(site: CameraSite, random: inout SplitMix64) {
        let format = site.format
        var projection = site.projection
        backdrop = Canvas(width: format.width + 2 * Scenery.margin, height: format.height + 2 * Scenery.margin)
        projection.centre += Float(Scenery.margin)
        let brush = Brush(
            canvas: backdrop, projection: projection,
            light: Light(
                direction: normalized(SIMD3(0.3, 1, -0.5)), ambient: 0.74, diffuse: 0.26, shadow: 0.3, gain: .one,
                noise: 0))
        var painter = ScenePainter(brush: brush, random: random)
        switch site {
        case .yard: props = painter.paintYard()
        case .gate: props = painter.paintGate()
        case .street: props = painter.paintStreet()
        case .dock: props = painter.paintDock()
        }
        random = painter.random
    }
}

/// Paints the backdrops.
struct ScenePainter {
    let brush: Brush
    var random: SplitMix64
    private let noise: ValueNoise
    private static let east = SIMD3<Float>(1, 0, 0)
    private static let north = SIMD3<Float>(0, 0, 1)

    init(brush: Brush, random: SplitMix64) {
        self.brush = brush
        self.random = random
        noise = ValueNoise(random: &self.random)
    }

    private mutating func jitter(_ colour: Colour, _ amount: Float = 0.1) -> Colour {
        let shade = random.uniform((1 - amount)...(1 + amount))
        return colour * shade + Colour(random.uniform(-6...6), random.uniform(-6...6), random.uniform(-6...6))
    }

    /// Colours each pixel of the ground by its place, each above the horizon with the sky.
    private func paintGround(sky: Colour, horizon: Colour, _ material: (Position) -> Colour) {
        let canvas = brush.canvas
        for row in 0..<canvas.height {
            for column in 0..<canvas.width {
                let pixel = Point(Float(column) + 0.5, Float(row) + 0.5)
                let colour: Colour
                if let ground = brush.projection.ground(at: pixel), ground.z < 400 {
                    colour = material(ground)
                } else {
                    let height = max(0, min(1, pixel.y / max(brush.projection.centre.y, 1)))
                    let cloud = noise.cloud(pixel.x / 90, pixel.y / 40)
                    colour = mix(sky, horizon, height) + max(0, cloud) * 40
                }
                let index = (row * canvas.width + column) * 3
                for channel in 0..<3 {
                    canvas.pixels[index + channel] = UInt8(max(0, min(255, colour[channel])))
                }
            }
        }
    }

    /// An upright wall that faces the camera; `x` and `y` in metres.
    private func wall(_ x: ClosedRange<Float>, _ y: ClosedRange<Float>, z: Float, _ colour: Colour, grain: Float = 6) {
        brush.fill(
            [
                Position(x.lowerBound, y.upperBound, z), Position(x.upperBound, y.upperBound, z),
                Position(x.upperBound, y.lowerBound, z), Position(x.lowerBound, y.lowerBound, z),
            ], colour, grain: grain)
    }

    private func windowPane(_ x: ClosedRange<Float>, _ y: ClosedRange<Float>, z: Float, _ frame: Colour) {
        wall(x, y, z: z, frame)
        let edge: Float = 0.07
        let middle = (x.lowerBound + x.upperBound) / 2
        let glass = Colour(78, 94, 108)
        let inner = (y.lowerBound + edge)...(y.upperBound - edge)
        wall((x.lowerBound + edge)...(middle - edge / 2), inner, z: z, glass)
        wall((middle + edge / 2)...(x.upperBound - edge), inner, z: z, glass * 1.1)
    }

    private func box(
        _ centre: Position, _ length: Float, _ width: Float, _ height: Float, _ colour: Colour, from bottom: Float = 0,
        with other: Brush? = nil
    ) {
        Prism(
            centre: centre, along: ScenePainter.east, across: ScenePainter.north, length: length, width: width,
            bottom: bottom, top: height
        ).draw(colour, with: other ?? brush)
    }

    private func groundPatch(_ x: ClosedRange<Float>, _ z: ClosedRange<Float>, _ colour: Colour, alpha: Float = 1) {
        brush.fill(
            [
                Position(x.lowerBound, 0, z.upperBound), Position(x.upperBound, 0, z.upperBound),
                Position(x.upperBound, 0, z.lowerBound), Position(x.lowerBound, 0, z.lowerBound),
            ], colour, alpha: alpha, grain: 8)
    }

    /// A crown of leaves around a point, of overlapping discs.
    private mutating func foliage(_ centre: Position, _ radius: Float, _ colour: Colour) {
        for _ in 0..<260 {
            let angle = random.uniform(0...(2 * .pi))
            let reach = random.unit().squareRoot() * radius * (0.85 + 0.15 * cosf(angle * 5))
            let offset = SIMD3(cosf(angle) * reach, sinf(angle) * reach * 0.8, 0)
            let size = radius * random.uniform(0.05...0.13)
            let shade = 0.8 + 0.25 * offset.y / radius
            brush.limb(
                from: centre + offset, to: centre + offset, radius: size, size,
                jitter(colour * max(0.5, shade), 0.15), grain: 14)
        }
    }

    private func post(_ position: Position, _ height: Float, _ radius: Float, _ colour: Colour) -> Scenery.Prop {
        Scenery.Prop(position: position) { brush in
            brush.limb(from: position, to: position + SIMD3(0, height, 0), radius: radius, radius * 0.8, colour)
        }
    }

    mutating func paintYard() -> [Scenery.Prop] {
        let slab = jitter(Colour(168, 162, 152))
        let grass = jitter(Colour(98, 128, 70))
        let asphalt = jitter(Colour(108, 108, 110))
        let noise = noise
        let lawn = random.uniform(-4.6...(-3.4))
        paintGround(sky: Colour(150, 182, 216), horizon: Colour(206, 214, 220)) { ground in
            let blotch = noise.cloud(ground.x * 0.7, ground.z * 0.7)
            let fine = noise.value(ground.x * 9, ground.z * 9)
            if ground.z > 10.7 && ground.z < 14 { return asphalt + blotch * 12 + fine * 9 }
            if ground.x < lawn + blotch * 0.3 || ground.z > 15 {
                return grass + blotch * 22 + fine * 18 + noise.value(ground.x * 25, ground.z * 14) * 14
            }
            // Slabs of 0.9 m with joints.
            let u = abs((ground.x / 0.9).truncatingRemainder(dividingBy: 1))
            let v = abs((ground.z / 0.9).truncatingRemainder(dividingBy: 1))
            let joint: Float = u < 0.04 || v < 0.05 ? 0.78 : 1
            let tile = noise.value((ground.x / 0.9).rounded(.down) * 3.7, (ground.z / 0.9).rounded(.down) * 5.3)
            return (slab + blotch * 10 + fine * 6 + tile * 10) * joint
        }
        let plaster = jitter(random.pick([Colour(206, 190, 164), Colour(188, 176, 170), Colour(176, 120, 96)]))
        wall(-30...30, 0...2.0, z: 20, jitter(Colour(120, 100, 76)))
        wall(-8...7, 0...5, z: 15, plaster)
        wall(-8...7, 0...0.35, z: 14.99, plaster * 0.7)
        let frame = Colour(226, 224, 216)
        for x in [-6.6, 1.4, 4.2] as [Float] {
            let shift = random.uniform(-0.3...0.3)
            windowPane((x + shift)...(x + shift + 1.5), 1.1...2.5, z: 14.98, frame)
        }
        wall(-2.5...(-1.3), 0...2.2, z: 14.98, jitter(Colour(92, 60, 44)))
        wall(-2.4...(-1.4), 1.2...2.0, z: 14.97, Colour(84, 96, 104))
        foliage(Position(9.4, 2.6, 16), 2.2, Colour(74, 104, 54))
        foliage(Position(-10.5, 2.4, 17), 2.6, Colour(66, 98, 50))
        groundPatch(-2.7...(-1.1), 14.2...14.9, Colour(86, 82, 78))
        let hedge = jitter(Colour(64, 92, 50))
        let bin = jitter(Colour(54, 78, 66))
        return [
            Scenery.Prop(position: Position(5.8, 0, 13.9)) { brush in
                Prism(
                    centre: Position(5.8, 0, 14.2), along: SIMD3(1, 0, 0), across: SIMD3(0, 0, 1), length: 1.6,
                    width: 0.7,
                    bottom: 0, top: 1.0
                ).draw(hedge, with: brush, grain: 18)
            },
            Scenery.Prop(position: Position(-4.9, 0, 11.6)) { brush in
                Prism(
                    centre: Position(-5.6, 0, 10.6), along: SIMD3(1, 0, 0), across: SIMD3(0, 0, 1), length: 0.6,
                    width: 0.6, bottom: 0.05, top: 1.05, frontInset: -0.05, backInset: -0.05, sideInset: -0.05
                ).draw(bin, with: brush)
            },
            post(Position(3.9, 0, 7.6), 3.6, 0.05, Colour(60, 62, 64)),
        ]
    }

    mutating func paintGate() -> [Scenery.Prop] {
        let asphalt = jitter(Colour(112, 112, 114))
        let gravel = jitter(Colour(150, 142, 126))
        let noise = noise
        paintGround(sky: Colour(142, 172, 210), horizon: Colour(214, 218, 220)) { ground in
            let blotch = noise.cloud(ground.x * 0.5, ground.z * 0.5)
            let fine = noise.value(ground.x * 11, ground.z * 11)
            // Distance from the road's axis, which runs from left near to right far.
            let across = (ground.z - 9.6) - (ground.x + 8) * 0.62
            let offset = across / 1.18
            if abs(offset) < 4.6 {
                let along = ground.x + ground.z * 0.6
                let dashed = abs(offset) < 0.08 && (along / 3).truncatingRemainder(dividingBy: 1) < 0.5
                if dashed || abs(abs(offset) - 4.3) < 0.06 { return Colour(206, 206, 200) + fine * 10 }
                return asphalt + blotch * 12 + fine * 9
            }
            return gravel + blotch * 14 + fine * 22
        }
        // Hills, a hall and a fence behind.
        for x in stride(from: Float(-60), to: 80, by: 5) {
            let height = 3 + 2.4 * noise.cloud(x * 0.05, 3)
            wall(x...(x + 5.2), 0...(height * 1.6), z: 90, Colour(112, 134, 120))
        }
        let hall = jitter(Colour(152, 160, 168))
        wall(-34...(-2), 0...7, z: 45, hall)
        for x in stride(from: Float(-33), to: -3, by: 1.2) { wall(x...(x + 0.12), 0...7, z: 44.9, hall * 0.88) }
        wall(-20...(-15), 0...4.4, z: 44.8, jitter(Colour(96, 112, 128)))
        wall(-11...(-6), 0...4.4, z: 44.8, jitter(Colour(96, 112, 128)))
        for x in stride(from: Float(-30), to: 46, by: 2.2) where abs(x - 22) > 7 {
            box(Position(x, 0, 32), 0.1, 0.1, 1.9, Colour(90, 94, 96))
            wall(x...(x + 2.2), 0.5...0.56, z: 32, Colour(124, 128, 130))
            wall(x...(x + 2.2), 1.1...1.16, z: 32, Colour(124, 128, 130))
            wall(x...(x + 2.2), 1.7...1.78, z: 32, Colour(124, 128, 130))
        }
        foliage(Position(-20, 4, 36), 3.6, Colour(70, 96, 54))
        foliage(Position(27, 4, 38), 4, Colour(76, 104, 60))
        let booth = jitter(Colour(206, 200, 186))
        let roof = jitter(Colour(96, 60, 52))
        let red = Colour(196, 44, 38)
        var props = [
            Scenery.Prop(position: Position(5.6, 0, 10.9)) { brush in
                let body = Prism(
                    centre: Position(6.2, 0, 11.2), along: SIMD3(1, 0, 0), across: SIMD3(0, 0, 1), length: 2,
                    width: 1.8,
                    bottom: 0, top: 2.3)
                body.draw(booth, with: brush)
                for face in [Prism.Face.front, .back, .left, .right] where body.isVisible(face, from: brush.projection)
                {
                    brush.fill(face: body.patch(face, u: 0.12...0.88, v: 0.12...0.52), Colour(92, 108, 120), fade: 0.6)
                }
                Prism(
                    centre: Position(6.2, 0, 11.2), along: SIMD3(1, 0, 0), across: SIMD3(0, 0, 1), length: 2.4,
                    width: 2.2,
                    bottom: 2.3, top: 2.5
                ).draw(roof, with: brush)
            }
        ]
        for x in [-6.4, -5.0] as [Float] {
            props.append(
                Scenery.Prop(position: Position(x, 0, 10.6)) { brush in
                    let base = Position(x, 0, 10.6)
                    brush.limb(from: base, to: base + SIMD3(0, 0.8, 0), radius: 0.1, 0.1, Colour(232, 226, 210))
                    brush.limb(
                        from: base + SIMD3(0, 0.5, 0), to: base + SIMD3(0, 0.62, 0), radius: 0.105, 0.105, red)
                })
        }
        return props
    }

    mutating func paintStreet() -> [Scenery.Prop] {
        let asphalt = jitter(Colour(98, 98, 102))
        let paving = jitter(Colour(164, 156, 148))
        let kerb = Colour(190, 188, 182)
        let noise = noise
        paintGround(sky: Colour(160, 186, 212), horizon: Colour(210, 214, 218)) { ground in
            let blotch = noise.cloud(ground.x * 0.6, ground.z * 0.6)
            let fine = noise.value(ground.x * 10, ground.z * 10)
            let z = ground.z
            if z > 9.2 && z < 16.4 {
                let isLine = abs(z - 12.8) < 0.07 && (ground.x / 2.4).truncatingRemainder(dividingBy: 1).magnitude < 0.5
                let tyre = abs(abs(z - 11) - 0.75) < 0.2 || abs(abs(z - 14.6) - 0.75) < 0.2
                return (isLine ? Colour(208, 208, 200) : asphalt - (tyre ? 8 : 0)) + blotch * 10 + fine * 8
            }
            if abs(z - 9.1) < 0.12 || abs(z - 16.5) < 0.12 { return kerb + fine * 8 }
            let u = abs((ground.x / 0.6).truncatingRemainder(dividingBy: 1))
            let v = abs((z / 0.6).truncatingRemainder(dividingBy: 1))
            let joint: Float = u < 0.05 || v < 0.06 ? 0.84 : 1
            let tile = noise.value((ground.x / 0.6).rounded(.down) * 3.1, (z / 0.6).rounded(.down) * 4.7)
            return (paving + blotch * 8 + fine * 6 + tile * 9) * joint
        }
        var x: Float = -22
        while x < 22 {
            let width = random.uniform(4...7)
            let facade = jitter(
                random.pick([
                    Colour(176, 120, 98), Colour(196, 180, 152), Colour(150, 150, 156), Colour(210, 200, 190),
                    Colour(140, 112, 96),
                ]))
            wall(x...(x + width), 0...9, z: 19, facade)
            wall(x...(x + width), 2.9...3.15, z: 18.98, facade * 0.72)
            let awning = jitter(random.pick([Colour(150, 44, 40), Colour(40, 84, 66), Colour(46, 64, 110)]))
            wall((x + 0.5)...(x + width - 0.5), 0.4...2.4, z: 18.97, Colour(70, 82, 92))
            wall((x + 0.5)...(x + width - 0.5), 0...0.4, z: 18.97, facade * 0.6)
            wall((x + 0.3)...(x + width - 0.3), 2.4...2.9, z: 18.96, awning)
            for pane in stride(from: x + 0.7, to: x + width - 1.4, by: 1.7) {
                windowPane(pane...(pane + 1), 3.7...5.3, z: 18.97, Colour(220, 216, 206))
            }
            x += width
        }
        let trunk = jitter(Colour(88, 68, 50))
        let steel = Colour(66, 70, 74)
        return [
            post(Position(3.4, 0, 8.9), 6, 0.06, steel), post(Position(-5.0, 0, 8.9), 4, 0.1, trunk),
            post(Position(-1.6, 0, 9.0), 0.8, 0.06, steel), post(Position(0.6, 0, 9.0), 0.8, 0.06, steel),
            post(Position(6.2, 0, 16.8), 6, 0.07, steel),
        ]
    }

    mutating func paintDock() -> [Scenery.Prop] {
        let concrete = jitter(Colour(148, 148, 146))
        let yellow = Colour(206, 172, 52)
        let noise = noise
        paintGround(sky: Colour(90, 94, 100), horizon: Colour(110, 114, 118)) { ground in
            let blotch = noise.cloud(ground.x * 0.5, ground.z * 0.5)
            let fine = noise.value(ground.x * 8, ground.z * 8)
            let isLine = abs(ground.z - 6.6) < 0.06 || abs(ground.z - 9.3) < 0.06 || abs(abs(ground.x) - 3.2) < 0.05
            let worn = noise.cloud(ground.x * 2.2, ground.z * 2.2) > 0.28
            let seam: Float = abs((ground.x / 4).truncatingRemainder(dividingBy: 1)) < 0.012 ? 0.8 : 1
            let base = isLine && !worn ? yellow : concrete
            return (base + blotch * 14 + fine * 6) * seam
        }
        let panel = jitter(Colour(132, 140, 148))
        wall(-20...20, 0...6, z: 14, panel)
        for x in stride(from: Float(-20), to: 20, by: 0.8) { wall(x...(x + 0.08), 0...6, z: 13.99, panel * 0.9) }
        let door = jitter(Colour(196, 198, 196))
        for x in [-8.2, -3.2, 1.8, 6.8] as [Float] {
            wall((x - 0.2)...(x + 3.2), 0...3.4, z: 13.98, Colour(40, 42, 44))
            wall(x...(x + 3), 0...3.2, z: 13.97, door)
            for y in stride(from: Float(0.4), to: 3.2, by: 0.45) {
                wall(x...(x + 3), y...(y + 0.05), z: 13.96, door * 0.85)
            }
        }
        // Racks at both sides.
        for side in [-1, 1] as [Float] {
            for level in [0.9, 2.0, 3.1] as [Float] {
                box(Position(side * 9.6, 0, 10.5), 1.2, 5, level + 0.1, Colour(196, 92, 40), from: level)
            }
        }
        let belt = jitter(Colour(54, 56, 60))
        let rail = jitter(Colour(88, 112, 140))
        return [
            Scenery.Prop(position: Position(0, 0, 8.25)) { brush in
                for x in stride(from: Float(-7.5), through: 7.5, by: 2.5) {
                    brush.limb(
                        from: Position(x, 0, 7.5), to: Position(x, 0.6, 7.5), radius: 0.06, 0.06, Colour(92, 96, 100))
                    brush.limb(
                        from: Position(x, 0, 8.1), to: Position(x, 0.6, 8.1), radius: 0.06, 0.06, Colour(82, 86, 90))
                }
                let bed = Prism(
                    centre: Position(0, 0, 7.8), along: SIMD3(1, 0, 0), across: SIMD3(0, 0, 1), length: 18, width: 0.9,
                    bottom: 0.55, top: CameraSite.beltMetres)
                bed.draw(belt, with: brush)
                for face in [Prism.Face.left, .right] where bed.isVisible(face, from: brush.projection) {
                    brush.fill(bed.patch(face, u: 0...1, v: 0.1...0.7), rail * 0.85)
                }
            },
            post(Position(-4.8, 0, 9.0), 1.0, 0.08, Colour(220, 180, 40)),
        ]
    }
}
