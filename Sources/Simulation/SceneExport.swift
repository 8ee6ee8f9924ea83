// SPDX-License-Identifier: Apache-2.0

import Foundation
import Vision

/// Writes labelled frames for training and calibration: JPEG files and `labels.json`, laid out as COCO annotations.
package struct SceneExport {
    private struct Labels: Encodable {
        struct Picture: Encodable {
            let id: Int
            let fileName: String
            let width: Int
            let height: Int
            let camera: String
        }

        struct Annotation: Encodable {
            let id: Int
            let imageId: Int
            let categoryId: Int
            /// x, y, width, height in pixels.
            let bbox: [Float]
            let area: Float
            let ignore: Bool
        }

        struct Category: Encodable {
            let id: Int
            let name: String
        }

        var images: [Picture] = []
        var annotations: [Annotation] = []
        let categories = ObjectClass.allCases.map { Category(id: $0.rawValue, name: $0.label) }
    }

    /// Creates `directory` if need be. Throws what the file system says.
    package static func write(
        to directory: URL, count: Int, seed: UInt64, progress: (_ written: Int) -> Void = { _ in }
    ) throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let encoder = JPEGEncoder()
        var labels = Labels()
        try SceneSampler(seed: seed).forEachFrame(count: count) { index, camera, objects in
            let format = camera.site.format
            let digits = String(index)
            let name = "frame-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".jpg"
            let jpeg = encoder.encode(
                rgb: camera.pixels, width: format.width, height: format.height, quality: format.jpegQuality)
            try Data(jpeg).write(to: directory.appendingPathComponent(name))
            labels.images.append(
                .init(
                    id: index, fileName: name, width: format.width, height: format.height, camera: camera.site.rawValue)
            )
            for object in objects {
                let box = object.box
                labels.annotations.append(
                    .init(
                        id: labels.annotations.count, imageId: index, categoryId: object.object.rawValue,
                        bbox: [box.x, box.y, box.width, box.height], area: box.area, ignore: object.isIgnored))
            }
            progress(index + 1)
        }
        let json = JSONEncoder()
        json.keyEncodingStrategy = .convertToSnakeCase
        json.outputFormatting = [.sortedKeys]
        try json.encode(labels).write(to: directory.appendingPathComponent("labels.json"))
    }
}
