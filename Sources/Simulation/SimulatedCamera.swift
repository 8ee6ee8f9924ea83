// SPDX-License-Identifier: Apache-2.0

import Vision

/// What the scenes show. Raw values are the class indices of the demo detector.
package enum ObjectClass: Int, CaseIterable, Sendable {
    case person, vehicle, parcel

    package var label: String { String(describing: self) }

    package init?(label: String) {
        guard let match = ObjectClass.allCases.first(where: { $0.label == label }) else { return nil }
        self = match
    }
}

/// An object as it really is in a frame.
package struct TrueObject: Sendable, Equatable {
    package let object: ObjectClass
    /// What is visible of it, within the frame.
    package let box: Box
    /// Too small, too far out of the frame or too hidden to be asked for: counts neither as found nor as missed.
    package let isIgnored: Bool

    package init(object: ObjectClass, box: Box, isIgnored: Bool = false) {
        self.object = object
        self.box = box
        self.isIgnored = isIgnored
    }
}

/// A camera that films one site. From the same site, seed and times come the same pixels.
///
/// Not `Sendable`: one thread renders. Memory is taken at the start.
package final class SimulatedCamera {
    /// Objects of which less than this share can be seen are ignored.
    package static let leastVisibleShare: Float = 0.4
    /// Objects smaller than this share of the frame's height are ignored.
    package static let leastHeightShare: Float = 0.03
    /// Seconds that a day of the light takes.
    static let dayLengthSeconds: Double = 360

    package let site: CameraSite
    private let scenery: Scenery
    private let canvas: Canvas
    private let sensor: Sensor
    private var traffic: [Traffic]
    private let startHour: Float
    private let cloudNoise: ValueNoise
    private let shakeNoise: ValueNoise
    private let shakePixels: Float
    private let seed: UInt64

    package init(site: CameraSite, seed: UInt64) {
        self.site = site
        var mixed = SplitMix64(seed: seed, stream: UInt64(CameraSite.allCases.firstIndex(of: site) ?? 0))
        self.seed = mixed.next()
        var random = SplitMix64(seed: self.seed, stream: 1)
        scenery = Scenery(site: site, random: &random)
        canvas = Canvas(width: site.format.width, height: site.format.height)
        sensor = Sensor(width: site.format.width)
        traffic = []
        for (index, lane) in site.lanes.enumerated() {
            traffic.append(
                Traffic(lane: lane, site: site, random: SplitMix64(seed: self.seed, stream: 100 + UInt64(index))))
        }
        startHour = random.uniform(5...20)
        cloudNoise = ValueNoise(random: &random)
        shakeNoise = ValueNoise(random: &random)
        shakePixels = site == .gate ? 2.5 : 1.2
    }

    /// RGB pixels, [height, width, 3], of the last rendered frame; valid until the next one.
    package var pixels: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: canvas.pixels, count: canvas.width * canvas.height * 3)
    }

    /// Renders the frame at `time`, in seconds since the start, >= 0, not before the last one, and tells what it shows.
    package func render(at time: Double) -> [TrueObject] {
        let light = light(at: time)
        let shakeX = Int((shakeNoise.value(Float(time) * 2.3, 0.5) * shakePixels).rounded())
        let shakeY = Int((shakeNoise.value(Float(time) * 2.9, 7.5) * shakePixels).rounded())
        canvas.restore(from: scenery.backdrop, left: Scenery.margin + shakeX, top: Scenery.margin + shakeY)
        var projection = site.projection
        projection.centre -= Point(Float(shakeX), Float(shakeY))
        let brush = Brush(canvas: canvas, projection: projection, light: light)

        let items = arrange(at: time, projection)
        for item in items { if let corners = item.shadow { brush.shadow(corners, strength: item.shadowStrength) } }
        var drawn: [Drawn] = []
        for item in items {
            var own = brush
            guard let object = item.object else {
                own.owner = SimulatedCamera.propOwner
                item.draw(own)
                continue
            }
            guard drawn.count + 1 < SimulatedCamera.propOwner,
                let outline = outline(item.outline.compactMap(projection.project))
            else { continue }
            own.owner = UInt8(drawn.count + 1)
            own.grainOrigin = projection.project(item.position) ?? .zero
            item.draw(own)
            let extent = extent(of: own.owner, within: outline.search)
            drawn.append(Drawn(object: object, area: extent.area, box: extent.box, shareInFrame: outline.shareInFrame))
        }
        var truth: [TrueObject] = []
        for (index, entry) in drawn.enumerated() where entry.area > 0 {
            let visible = extent(of: UInt8(index + 1), within: entry.box)
            guard visible.area > 0 else { continue }
            let box = visible.box
            let visibleShare = Float(visible.area) / Float(entry.area) * entry.shareInFrame
            let least = SimulatedCamera.leastHeightShare * Float(canvas.height)
            let isTooSmall = Float(box.height) < least || Float(box.width) < least / 2
            truth.append(
                TrueObject(
                    object: entry.object,
                    box: Box(x: Float(box.left), y: Float(box.top), width: Float(box.width), height: Float(box.height)),
                    isIgnored: isTooSmall || visibleShare < SimulatedCamera.leastVisibleShare))
        }
        sensor.expose(canvas, light: light, random: SplitMix64(seed: seed, stream: time.bitPattern))
        return truth
    }

    private func light(at time: Double) -> Light {
        let drift = Float(time)
        if site.isIndoors {
            // A slow drift of the mains and a lamp that now and then fails for a moment.
            let flicker = 0.03 * cloudNoise.value(drift * 6, 0) + (cloudNoise.value(drift * 1.7, 9) > 0.62 ? -0.12 : 0)
            return .indoors(flicker: flicker)
        }
        let hour = startHour + Float(time / SimulatedCamera.dayLengthSeconds * 24)
        let cloud = max(0, min(1, 0.45 + 0.8 * cloudNoise.cloud(drift * 0.12, 0)))
        return .outdoors(hour: hour.truncatingRemainder(dividingBy: 24), cloud: cloud)
    }

    // MARK: What is where

    private struct Item {
        let object: ObjectClass?
        let position: Position
        let depth: Float
        let shadow: [Position]?
        var shadowStrength: Float = 1
        /// Where the object would appear if the frame had no borders.
        let outline: [Position]
        let draw: (Brush) -> Void
    }

    /// Everything that stands in the scene, the farthest first.
    private func arrange(at time: Double, _ projection: Projection) -> [Item] {
        var items: [Item] = scenery.props.map { prop in
            Item(
                object: nil, position: prop.position, depth: projection.depth(prop.position), shadow: nil, outline: [],
                draw: prop.draw)
        }
        for index in traffic.indices {
            traffic[index].advance(to: time)
            for track in traffic[index].tracks where track.start <= time {
                add(track, at: time, projection, to: &items)
            }
        }
        return items.sorted { $0.depth > $1.depth }
    }

    private func add(_ track: Track, at time: Double, _ projection: Projection, to items: inout [Item]) {
        let pose = track.pose(at: time)
        func item(
            _ object: ObjectClass, _ position: Position, nearer: Float = 0, shadow: [Position], strength: Float = 1,
            outline: [Position], draw: @escaping (Brush) -> Void
        ) {
            items.append(
                Item(
                    object: object, position: position, depth: projection.depth(position) - nearer, shadow: shadow,
                    shadowStrength: strength, outline: outline, draw: draw))
        }
        switch track.look {
        case .person(let person, let parcel):
            let corners = person.shadowCorners(at: pose.position, heading: pose.heading)
            item(.person, pose.position, shadow: corners, outline: corners) { brush in
                person.draw(
                    at: pose.position, heading: pose.heading, stride: pose.travelled, pace: pose.pace, with: brush)
            }
            guard let parcel else { return }
            let reach = parcel.width / 2 + 0.16 * person.girth
            let held =
                pose.position + pose.heading * reach + SIMD3(0, person.heightMetres * 0.56 - parcel.height * 0.1, 0)
            let turned = SIMD3(pose.heading.z, 0, -pose.heading.x)
            // In front of the body when the person comes towards the camera or walks across.
            let towards = dot(pose.heading, normalized(SIMD3(-pose.position.x, 0, -pose.position.z)))
            let box = parcel.prism(at: held, heading: turned).corners
            item(
                .parcel, held,
                nearer: projection.depth(held) - projection.depth(pose.position) + (towards > -0.35 ? 0.2 : -0.2),
                shadow: box, strength: 0.6, outline: box
            ) { parcel.draw(at: held, heading: turned, with: $0) }
        case .vehicle(let vehicle):
            let corners = vehicle.shadowCorners(at: pose.position, heading: pose.heading)
            item(.vehicle, pose.position, shadow: corners, outline: corners) { brush in
                vehicle.draw(at: pose.position, heading: pose.heading, rolled: pose.travelled, with: brush)
            }
        case .parcel(let parcel):
            let corners = parcel.prism(at: pose.position, heading: pose.heading).corners
            item(.parcel, pose.position, shadow: corners, outline: corners) { brush in
                parcel.draw(at: pose.position, heading: pose.heading, with: brush)
            }
        }
    }

    // MARK: Truth

    private struct PixelBox {
        var left: Int
        var top: Int
        var right: Int
        var bottom: Int

        init(_ left: Int, _ top: Int, _ right: Int, _ bottom: Int) {
            (self.left, self.top, self.right, self.bottom) = (left, top, right, bottom)
        }

        var width: Int { right - left }
        var height: Int { bottom - top }
    }

    /// What was drawn of an object before others were drawn over it.
    private struct Drawn {
        let object: ObjectClass
        let area: Int
        let box: PixelBox
        /// Share of the object that the frame's borders leave, 0...1.
        let shareInFrame: Float
    }

    /// The owner of what does not count; objects have smaller numbers.
    private static let propOwner: UInt8 = 255

    /// Where to look for an object's pixels, nil when all of it is outside of the frame.
    private func outline(_ points: [Point]) -> (search: PixelBox, shareInFrame: Float)? {
        guard var low = points.first else { return nil }
        var high = low
        for point in points {
            low = pointwiseMin(low, point)
            high = pointwiseMax(high, point)
        }
        let size = Point(Float(canvas.width), Float(canvas.height))
        let inside = pointwiseMin(high, size) - pointwiseMax(low, .zero)
        guard inside.x > 0, inside.y > 0 else { return nil }
        let whole = high - low
        // Limbs reach beyond the outline.
        let spread = whole * 0.4 + 4
        low = pointwiseMax(low - spread, .zero)
        high = pointwiseMin(high + spread, size)
        return (
            PixelBox(Int(low.x), Int(low.y), Int(high.x), Int(high.y)),
            inside.x * inside.y / max(whole.x * whole.y, 1)
        )
    }

    /// Pixels of an owner within `box`, and the smallest box around them.
    private func extent(of owner: UInt8, within box: PixelBox) -> (area: Int, box: PixelBox) {
        var found = PixelBox(box.right, box.bottom, box.left, box.top)
        var area = 0
        for row in box.top..<box.bottom {
            let line = canvas.owners + row * canvas.width
            var first = -1
            var last = -1
            for column in box.left..<box.right where line[column] == owner {
                if first < 0 { first = column }
                last = column
                area += 1
            }
            guard first >= 0 else { continue }
            found.left = min(found.left, first)
            found.right = max(found.right, last + 1)
            found.top = min(found.top, row)
            found.bottom = row + 1
        }
        return (area, found)
    }
}
