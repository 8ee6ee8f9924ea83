// SPDX-License-Identifier: Apache-2.0

/// The topics that results go to: `<prefix>/<node>/<kind>/<pipeline>/<key>`.
package struct ResultTopics: Sendable {
    /// `<prefix>/<node>/`: what comes in under it is our own.
    package let root: String

    package init(prefix: String, node: String) { root = "\(prefix)/\(node)/" }

    package var status: String { root + "status" }
    package var report: String { root + "report" }
    package var commands: String { root + "command/" }
    /// Commands on alerts come below it; their last level is the verb.
    package var alertCommands: String { commands + "alerts/" }

    package func detections(pipeline: String, key: String) -> String { topic("detections", pipeline, key) }
    package func scores(pipeline: String, key: String) -> String { topic("scores", pipeline, key) }

    package func alert(pipeline: String, key: String, rule: String) -> String {
        topic("alerts", pipeline, key) + "/" + rule
    }

    private func topic(_ kind: String, _ pipeline: String, _ key: String) -> String {
        key.isEmpty ? "\(root)\(kind)/\(pipeline)" : "\(root)\(kind)/\(pipeline)/\(key)"
    }
}
