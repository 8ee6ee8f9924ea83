// SPDX-License-Identifier: Apache-2.0

import Foundation
import Vision

/// Labelled pictures as COCO writes them (`instances_val2017.json`); outlines are passed over.
struct COCOLabels {
    struct Picture {
        var identifier: Int
        /// Relative to the folder of the pictures.
        var file: String
        var objects: [AveragePrecision.Object]
    }

    /// Identifiers ascending.
    let categories: [(identifier: Int, name: String)]
    /// Identifiers ascending.
    let pictures: [Picture]

    private struct Document: Decodable {
        struct Image: Decodable {
            var id: Int
            var file: String

            enum CodingKeys: String, CodingKey {
                case id
                case file = "file_name"
            }
        }
        struct Annotation: Decodable {
            var id: Int?
            var picture: Int
            var category: Int
            var box: [Double]
            var area: Double?
            var isCrowd: Int?

            enum CodingKeys: String, CodingKey {
                case id, area
                case picture = "image_id"
                case category = "category_id"
                case box = "bbox"
                case isCrowd = "iscrowd"
            }
        }
        struct Category: Decodable {
            var id: Int
            var name: String
        }
        var images: [Image]
        var annotations: [Annotation]
        var categories: [Category]
    }

    init(path: String) throws {
        let document: Document
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
            document = try JSONDecoder().decode(Document.self, from: data)
        } catch { throw Failure("\(path) cannot be read as labels of the COCO form: \(error)") }
        var objects: [Int: [AveragePrecision.Object]] = [:]
        for (index, annotation) in document.annotations.enumerated() {
            guard annotation.box.count == 4, annotation.box.allSatisfy(\.isFinite) else {
                throw Failure("\(path): annotation \(annotation.id ?? index) has no box of four numbers")
            }
            let box = AveragePrecision.Rectangle(
                x: annotation.box[0], y: annotation.box[1], width: annotation.box[2], height: annotation.box[3])
            objects[annotation.picture, default: []].append(
                .init(
                    category: annotation.category, box: box, area: annotation.area,
                    isCrowd: (annotation.isCrowd ?? 0) != 0, identifier: annotation.id ?? index + 1))
        }
        categories = Dictionary(document.categories.map { ($0.id, $0.name) }) { first, _ in first }
            .sorted { $0.key < $1.key }.map { (identifier: $0.key, name: $0.value) }
        pictures = Dictionary(document.images.map { ($0.id, $0.file) }) { first, _ in first }
            .sorted { $0.key < $1.key }
            .map { Picture(identifier: $0.key, file: $0.value, objects: objects[$0.key] ?? []) }
        guard !categories.isEmpty, !pictures.isEmpty else {
            throw Failure("\(path) names no \(categories.isEmpty ? "categories" : "images")")
        }
    }

    /// Which category each class of a model stands for.
    struct Mapping {
        /// Identifier per class; nil for a class that the labels do not know.
        var categories: [Int?]
        /// What a person should know about it.
        var note: String?
    }

    /// By name, capitals aside; by order where no name fits and there are as many classes as categories.
    ///
    /// - Parameters:
    ///   - labels: of the model; none if it has none.
    ///   - classCount: columns of scores.
    ///   - background: the column that stands for nothing, which a model without labels counts among its classes.
    func mapping(labels: [String], classCount: Int, background: Int?) throws -> Mapping {
        func plain(_ name: String) -> String { name.trimmingCharacters(in: .whitespaces).lowercased() }
        let known = Dictionary(categories.map { (plain($0.name), $0.identifier) }) { first, _ in first }
        let named: [Int?] = labels.map { known[plain($0)] }
        if named.contains(where: { $0 != nil }) {
            let unknown = zip(labels, named).filter { $1 == nil }.map(\.0)
            let note =
                unknown.isEmpty
                ? nil : "classes that the labels do not know are left out: \(unknown.joined(separator: ", "))"
            return Mapping(categories: named, note: note)
        }
        let skipped = labels.isEmpty || labels.count == classCount ? background : nil
        let columns = labels.isEmpty ? classCount : labels.count
        let count = columns - (skipped.map { $0 < columns ? 1 : 0 } ?? 0)
        guard count == categories.count else {
            throw Failure(
                "the model has \(count) classes and the labels \(categories.count) categories, and no name is in both: "
                    + "say the model's class names with 'model import --labels'")
        }
        var rest = categories.map(\.identifier)[...]
        return Mapping(
            categories: (0..<columns).map { $0 == skipped ? nil : rest.popFirst() },
            note: "no class name is in both, so classes stand for categories in their order")
    }
}
