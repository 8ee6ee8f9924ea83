// SPDX-License-Identifier: Apache-2.0

import Alerts
import Vision

/// What a network found in a frame, as it is published.
package enum Findings: Sendable {
    case detections([Detection])
    case classifications([Classification])

    /// Number and score of each, for the conditions of alerts.
    var classes: [Fact.DetectedClass] {
        switch self {
        case .detections(let all): all.map { Fact.DetectedClass(class: $0.classIndex, score: Double($0.score)) }
        case .classifications(let all): all.map { Fact.DetectedClass(class: $0.classIndex, score: Double($0.score)) }
        }
    }

    /// Writes the field `detections` or `classifications`.
    func write(_ json: inout JSONWriter, labels: [String]) {
        func name(_ index: Int) -> String { labels.indices.contains(index) ? labels[index] : String(index) }
        switch self {
        case .detections(let all):
            json.key("detections")
            json.array { json in
                for detection in all {
                    json.object { json in
                        json.field("class", name(detection.classIndex))
                        json.key("score")
                        json.value(detection.score, places: 4)
                        json.key("box")
                        json.array { json in
                            for value in [detection.box.x, detection.box.y, detection.box.width, detection.box.height] {
                                json.value(value, places: 1)
                            }
                        }
                    }
                }
            }
        case .classifications(let all):
            json.key("classifications")
            json.array { json in
                for classification in all {
                    json.object { json in
                        json.field("class", name(classification.classIndex))
                        json.key("score")
                        json.value(classification.score, places: 4)
                    }
                }
            }
        }
    }
}
