// SPDX-License-Identifier: Apache-2.0
import ModelGraph
import Tensors

extension GraphImporter {
    /// `Resize` in its three forms (10; 11 and 13; 18 and later) and `Upsample`.
    mutating func addResize(_ kind: ONNXOperator, _ node: NodeReader) throws -> [ValueID?] {
        let x = try node.input(0)
        let shape = shape(x)
        let isOld = kind == .upsample || node.version < 11
        let axes = try node.ints("axes")?.map { try node.axis($0, rank: shape.rank) } ?? Array(0..<shape.rank)
        guard Set(axes).count == axes.count else { throw Unsupported("an axis is there twice") }
        let (mode, coordinates, rounding) = try modes(node, isOld: isOld)
        var resize = Resize(
            mode: mode, coordinates: coordinates, nearestRounding: rounding, scales: shape.dimensions.map { _ in 1 },
            sizes: shape.dimensions, cubicCoefficient: node.float("cubic_coeff_a", default: -0.75),
            excludesOutside: node.flag("exclude_outside"), antialiases: node.flag("antialias"),
            extrapolationValue: node.float("extrapolation_value", default: 0))
        if coordinates == .cropAndResize {
            let given = try floats(try constant(node, 1))
            guard given.count == 2 * axes.count else { throw Unsupported("roi does not fit the axes") }
            var region = shape.dimensions.map { _ in Float(0) } + shape.dimensions.map { _ in Float(1) }
            for (place, axis) in axes.enumerated() {
                region[axis] = given[place]
                region[shape.rank + axis] = given[axes.count + place]
            }
            resize.region = region
        }
        let scalesInput = isOld ? 1 : 2
        let scales =
            try node.floats("scales")
            ?? optionalConstant(node, scalesInput).flatMap { $0.count > 0 ? try floats($0) : nil }
        if let scales {
            guard scales.count == axes.count, scales.allSatisfy({ $0 > 0 && $0 < 1e6 }) else {
                throw Unsupported("scales \(scales)")
            }
            for (place, axis) in axes.enumerated() {
                resize.scales[axis] = scales[place]
                resize.sizes[axis] = size(shape[axis], scales[place], resize.region, axis, shape.rank)
            }
        } else {
            guard let sizes = try optionalIntegers(node, 3), sizes.count == axes.count,
                sizes.allSatisfy({ $0 >= 0 && $0 <= 1 << 24 })
            else { throw Unsupported("neither scales nor sizes are given for every axis") }
            try apply(sizes, axes, shape, node, &resize)
        }
        if resize.sizes == shape.dimensions && resize.scales.allSatisfy({ $0 == 1 }) && resize.region == nil {
            return [x]
        }
        return try add(node, .resize(resize), [x])
    }

    private func modes(
        _ node: NodeReader, isOld: Bool
    ) throws -> (Resize.Mode, Resize.Coordinates, Resize.NearestRounding) {
        let mode: Resize.Mode
        switch node.string("mode") ?? "nearest" {
        case "nearest": mode = .nearest
        case "linear", "bilinear": mode = .linear
        case "cubic": mode = .cubic
        case let other: throw Unsupported("mode = \(other)")
        }
        if isOld { return (mode, .asymmetric, .floor) }
        return (
            mode, try node.word("coordinate_transformation_mode", default: .halfPixel),
            try node.word("nearest_mode", default: .roundPreferFloor)
        )
    }

    private func size(_ extent: Int, _ scale: Float, _ region: [Float]?, _ axis: Int, _ rank: Int) -> Int {
        let share = region.map { Double($0[rank + axis]) - Double($0[axis]) } ?? 1
        let size = (Double(extent) * share * Double(scale)).rounded(.down)
        return Int(min(max(size, 0), Double(1 << 30)))
    }

    private func apply(
        _ sizes: [Int], _ axes: [Int], _ shape: Shape, _ node: NodeReader, _ resize: inout Resize
    ) throws {
        guard axes.allSatisfy({ shape[$0] > 0 }) else { throw Unsupported("nothing to resize") }
        let ratios = zip(axes, sizes).map { Double($1) / Double(shape[$0]) }
        let policy = node.string("keep_aspect_ratio_policy") ?? "stretch"
        let common: Double?
        switch policy {
        case "stretch": common = nil
        case "not_larger": common = ratios.min()
        case "not_smaller": common = ratios.max()
        case let other: throw Unsupported("keep_aspect_ratio_policy = \(other)")
        }
        for (place, axis) in axes.enumerated() {
            let scale = common ?? ratios[place]
            resize.scales[axis] = max(Float(scale), .leastNormalMagnitude)
            // Halves go up, as the specification's reference has it.
            resize.sizes[axis] = common.map { Int((Double(shape[axis]) * $0 + 0.5).rounded(.down)) } ?? sizes[place]
        }
    }
}
