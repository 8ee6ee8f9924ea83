// SPDX-License-Identifier: Apache-2.0

import Foundation
import Vision

/// A detection as COCO takes results: a list of these in a JSON file.
struct COCODetection: Codable {
    var picture: Int
    var category: Int
    /// x, y, width, height
    var box: [Double]
    var score: Double

    private enum CodingKeys: String, CodingKey {
        case picture = "image_id"
        case category = "category_id"
        case box = "bbox"
        case score
    }

    init(_ finding: AveragePrecision.Finding, picture: Int) {
        self.picture = picture
        category = finding.category
        box = [finding.box.x, finding.box.y, finding.box.width, finding.box.height]
        score = finding.score
    }

    /// Nil if it has no box of four numbers.
    var finding: AveragePrecision.Finding? {
        guard box.count == 4 else { return nil }
        return .init(
            category: category, box: .init(x: box[0], y: box[1], width: box[2], height: box[3]), score: score)
    }

    static func read(_ path: String) throws -> [COCODetection] {
        do {
            return try JSONDecoder().decode([COCODetection].self, from: Data(contentsOf: URL(fileURLWithPath: path)))
        } catch { throw Failure("\(path) cannot be read as results of the COCO form: \(error)") }
    }

    static func write(_ detections: [COCODetection], _ path: String) throws {
        do { try JSONEncoder().encode(detections).write(to: URL(fileURLWithPath: path)) } catch {
            throw Failure("\(path) cannot be written: \(error)")
        }
    }
}
